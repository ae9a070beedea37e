"""What the policy pack knows: the project's files for the bounds, and Pulumi's resources as manifests.

Nothing here knows Pulumi's SDK: ``__main__`` wires it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import Manifest, tenant_manifests
from gpuprov.core.rules import Bounds
from gpuprov.core.tenant import desired_state
from gpuprov.load.project import open_project
from gpuprov.run.clock import instant
from gpuprov.run.loading import load

PROVIDER = "pulumi:providers:kubernetes"
UNKNOWN = "known only when it is applied"
"""Stands for a value that a preview does not know. No rule takes it for a number, a name or an instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The bounds of the stack's provider, and the objects that the provider's other stacks put on its cluster."""

    bounds: Bounds
    elsewhere: Sequence[Manifest]


def read(root: Path, stack: str, said: str | None) -> Given:
    """Read the project as the program does: its stacks, award lists and ledger, at an instant. Raises InputError.

    ``said`` is the instant as GPUPROV_AT has it, in the programme's time zone where it has no offset; None is now.
    """
    project = open_project(root)
    at = instant(said, project.programme.zone)
    cluster = project.cluster_of(stack)
    loaded = load(project)
    desired = desired_state(loaded.histories, project.clusters, at, loaded.unlisted)
    tenants = desired.on(cluster.provider)
    others = (tenant for tenant in tenants if cluster.stack_of(tenant.award_id) != stack)
    return Given(
        bounds=Bounds.of(cluster, tenants, at, project.programme.end),
        elsewhere=[item for tenant in others for item in tenant_manifests(tenant, cluster)],
    )


def manifest(kind: str, name: str, properties: Mapping[str, Any]) -> Manifest | None:
    """Return a resource as the manifest that it is on the cluster, or None for what only Pulumi knows.

    ``kind`` is Pulumi's type token, such as ``kubernetes:core/v1:Namespace``. The token decides what is created, so it
    wins over the properties. What is no Kubernetes object has its token for a kind, and belongs to no award.
    """
    if kind.startswith(("pulumi:", "gpuprov:index:")):
        return None
    if not kind.startswith("kubernetes:"):
        return {"kind": kind, "metadata": {"name": name}}
    _, api_version, token = kind.split(":", 2)
    return {**properties, "apiVersion": api_version.removeprefix("core/"), "kind": token}


def leads_elsewhere(settings: Mapping[str, Any], cluster: ProviderCluster) -> str | None:
    """Say in what the settings of the Kubernetes provider lead to another cluster than the stack's."""
    if settings.get("kubeconfig"):
        return "it brings a kubeconfig of its own, and credentials do not belong in the state"
    if settings.get("cluster"):
        return "it names a cluster of the kubeconfig beside the context"
    if settings.get("context") != cluster.context:
        return f"its context is {settings.get('context')!r}, and the stack's is {cluster.context!r}"
    return None


def plain(value: Any, unknown: type[Exception]) -> Any:
    """Copy what Pulumi hands to a policy. Reading a value that a preview does not know raises ``unknown``."""
    if isinstance(value, Mapping):
        return {key: _known(value, key, unknown) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_known(value, index, unknown) for index in range(len(value))]
    return value


def _known(container: Any, key: Any, unknown: type[Exception]) -> Any:
    try:
        return plain(container[key], unknown)
    except unknown:
        return UNKNOWN
