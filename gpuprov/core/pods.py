"""What a pod holds on its node, from the pod as the API server prints it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gpuprov.core.quantity import whole
from gpuprov.i18n import tr


def has_ended(pod: Mapping[str, Any]) -> bool:
    """Tell whether all containers of a pod have ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def holds_gpus(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod holds what it asks for: it is bound to a node and has not ended, also while it terminates."""
    return bool(pod["spec"].get("nodeName")) and not has_ended(pod)


def is_told_to_end(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod was deleted. Until its containers have ended it is there and terminates."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def may_hold_gpus(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod holds GPUs or may come to: one without a node gets one, unless it was told to end."""
    return holds_gpus(pod) or not (has_ended(pod) or is_told_to_end(pod))


def why_not_ended(pod: Mapping[str, Any]) -> str:
    """Return a phrase that names a pod that does not end, its node, and what keeps it where that is known."""
    metadata, node = pod["metadata"], pod["spec"].get("nodeName")
    place = tr("pod {pod} on node {node}", pod=metadata["name"], node=node)
    if not node:
        place = tr("pod {pod} without a node", pod=metadata["name"])
    if finalizers := metadata.get("finalizers"):
        return tr(
            "{place} is held by the finalizers {finalizers}; check the controller that has to remove them",
            place=place,
            finalizers=", ".join(finalizers),
        )
    if node:
        return tr("{place} has not ended; check the node", place=place)
    return tr("{place} has not ended", place=place)


def gpus_of(pod: Mapping[str, Any], resources: Collection[str]) -> dict[str, int]:
    """Return the GPUs, by resource name, that the scheduler charges a node for the pod; only what is more than 0.

    Init containers run one after another before the containers, beside the sidecars that were started before them
    (``restartPolicy: Always``), which go on beside the containers. The same is in kubernetes/kubernetes,
    ``PodRequests`` in ``component-helpers/resource``.
    """
    charged = {resource: _charged(pod["spec"], resource) for resource in resources}
    return {resource: gpus for resource, gpus in charged.items() if gpus > 0}


def _charged(spec: Mapping[str, Any], resource: str) -> int:
    sidecars = starting = 0
    for container in spec.get("initContainers") or ():
        asked = _asked(container, resource)
        if container.get("restartPolicy") == "Always":
            sidecars += asked
            starting = max(starting, sidecars)
        else:
            starting = max(starting, sidecars + asked)
    running = sidecars + sum(_asked(container, resource) for container in spec.get("containers") or ())
    return max(starting, running) + whole(str((spec.get("overhead") or {}).get(resource, "0")))


def _asked(container: Mapping[str, Any], resource: str) -> int:
    """Return what a container asks for. Limits and requests of an extended resource are the same where both are."""
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    return whole(str(limits.get(resource, requests.get(resource, "0"))))


@dataclass(frozen=True, slots=True, kw_only=True)
class PodUse:
    """A pod as people look at it. ``gpus`` is what it asks for; it ``holds`` them from when it has a node to its end.

    ``node`` is empty while it has none.
    """

    name: str
    phase: str
    gpus: int
    node: str
    holds: bool
    terminating: bool


def use_of(pod: Mapping[str, Any], resources: Collection[str]) -> PodUse:
    """Return what a pod asks for of these resources and whether it holds it."""
    return PodUse(
        name=pod["metadata"]["name"],
        phase=str((pod.get("status") or {}).get("phase") or "Unknown"),
        gpus=sum(gpus_of(pod, resources).values()),
        node=str(pod["spec"].get("nodeName") or ""),
        holds=holds_gpus(pod),
        terminating=is_told_to_end(pod),
    )
