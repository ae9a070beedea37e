"""The Kubernetes objects of one tenant, as plain manifests: what Pulumi writes and what the drift check expects.

Every value is written as the API server would print it (quantities in canonical form, no defaults left out where they
would be filled in), so that a live object can be compared with its manifest field by field.

Why each rule is as it is:

- An extended resource counts only as ``requests.<name>``; other keys are accepted by the API server and enforce
  nothing. Every name under which a GPU could be had and that is not awarded is set to 0.
- A quota is blind to the GPU model: the namespace's node selector (admission plugin PodNodeSelector) forces it.
- cpu, memory and the servers' own disks are limited on both sides because a server is shared between awards.
- There are two quotas, so that an awardee can read its own: what the award gives, and what is the same for all awards.
  A request has to keep within both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuprov.core import naming, welcome
from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.quantity import count, gib
from gpuprov.core.tenant import Tenant

Manifest = Mapping[str, Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "gpuprov"
AWARD_LABEL = "gpuprov.dev/award"
PROVIDER_LABEL = "gpuprov.dev/provider"
AWARD_ID = "gpuprov.dev/award-id"
ORGANIZATION = "gpuprov.dev/organization"
MODEL = "gpuprov.dev/gpu-model"
GPUS = "gpuprov.dev/gpus"
TERM_START = "gpuprov.dev/term-start"
TERM_END = "gpuprov.dev/term-end"
NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"

QUOTA = "gpu"
"""The quota with what the award gives: the one that grants GPUs."""

FIXED_QUOTA = "fixed"
"""The quota that is the same for every award of a pool: names that are closed, and the most objects of a kind."""

WELCOME = "welcome"
"""The ConfigMap that tells the awardee what it has."""

LIMITS = "defaults"
POLICY = "isolation"
BINDING = "awardee"
SERVICE_ACCOUNT = "awardee"
"""The service account that `gpuprov kubeconfig` makes on request. The binding names it before it is there."""

TENANT_ROLE = "gpuprov-tenant"
SYSTEM_NAMESPACE = "gpuprov-system"
"""The namespace that charts/gpu-cluster is released into. No award's namespace is named so."""

LEASE = "gpuprov"
"""The Lease that says who acts on a cluster. It lies in SYSTEM_NAMESPACE on every cluster that has the chart."""

WATCH_LEASE = "gpuprov-watch"
"""The Lease beside it that says which replica of `gpuprov watch` leads there."""

CHART = "charts/gpu-cluster"
"""The chart that every cluster of awards needs, relative to the project's folder."""

DRA_RESOURCE = "deviceclass.resource.kubernetes.io/"
"""Before the name of a device class of DRA: the resource that it answers for without being told
(``ResourceDeviceClassPrefix`` in Kubernetes' API resource.k8s.io)."""

ADMISSION_POLICIES = ("gpuprov-gpu", "gpuprov-namespaces", "gpuprov-objects", "gpuprov-operator", "gpuprov-pods")
"""The admission policies of charts/gpu-cluster and their bindings; the role of awardees comes from there too."""

TENANT_TYPE = "gpuprov:index:AwardTenant"
"""Pulumi's type of the component that holds a tenant's objects."""

_COUNTS = {
    "services": 50,
    "services.loadbalancers": 0,
    "services.nodeports": 0,
    "secrets": 200,
    "configmaps": 200,
    "persistentvolumeclaims": 50,
    "count/deployments.apps": 100,
    "count/replicasets.apps": 500,
    "count/statefulsets.apps": 100,
    "count/jobs.batch": 500,
    "count/cronjobs.batch": 50,
    "count/resourceclaims.resource.k8s.io": 0,
    "count/resourceclaimtemplates.resource.k8s.io": 0,
}
_PODS_PER_GPU = 25
_ENDED_PODS = 8
"""Pods that have ended are not charged as pods: how many times as many may be there in all."""


def selector(provider: str) -> str:
    """Return the label selector of everything that we have on a provider's cluster."""
    return f"{MANAGED_BY}={MANAGER},{PROVIDER_LABEL}={provider}"


def labels(tenant: Tenant) -> dict[str, str]:
    """Return the ownership labels that every object of a tenant carries."""
    return {
        MANAGED_BY: MANAGER,
        AWARD_LABEL: naming.slug(tenant.award_id),
        PROVIDER_LABEL: tenant.provider,
    }


def tenant_manifests(tenant: Tenant, cluster: ProviderCluster) -> tuple[Manifest, ...]:
    """Return the tenant's objects in the order in which they must come to be: what closes names before what gives GPUs,
    and quotas before access.

    The page is before the quotas, because a new quota refuses what it counts until its controller has looked at the
    namespace.
    """
    return (
        _namespace(tenant),
        _welcome(tenant, cluster),
        _quota(FIXED_QUOTA, tenant, fixed_hard(tenant.pool, cluster)),
        _quota(QUOTA, tenant, quota_hard(tenant)),
        _limit_range(tenant, cluster),
        _network_policy(tenant),
        _role_binding(tenant, cluster),
    )


def gpu_keys(cluster: ProviderCluster) -> tuple[str, ...]:
    """Return every key of a quota that leads to a GPU on the cluster: by its resource name, or by DRA.

    DRA has two keys for each device class: devices that claims ask for, and the resource that the class answers for.
    """
    names = {*cluster.other_gpu_resources, *(pool.resource for pool in cluster.pools)}
    keys = [f"requests.{name}" for name in sorted(names)]
    for device_class in cluster.device_classes:
        keys += [f"{device_class}.deviceclass.resource.k8s.io/devices", f"requests.{DRA_RESOURCE}{device_class}"]
    return tuple(keys)


def quota_hard(tenant: Tenant) -> dict[str, str]:
    """Return what the award gives: the ``hard`` part of the ResourceQuota `QUOTA`."""
    per_gpu = tenant.pool.per_gpu
    cpu = count(tenant.gpus * per_gpu.cpu)
    memory = gib(tenant.gpus * per_gpu.memory_gib)
    disk = gib(tenant.gpus * per_gpu.ephemeral_gib)
    return {
        f"requests.{tenant.pool.resource}": count(tenant.gpus),
        "requests.cpu": cpu,
        "limits.cpu": cpu,
        "requests.memory": memory,
        "limits.memory": memory,
        "requests.storage": gib(tenant.gpus * per_gpu.storage_gib),
        "requests.ephemeral-storage": disk,
        "limits.ephemeral-storage": disk,
        "pods": count(tenant.gpus * _PODS_PER_GPU),
        "count/pods": count(tenant.gpus * _PODS_PER_GPU * _ENDED_PODS),
    }


def fixed_hard(pool: GpuPool, cluster: ProviderCluster) -> dict[str, str]:
    """Return what is the same for every award of a pool: the ``hard`` part of the ResourceQuota `FIXED_QUOTA`."""
    closed = {key: "0" for key in gpu_keys(cluster) if key != f"requests.{pool.resource}"}
    return closed | {name: count(most) for name, most in _COUNTS.items()}


def _metadata(name: str, tenant: Tenant) -> dict[str, Any]:
    return {"name": name, "namespace": tenant.namespace, "labels": labels(tenant)}


def node_selector(pool: GpuPool) -> str:
    """Return the node selector that the namespaces of a pool's tenants carry, as the admission plugin reads it."""
    (label, value), *_ = pool.node_label.items()
    return f"{label}={value}"


def _namespace(tenant: Tenant) -> Manifest:
    security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": tenant.namespace,
            "labels": labels(tenant) | security | {"pod-security.kubernetes.io/enforce-version": "latest"},
            "annotations": {
                AWARD_ID: tenant.award_id,
                ORGANIZATION: tenant.organization,
                MODEL: str(tenant.pool.model),
                GPUS: str(tenant.gpus),
                TERM_START: tenant.term_start.isoformat(),
                TERM_END: tenant.term_end.isoformat(),
                NODE_SELECTOR: node_selector(tenant.pool),
            },
        },
    }


def _quota(name: str, tenant: Tenant, hard: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": _metadata(name, tenant),
        "spec": {"hard": hard},
    }


def _limit_range(tenant: Tenant, cluster: ProviderCluster) -> Manifest:
    given = cluster.container_defaults
    defaults = {
        "cpu": count(given.cpu),
        "memory": gib(given.memory_gib),
        "ephemeral-storage": gib(given.ephemeral_gib),
    }
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": _metadata(LIMITS, tenant),
        "spec": {"limits": [{"type": "Container", "default": defaults, "defaultRequest": dict(defaults)}]},
    }


def _network_policy(tenant: Tenant) -> Manifest:
    same_namespace: dict[str, Any] = {"podSelector": {}}
    dns_server = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(POLICY, tenant),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [same_namespace]}],
            "egress": [{"to": [same_namespace]}, {"to": [dns_server], "ports": ports}],
        },
    }


def _welcome(tenant: Tenant, cluster: ProviderCluster) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(WELCOME, tenant),
        "data": welcome.files(tenant, cluster),
    }


def _role_binding(tenant: Tenant, cluster: ProviderCluster) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(BINDING, tenant),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": TENANT_ROLE},
        "subjects": [
            {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Group",
                "name": naming.group(cluster.group_prefix, tenant.award_id),
            },
            {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": tenant.namespace},
        ],
    }
