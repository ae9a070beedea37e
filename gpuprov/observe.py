"""Reads what is there on a provider's cluster: a few LIST calls by label, whatever the number of tenants."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gpuprov.cluster import ProviderCluster
from gpuprov.errors import ClusterUnreachable
from gpuprov.kube import KubeApi
from gpuprov.lease import turns
from gpuprov.manifests import QUOTA, RULES, TENANT_ROLE, selector
from gpuprov.observed import ObservedCluster, ObservedTenant

_FEW = 20
"""Up to this many namespaces are read one by one."""

_COLLECTIONS = (
    "/api/v1/resourcequotas",
    "/api/v1/limitranges",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
)


def observe(cluster: ProviderCluster) -> ObservedCluster:
    """Read the cluster's identity and every object of ours. Writes nothing.

    Raises ClusterUnreachable or ClusterError. A namespace belongs to us by its labels alone, so one that an earlier
    run left behind is seen even if no state knows it; an object without our label shows up as missing.
    """
    api = KubeApi(cluster)
    turn = turns(cluster, api)
    ours = selector(cluster.provider)
    objects: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for namespace in api.list("/api/v1/namespaces", labelSelector=ours):
        name = namespace["metadata"]["name"]
        objects[name] = {("Namespace", name): namespace}
    for path in _COLLECTIONS:
        for item in api.list(path, labelSelector=ours):
            there = objects.get(item["metadata"]["namespace"])
            if there is not None:
                there[item["kind"], item["metadata"]["name"]] = item
    tenants = tuple(ObservedTenant(namespace=name, objects=found) for name, found in objects.items())
    uid = cluster_uid(cluster, api)
    return ObservedCluster(provider=cluster.provider, uid=uid, tenants=tenants, missing=_missing(api), turn=turn)


def _missing(api: KubeApi) -> tuple[str, ...]:
    """Return what the cluster lacks of charts/gpu-cluster: the role, and rules that are not there or do not deny."""
    role = api.get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{TENANT_ROLE}")
    bindings = api.get("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings") or {}
    denying = {
        item["metadata"]["name"]
        for item in bindings.get("items") or ()
        if "Deny" in (item.get("spec", {}).get("validationActions") or ())
    }
    lacking = [f"ClusterRole {TENANT_ROLE}"] if role is None else []
    return (*lacking, *(f"ValidatingAdmissionPolicyBinding {name}" for name in RULES if name not in denying))


def find(cluster: ProviderCluster, namespaces: Collection[str]) -> list[ObservedTenant]:
    """Read namespaces by name: those of ours that lost their labels. Raises what `observe` raises."""
    api = KubeApi(cluster)
    found = []
    for name in namespaces:
        namespace = api.get(f"/api/v1/namespaces/{name}")
        if namespace is not None:
            quota = api.get(f"/api/v1/namespaces/{name}/resourcequotas/{QUOTA}")
            objects = {("Namespace", name): namespace} | ({("ResourceQuota", QUOTA): quota} if quota else {})
            found.append(ObservedTenant(namespace=name, objects=objects))
    return found


def read_back(cluster: ProviderCluster, namespaces: Collection[str]) -> dict[str, ObservedTenant]:
    """Read namespaces with their quotas, as the server has them now; those that do not exist are left out.

    Raises what `observe` raises.
    """
    if len(namespaces) <= _FEW:
        return {tenant.namespace: tenant for tenant in find(cluster, namespaces)}
    api = KubeApi(cluster)
    ours = selector(cluster.provider)
    objects: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for namespace in api.list("/api/v1/namespaces", labelSelector=ours):
        objects[namespace["metadata"]["name"]] = {("Namespace", namespace["metadata"]["name"]): namespace}
    for quota in api.list("/api/v1/resourcequotas", labelSelector=ours):
        if quota["metadata"]["name"] == QUOTA and quota["metadata"]["namespace"] in objects:
            objects[quota["metadata"]["namespace"]]["ResourceQuota", QUOTA] = quota
    wanted = set(namespaces)
    return {name: ObservedTenant(namespace=name, objects=found) for name, found in objects.items() if name in wanted}


def cluster_uid(cluster: ProviderCluster, api: KubeApi | None = None) -> str:
    """Return the UID of the kube-system namespace: it tells one cluster from every other."""
    found = (api or KubeApi(cluster)).get("/api/v1/namespaces/kube-system")
    if found is None:
        raise ClusterUnreachable(cluster.provider, "no kube-system namespace; is this a Kubernetes cluster?")
    return str(found["metadata"]["uid"])
