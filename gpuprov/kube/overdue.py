"""Reads what the term guard decides from, in a few LIST calls whatever the number of awards."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gpuprov.core.manifests import BINDING, MANAGED_BY, MANAGER, QUOTA, SERVICE_ACCOUNT
from gpuprov.core.observed import Live, ObservedTenant
from gpuprov.core.pods import may_hold_gpus
from gpuprov.core.quantity import whole
from gpuprov.kube.client import KubeApi

_OURS = f"{MANAGED_BY}={MANAGER}"
_REQUESTS = "requests."


def read_tenants(api: KubeApi) -> list[ObservedTenant]:
    """Read the namespaces of all awards on the cluster. Raises ClusterError."""
    found = api.list("/api/v1/namespaces", labelSelector=_OURS)
    names = ((item["metadata"]["name"], item) for item in found)
    return [ObservedTenant(namespace=name, objects={("Namespace", name): item}) for name, item in names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What there is on the cluster for a term guard to take. ``quotas`` has what they give, by namespace."""

    quotas: Mapping[str, Mapping[str, str]]
    with_access: Collection[str]
    with_pods: Collection[str]

    @property
    def resources(self) -> set[str]:
        """The names under which awards have GPUs, or had them."""
        return {resource for hard in self.quotas.values() for resource in _gpus(hard)}

    def is_closed(self, namespace: str) -> bool:
        """Tell whether nothing is left to take in a namespace: no access, no quota above 0, no pod."""
        hard = self.quotas.get(namespace)
        gives = hard is not None and (hard.get("pods") != "0" or any(_gpus(hard).values()))
        return not (gives or namespace in self.with_access or namespace in self.with_pods)


def read_contents(api: KubeApi) -> Contents:
    """Read what all namespaces have of what an end takes away. Raises ClusterError."""

    def named(path: str, name: str) -> list[Live]:
        return list(api.list(path, fieldSelector=f"metadata.name={name}"))

    quotas = named("/api/v1/resourcequotas", QUOTA)
    access = [
        *named("/apis/rbac.authorization.k8s.io/v1/rolebindings", BINDING),
        *named("/api/v1/serviceaccounts", SERVICE_ACCOUNT),
    ]
    pods = api.list("/api/v1/pods", fieldSelector="status.phase!=Succeeded,status.phase!=Failed")
    return Contents(
        quotas={_namespace(quota): (quota.get("spec") or {}).get("hard") or {} for quota in quotas},
        with_access=set(map(_namespace, access)),
        with_pods={_namespace(pod) for pod in pods if may_hold_gpus(pod)},
    )


def _namespace(live: Live) -> str:
    return str(live["metadata"]["namespace"])


def _gpus(hard: Mapping[str, str]) -> dict[str, int]:
    """Return what a quota gives of devices, by resource: their names have a domain."""
    names = (key.removeprefix(_REQUESTS) for key in hard if key.startswith(_REQUESTS) and "/" in key)
    return {name: whole(hard[f"{_REQUESTS}{name}"]) for name in names}
