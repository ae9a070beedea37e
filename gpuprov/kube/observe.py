"""Reads what is there on a provider's cluster: a few LIST calls, whatever the number of tenants."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import QUOTA, WELCOME, selector
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.errors import ClusterUnreachable
from gpuprov.i18n import tr
from gpuprov.kube.client import ONE_BY_ONE, KubeApi
from gpuprov.kube.lease import turns
from gpuprov.kube.reading import read_chart, read_dra, read_list
from gpuprov.preflight.dra import served
from gpuprov.preflight.facts import Live, Seen, Unread
from gpuprov.preflight.lacking import lacking

_COLLECTIONS = (
    "/api/v1/resourcequotas",
    "/api/v1/limitranges",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
)
_PAGES = {"fieldSelector": f"metadata.name={WELCOME}"}
"""Of awardees' ConfigMaps only our own may be read: RBAC allows a LIST by name to whoever may read that name."""


def observe(cluster: ProviderCluster, api: KubeApi | None = None) -> ObservedCluster:
    """Read the cluster's identity and every object of ours. Writes nothing.

    Raises ClusterUnreachable or ClusterError. A namespace is ours by its labels alone, so one that an earlier run left
    behind is seen even if no state knows it; an object without our label counts as missing. What the identity may not
    read by the rights of an older chart is no error: it is among what the cluster lacks. Without ``api`` a client is
    made.
    """
    api = api or KubeApi(cluster)
    seen = turns(cluster, api)  # first: whoever acts while we read must not go unnoticed
    ours = selector(cluster.provider)
    objects: dict[str, dict[tuple[str, str], Live]] = {}
    for namespace in api.list("/api/v1/namespaces", labelSelector=ours):
        name = namespace["metadata"]["name"]
        objects[name] = {("Namespace", name): namespace}
    pages = read_list(api, "/api/v1/configmaps", labelSelector=ours, **_PAGES)
    inside = chain.from_iterable(api.list(path, labelSelector=ours) for path in _COLLECTIONS)
    for item in chain(() if isinstance(pages, Unread) else pages, inside):
        of_namespace = objects.get(item["metadata"]["namespace"])
        if of_namespace is not None:
            of_namespace[item["kind"], item["metadata"]["name"]] = item
    (classes,) = read_dra(api, "deviceclasses")
    return ObservedCluster(
        provider=cluster.provider,
        uid=cluster_uid(cluster, api),
        tenants=tuple(ObservedTenant(namespace=name, objects=theirs) for name, theirs in objects.items()),
        turn=seen.ended,
        actor=seen.actor,
        abandoned=seen.abandoned,
        missing=(*lacking(*read_chart(api), classes), *_unseen(pages)),
        unfit=served(cluster, classes),
    )


def _unseen(pages: Seen) -> tuple[str, ...]:
    if isinstance(pages, Unread):
        return (
            tr(
                "pages of awards ({kind} {name}) cannot be seen: {reason}",
                kind="ConfigMap",
                name=WELCOME,
                reason=pages.reason,
            ),
        )
    return ()


def find(cluster: ProviderCluster, namespaces: Collection[str], api: KubeApi | None = None) -> list[ObservedTenant]:
    """Read namespaces by name: those of ours that lost their labels. Raises what `observe` raises.

    Where many are asked for, most do not exist: somebody deleted them. One LIST, without a selector, tells which do.
    """
    api = api or KubeApi(cluster)
    existing = set(namespaces)
    if len(namespaces) > ONE_BY_ONE:
        existing &= {namespace["metadata"]["name"] for namespace in api.list("/api/v1/namespaces")}
    found = []
    for name in (name for name in namespaces if name in existing):
        namespace = api.get(f"/api/v1/namespaces/{name}")
        if namespace is not None:
            quota = api.get(f"/api/v1/namespaces/{name}/resourcequotas/{QUOTA}")
            objects = {("Namespace", name): namespace} | ({("ResourceQuota", QUOTA): quota} if quota else {})
            found.append(ObservedTenant(namespace=name, objects=objects))
    return found


def read_back(
    cluster: ProviderCluster, namespaces: Collection[str], api: KubeApi | None = None
) -> dict[str, ObservedTenant]:
    """Read namespaces with their quotas, as the server has them now; those that do not exist are left out.

    Raises what `observe` raises. Without ``api`` a client is made.
    """
    api = api or KubeApi(cluster)
    if len(namespaces) <= ONE_BY_ONE:
        return {tenant.namespace: tenant for tenant in find(cluster, namespaces, api)}
    ours = selector(cluster.provider)
    objects: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for namespace in api.list("/api/v1/namespaces", labelSelector=ours):
        objects[namespace["metadata"]["name"]] = {("Namespace", namespace["metadata"]["name"]): namespace}
    for quota in api.list("/api/v1/resourcequotas", labelSelector=ours):
        if quota["metadata"]["name"] == QUOTA and quota["metadata"]["namespace"] in objects:
            objects[quota["metadata"]["namespace"]]["ResourceQuota", QUOTA] = quota
    wanted = set(namespaces)
    return {name: ObservedTenant(namespace=name, objects=theirs) for name, theirs in objects.items() if name in wanted}


def cluster_uid(cluster: ProviderCluster, api: KubeApi | None = None) -> str:
    """Return the UID of the kube-system namespace: it tells one cluster from every other."""
    system = (api or KubeApi(cluster)).get("/api/v1/namespaces/kube-system")
    if system is None:
        raise ClusterUnreachable(
            cluster.provider,
            f"context {cluster.context!r} leads to a server without the namespace kube-system; check `server` in the "
            "kubeconfig",
        )
    return str(system["metadata"]["uid"])
