"""Names under which GPUs can be had and that no quota covers: each is a way around an award."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gpuprov.core.cluster import ProviderCluster
from gpuprov.preflight import dra
from gpuprov.preflight.facts import Live, Seen, Unread
from gpuprov.preflight.finding import BY_SETUP, Finding, failed, ok, some, warning
from gpuprov.preflight.nodes import Node, gpu_like

CHECK = "resource names"

_PENDING = "a pod that asks for it needs a claim, which awards' namespaces refuse, and stays pending"
_REPLACES = "a list there replaces the default, so repeat the default's names"


def check(
    cluster: ProviderCluster,
    nodes: Sequence[Node],
    device_classes: Seen,
    slices: Seen,
) -> list[Finding]:
    """Compare the nodes' resources, and device classes and drivers of DRA, with what every quota sets."""
    findings = [failed(CHECK, text, BY_SETUP) for text in dra.unseen(device_classes)]
    if isinstance(slices, Unread):
        seen = f"drivers of DRA cannot be seen: {slices.reason}"
        findings.append(warning(CHECK, seen, BY_SETUP))
    classes = () if isinstance(device_classes, Unread) else device_classes
    covered = {*cluster.other_gpu_resources, *(pool.resource for pool in cluster.pools)}
    findings += [failed(CHECK, f"{text}: {_PENDING}", dra.REMEDY) for text in dra.served(cluster, classes)]
    findings += _resources(_offered(nodes), covered)
    findings += _extended(classes, covered)
    findings += _dra(cluster, classes, () if isinstance(slices, Unread) else slices)
    return findings or [ok(CHECK, "quotas cover every resource name of the nodes and every device class")]


def _offered(nodes: Sequence[Node]) -> dict[str, int]:
    """Return how many of each resource the nodes give now. A node that is out of order counts too: it comes back."""
    offered: dict[str, int] = {}
    for node in nodes:
        for name, amount in node.offers.items():
            offered[name] = offered.get(name, 0) + amount
    return offered


def _resources(offered: Mapping[str, int], covered: set[str]) -> list[Finding]:
    findings = []
    for name, amount in sorted(offered.items()):
        if name in covered:
            continue
        remedy = f"add {name} to the stack's otherGpuResources ({_REPLACES})"
        if not gpu_like(name):
            seen = f"{name}: no quota covers it; it is no GPU by its name"
            findings.append(warning(CHECK, seen, f"if it leads to a GPU, {remedy}"))
        elif amount:
            findings.append(failed(CHECK, f"{name}: nodes offer {amount}, and no quota covers it", remedy))
        else:
            findings.append(warning(CHECK, f"{name}: nodes know it and offer none; no quota covers it", remedy))
    return findings


def _extended(classes: Sequence[Live], covered: set[str]) -> Iterator[Finding]:
    """Judge the resources that device classes answer for and no quota has."""
    for device_class in classes:
        name = dra.extended_name(device_class)
        if not name or name in covered:
            continue
        seen = f"device class {device_class['metadata']['name']} serves {name} by DRA, and no quota covers it"
        if gpu_like(name):
            yield failed(CHECK, seen, dra.REMEDY)
        else:
            yield warning(CHECK, f"{seen}; it is no GPU by its name", f"if it leads to a GPU, {dra.REMEDY}")


def _dra(cluster: ProviderCluster, classes: Sequence[Live], slices: Iterable[Live]) -> list[Finding]:
    """A claim names a device class; a driver with no class of its name may be reached through one with another name."""
    known = set(cluster.device_classes)
    class_names = {device_class["metadata"]["name"] for device_class in classes}
    drivers = {
        str(resource_slice["spec"]["driver"])
        for resource_slice in slices
        if (resource_slice.get("spec") or {}).get("driver")
    }
    findings = []
    for kind, names in (("device class", class_names - known), ("driver", drivers - known - class_names)):
        remedy = f"add the {kind} to the stack's deviceClasses ({_REPLACES})"
        if gpus := sorted(name for name in names if gpu_like(name)):
            findings.append(failed(CHECK, f"{kind} {some(gpus)}: no quota covers it", remedy))
        if others := sorted(name for name in names if not gpu_like(name)):
            seen = f"{kind} {some(others)}: no quota covers it; it is no GPU by its name"
            findings.append(warning(CHECK, seen, f"if it leads to a GPU, {remedy}"))
    return findings
