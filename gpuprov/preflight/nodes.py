"""The GPU servers as the API server shows them: how many GPUs of each pool can be scheduled, under which names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.quantity import whole
from gpuprov.preflight.finding import Finding, counted, failed, ok, some, warning

CHECK = "nodes"
CAPACITY = "capacity"

PRODUCT = "nvidia.com/gpu.product"
_BLOCKING = ("NoSchedule", "NoExecute")
_OWN_TAINT = "node.kubernetes.io/"
_OWN_NAMES = ("kubernetes.io", "k8s.io")
_GPU_VENDORS = ("nvidia.com", "amd.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node. ``offers`` is what it can give, of every vendor-qualified name, 0 where it gives none now.

    ``obstacle`` says why no pod comes there; empty where one does. ``taints`` are keys that a pod must tolerate.
    """

    name: str
    labels: Mapping[str, str]
    offers: Mapping[str, int]
    obstacle: str
    taints: tuple[str, ...]

    def of(self, pool: GpuPool) -> bool:
        """Tell whether the node has the pool's label."""
        return all(self.labels.get(key) == value for key, value in pool.node_label.items())


def read(live: Iterable[Mapping[str, Any]]) -> tuple[Node, ...]:
    """Read Node objects."""
    return tuple(_node(node["metadata"], node.get("spec") or {}, node.get("status") or {}) for node in live)


def gpu_like(name: str) -> bool:
    """Tell whether a resource, device class or driver is a GPU by its name: one that a quota should know of."""
    domain = name.partition("/")[0].lower()
    known = any(domain == vendor or domain.endswith(f".{vendor}") for vendor in _GPU_VENDORS)
    return known or "gpu" in name.lower()


def has_gpus(node: Node, awarded: Collection[str]) -> bool:
    """Tell whether a node offers a resource of the pools, or anything that is a GPU by its name."""
    return any(amount and (name in awarded or gpu_like(name)) for name, amount in node.offers.items())


def check(cluster: ProviderCluster, nodes: Sequence[Node]) -> list[Finding]:
    """Compare the pools' labels with the nodes: each finds some, none is found twice, and no GPU is left over."""
    findings = []
    for pool in cluster.pools:
        pool_nodes = [node for node in nodes if node.of(pool)]
        label = _label(pool)
        if not pool_nodes:
            seen = f"{pool.model}: no node has the label {label}"
            findings.append(
                failed(CHECK, seen, f"correct the pool's nodeLabel, or have its nodes labelled so; {_there(nodes)}")
            )
            continue
        findings.append(ok(CHECK, f"{pool.model}: {counted(len(pool_nodes), 'node')} with the label {label}"))
        findings += _tainted(pool, pool_nodes)
    twice = [node.name for node in nodes if sum(node.of(pool) for pool in cluster.pools) > 1]
    if twice:
        remedy = "give each pool a nodeLabel of its own: these GPUs are counted for two models"
        findings.append(failed(CHECK, f"in more than one pool: {some(twice)}", remedy))
    awarded = {pool.resource for pool in cluster.pools}
    stray = [node for node in nodes if has_gpus(node, awarded) and not any(node.of(pool) for pool in cluster.pools)]
    if stray:
        remedy = "add a pool for them to the stack, or correct their labels; no award can use them as it is"
        names = some([f"{node.name} ({node.labels.get(PRODUCT, 'no product label')})" for node in stray])
        findings.append(warning(CHECK, f"{counted(len(stray), 'node')} with GPUs in no pool: {names}", remedy))
    return findings


def capacity(cluster: ProviderCluster, nodes: Sequence[Node], peaks: Mapping[str, int], at: datetime) -> list[Finding]:
    """Compare the GPUs that can be scheduled with the configured capacity and the award lists' highest demand.

    ``peaks`` are GPUs by the model's name, ``at`` is the instant whose capacity counts, and is told in its zone. A GPU
    counts where it is allocatable on a ready, schedulable node of the pool.
    """
    return [
        _capacity(pool, [node for node in nodes if node.of(pool)], peaks.get(pool.model, 0), at)
        for pool in cluster.pools
    ]


def _capacity(pool: GpuPool, nodes: Sequence[Node], peak: int, at: datetime) -> Finding:
    configured = pool.capacity_at(at)
    usable = [node for node in nodes if not node.obstacle]
    available = sum(node.offers.get(pool.resource, 0) for node in usable)
    seen = (
        f"{pool.model}: {available} {pool.resource} on {counted(len(usable), 'node')}; "
        f"configured {configured}, awarded at most {peak}"
    )
    out = [f"{node.name} ({node.obstacle})" for node in nodes if node.obstacle]
    if out:
        seen += f"; not counted: {some(out)}"
    if available < max(peak, configured):
        back = "bring the nodes back" if out else "find the nodes or GPUs that are missing"
        less = _from_now_on(available, at)
        if available < peak:
            less += " and take awards from it: forfeit or reduce them, or move them to another provider"
        return failed(CAPACITY, seen, f"{back}, or {less}")
    if available > configured:
        return warning(CAPACITY, seen, f"{_from_now_on(available, at)}, if all of them are for awards")
    return ok(CAPACITY, seen)


def _from_now_on(gpus: int, at: datetime) -> str:
    """Advise a step and not another number: that would speak of the past too, which awards cannot be taken from."""
    start = at.isoformat(timespec="minutes")
    return f"set the pool's capacity to {gpus} from now on with a step `{{gpus: {gpus}, from: {start}}}`"


def _node(metadata: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> Node:
    allocatable = status.get("allocatable") or {}
    names = sorted({*allocatable, *(status.get("capacity") or {})})
    taints = [taint for taint in spec.get("taints") or () if taint.get("effect") in _BLOCKING]
    return Node(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        offers={name: whole(str(allocatable.get(name, "0"))) for name in names if _of_a_vendor(name)},
        obstacle=_obstacle(spec, status, [taint["key"] for taint in taints]),
        taints=tuple(sorted({taint["key"] for taint in taints if not taint["key"].startswith(_OWN_TAINT)})),
    )


def _of_a_vendor(name: str) -> bool:
    domain, slash, _ = name.partition("/")
    return bool(slash) and not any(domain == own or domain.endswith(f".{own}") for own in _OWN_NAMES)


def _obstacle(spec: Mapping[str, Any], status: Mapping[str, Any], taints: Sequence[str]) -> str:
    conditions = status.get("conditions") or ()
    if not any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions):
        return "not ready"
    if spec.get("unschedulable"):
        return "cordoned"
    return next((key for key in taints if key.startswith(_OWN_TAINT)), "")


def _tainted(pool: GpuPool, nodes: Sequence[Node]) -> list[Finding]:
    """A toleration of the pool's own resource name is added by the admission plugin ExtendedResourceToleration."""
    keys = sorted({key for node in nodes for key in node.taints})
    if not keys:
        return []
    remedy = (
        "awardees must write a toleration for it into their pods, and the chart must allow it "
        "(`admission.allowedTolerations`)"
    )
    if pool.resource in keys:
        remedy += f"; the admission plugin ExtendedResourceToleration writes the one for {pool.resource}"
    return [warning(CHECK, f"{pool.model}: nodes are tainted with {some(keys)}", remedy)]


def _label(pool: GpuPool) -> str:
    return ", ".join(f"{key}={value}" for key, value in pool.node_label.items())


def _there(nodes: Sequence[Node]) -> str:
    products = sorted({node.labels[PRODUCT] for node in nodes if PRODUCT in node.labels})
    return f"nodes have {PRODUCT} {some(products)}" if products else f"no node has a label {PRODUCT}"
