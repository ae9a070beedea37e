"""The GPU servers of a cluster: Node objects as NVIDIA's operator labels them, and kwok's permissions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from gpuprov.errors import SandboxError
from gpuprov.sandbox.api import Api, Json
from gpuprov.sandbox.spec import GPU_RESOURCE, ClusterSpec, NodePool

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
KWOK_USER = "system:kwok-controller"
PARALLEL = 8
_NO_NAME = re.compile(r"[^a-z0-9-]+")
CONFLICT = 409
_ANEW = "`gpuprov sandbox down`, then `gpuprov sandbox up`, begins anew"
_RESOURCES = {"cpu": "208", "memory": "2Ti", "pods": "110", "ephemeral-storage": "25Ti"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCount:
    """The nodes and devices of a cluster at one moment; ``gpus`` counts those of ready nodes, under whatever name."""

    total: int
    ready: int
    gpus: int


def node_objects(spec: ClusterSpec) -> Iterator[Json]:
    """Yield the Node objects of a cluster, with names such as ``samsung-sds-h100-07``."""
    for pool in spec.pools:
        model = _NO_NAME.sub("-", pool.product.removeprefix("NVIDIA-").split("-")[0].lower())
        for index in range(pool.count):
            yield _node(f"{spec.name}-{model}-{index:02d}", pool, spec.name)


def create_nodes(api: Api, spec: ClusterSpec) -> None:
    """Create the missing nodes. Existing nodes keep their state and UID. Raises `SandboxError`."""
    existing = {node["metadata"]["name"] for node in _items(api, NODES)}
    missing = [node for node in node_objects(spec) if node["metadata"]["name"] not in existing]

    def create(node: Json) -> None:
        reply = api.request("POST", NODES, node)
        if not reply.ok and reply.status != CONFLICT:
            reason = reply.body.get("message", reply.status)
            raise SandboxError(f"{spec.name}: node {node['metadata']['name']} was refused: {reason}; {_ANEW}")

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(create, missing))


def count_nodes(api: Api) -> NodeCount:
    """Count the nodes that can run pods: ready, and no longer tainted as new."""
    nodes = _items(api, NODES)
    usable = [node for node in nodes if _usable(node)]
    gpus = sum(_devices(node["status"].get("allocatable", {})) for node in usable)
    return NodeCount(total=len(nodes), ready=len(usable), gpus=gpus)


def leased(api: Api) -> int:
    """Count the nodes whose leases kwok holds."""
    return len(_items(api, LEASES))


def release_leases(api: Api) -> None:
    """Delete the node leases of a dead kwok. Call this only while no kwok runs. Raises `SandboxError`.

    Each kwok process has a new random identity and waits until its predecessor's leases expire: for minutes after a
    restart pods would be scheduled but not run.
    """
    reply = api.request("DELETE", LEASES)
    if not reply.ok:
        raise SandboxError(f"cannot delete the leases of the previous kwok: HTTP {reply.status}; {_ANEW}")


def grant_kwok(api: Api) -> None:
    """Give kwok's own identity exactly the permissions that it needs; existing objects stay. Raises `SandboxError`."""
    path = "/apis/rbac.authorization.k8s.io/v1"
    for kind, body in (("clusterroles", _KWOK_ROLE), ("clusterrolebindings", _KWOK_BINDING)):
        reply = api.request("POST", f"{path}/{kind}", body)
        if not reply.ok and reply.status != CONFLICT:
            raise SandboxError(f"cannot grant kwok its permissions: {reply.body.get('message', reply.status)}; {_ANEW}")


def _devices(allocatable: Json) -> int:
    """Count what a node offers under a vendor's name: a sandbox's nodes offer nothing else of that kind."""
    return sum(int(number) for name, number in allocatable.items() if "/" in name)


def _node(name: str, pool: NodePool, zone: str) -> Json:
    resources = _RESOURCES | {pool.resource: str(pool.gpus_per_node)}
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": f"gpu-{pool.gpus_per_node}x",
        "topology.kubernetes.io/region": "kr",
        "topology.kubernetes.io/zone": zone,
        pool.label: pool.product,
    }
    if pool.resource == GPU_RESOURCE:  # what NVIDIA's GPU feature discovery adds
        labels |= {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.count": str(pool.gpus_per_node)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"capacity": resources, "allocatable": resources},
    }


def _items(api: Api, path: str) -> list[Json]:
    reply = api.get(path)
    return [] if reply is None else list(reply.get("items", []))


def _usable(node: Json) -> bool:
    conditions: list[dict[str, Any]] = node["status"].get("conditions", [])
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    taints = node["spec"].get("taints", [])
    return ready and not any(taint["key"].startswith("node.kubernetes.io/") for taint in taints)


_ROLE_NAME = "gpuprov-sandbox-kwok"
_KWOK_ROLE: Json = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": _ROLE_NAME},
    "rules": [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes/status", "pods/status"], "verbs": ["patch", "update"]},
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "verbs": ["get", "list", "watch", "patch", "update", "delete"],
        },
        {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["get", "list", "watch", "create", "patch", "update"],
        },
    ],
}
_KWOK_BINDING: Json = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": _ROLE_NAME},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _ROLE_NAME},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": KWOK_USER}],
}
