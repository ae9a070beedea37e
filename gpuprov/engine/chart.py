"""The program of a provider's set-up stack: the chart gpu-cluster, which each provider's cluster needs once.

It has its own stack because it needs a cluster administrator: whoever may write roles and admission policies may do
anything, and the identity that provisions awards every day must not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pulumi

from gpuprov.core import outputs
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import SYSTEM_NAMESPACE

RELEASE = "gpuprov"


async def declare_chart(cluster: ProviderCluster, chart: Path, cluster_uid: str) -> None:
    """Declare the chart's objects and the namespace of its release. Raises pulumi.RunError."""
    # Importing the typed classes takes a second or two; no other program needs them.
    import pulumi_kubernetes as kubernetes
    from pulumi_kubernetes.core.v1 import Namespace
    from pulumi_kubernetes.helm.v4 import Chart

    with _plugin_reads_kubeconfig():
        provider = kubernetes.Provider(
            cluster.provider,
            context=cluster.setup_context,
            cluster_identifier=cluster.provider,
            enable_server_side_apply=True,
        )
    home = Namespace(
        SYSTEM_NAMESPACE,
        metadata={"name": SYSTEM_NAMESPACE, "annotations": ADOPT},
        opts=pulumi.ResourceOptions(provider=provider),
    )
    Chart(
        RELEASE,
        chart=str(chart),
        name=RELEASE,
        namespace=SYSTEM_NAMESPACE,
        values=cluster.chart_values,
        opts=pulumi.ResourceOptions(provider=provider, depends_on=[home], transforms=[_adopting]),
    )
    pulumi.export(outputs.UID, cluster_uid)


@contextmanager
def _plugin_reads_kubeconfig() -> Iterator[None]:
    """Hide KUBECONFIG from the SDK, which expects a single file; the plugin reads it itself and accepts a list."""
    name = "KUBECONFIG"
    value = os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value


ADOPT = {"pulumi.com/patchForce": "true", "pulumi.com/patchFieldManager": "gpuprov-setup"}
"""Lets a run adopt what a killed run, or `helm install`, left behind."""


def _adopting(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
    if not args.custom:
        return None
    props: dict[str, Any] = {**args.props}
    metadata = props.get("metadata") or {}
    props["metadata"] = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **ADOPT}}
    return pulumi.ResourceTransformResult(props, args.opts)
