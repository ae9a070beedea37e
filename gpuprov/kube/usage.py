"""Reads what pods really hold. A quota does not say it: a pod that is stuck while it terminates is charged no more."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.naming import PREFIX
from gpuprov.core.pods import PodUse, gpus_of, holds_gpus, use_of
from gpuprov.kube.client import ONE_BY_ONE, KubeApi

_ON_NODES = "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="


def pods_on(
    cluster: ProviderCluster, namespaces: Collection[str] | None, api: KubeApi | None = None
) -> dict[str, dict[str, int]]:
    """Return the GPUs of the cluster's pools that pods hold, by namespace and resource name; only what is more than 0.

    A pod holds its GPUs from when it is bound to a node until it has ended, also while it terminates. None for
    ``namespaces`` is all that can be an award's; without ``api`` a client is made. Raises ClusterError.
    """
    resources = cluster.resources
    held: dict[str, dict[str, int]] = {}
    for pod in _pods(api or KubeApi(cluster), namespaces):
        if holds_gpus(pod):  # told by the API server already, for all that it knows of these selectors
            of_namespace = held.setdefault(pod["metadata"]["namespace"], {})
            for resource, gpus in gpus_of(pod, resources).items():
                of_namespace[resource] = of_namespace.get(resource, 0) + gpus
    return {name: gpus for name, gpus in held.items() if gpus}


def pods_of(cluster: ProviderCluster, namespace: str, api: KubeApi | None = None) -> tuple[PodUse, ...]:
    """Return every pod of a namespace, also those without a node and those that have ended, by name.

    Without ``api`` a client is made. Raises ClusterError.
    """
    resources = cluster.resources
    pods = (api or KubeApi(cluster)).list(f"/api/v1/namespaces/{namespace}/pods")
    return tuple(sorted((use_of(pod, resources) for pod in pods), key=lambda pod: pod.name))


def _pods(api: KubeApi, namespaces: Collection[str] | None) -> Iterator[dict[str, Any]]:
    """Yield the pods on nodes. For many namespaces the whole cluster is read at once."""
    if namespaces is not None and len(namespaces) <= ONE_BY_ONE:
        for name in namespaces:
            yield from api.list(f"/api/v1/namespaces/{name}/pods", fieldSelector=_ON_NODES)
        return
    wanted = None if namespaces is None else set(namespaces)
    for pod in api.list("/api/v1/pods", fieldSelector=_ON_NODES):
        name = pod["metadata"]["namespace"]
        if name.startswith(PREFIX) if wanted is None else name in wanted:
            yield pod
