"""Takes GPUs back on a provider's cluster, and proves that they are free.

A quota at 0 stops new pods but touches no running one, and what a quota charges says nothing about the cards: a pod
that is stuck while terminating is not charged any more and still holds its GPU. So access goes first, then the quota,
then the pods, and a card counts as free only when the API server knows no pod of the tenant any more. Pods are deleted
with a grace period and never by force: that would remove the record of the pod and not the process on the card.
Finalizers are reported and never stripped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from gpuprov.cluster import ProviderCluster
from gpuprov.kube import KubeApi
from gpuprov.manifests import BINDING, MANAGER, QUOTA, SERVICE_ACCOUNT, selector
from gpuprov.quantity import whole

GRACE_SECONDS = 30
"""What a container gets to end by itself after SIGTERM, as is Kubernetes' own default."""

T = TypeVar("T")

_AT_ONCE = 16
_FEW = 20
_POLL_SECONDS = 0.2
_SLOWEST_POLL_SECONDS = 2.0


@dataclass(slots=True)
class _Poll:
    """Waits between two looks, longer each time: the first GPUs come back in moments, thousands take minutes."""

    seconds: float = _POLL_SECONDS

    def wait(self, at_most: float = _SLOWEST_POLL_SECONDS) -> None:
        time.sleep(min(self.seconds, at_most))
        self.seconds = min(self.seconds * 1.5, _SLOWEST_POLL_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What became of one namespace's pods. ``stuck`` says which pods have not ended and why; empty is free.

    ``held`` are the GPUs that these pods hold; ``seconds`` is from the call to the proof.
    """

    namespace: str
    seconds: float
    stuck: tuple[str, ...] = ()
    held: int = 0


def release(
    cluster: ProviderCluster, namespaces: Sequence[str], *, timeout: float, progress: Callable[[str], None]
) -> list[Release]:
    """Close the namespaces and end their pods; return for each whether its GPUs are proven free.

    ``timeout`` is in seconds for all together. Raises ClusterError where the API server refuses or does not answer.
    Safe to call again at any time, also where a namespace is half gone.
    """
    begun = time.monotonic()
    api = KubeApi(cluster)
    resources = {pool.resource for pool in cluster.pools}
    _side_by_side(lambda name: _close(api, name, resources), namespaces)
    pods = _pods(api, namespaces)
    busy = [name for name, there in pods.items() if there]
    _side_by_side(lambda name: _end_pods(api, name), busy)
    pods |= _pods(api, busy)  # a pod may have come to a node since: only what is read after its deletion counts
    done: list[Release] = []
    poll = _Poll()
    while True:
        spent = time.monotonic() - begun
        held = {name: [pod for pod in left if _holds_a_card(pod)] for name, left in pods.items()}
        done += [Release(namespace=name, seconds=spent) for name, left in held.items() if not left]
        waiting = [name for name, left in held.items() if left]
        if waiting and spent >= timeout:
            return done + [_stuck(name, spent, held[name], resources) for name in waiting]
        if not waiting:
            return done
        progress(f"waiting for the pods of {len(waiting)} namespaces to end")
        poll.wait(at_most=timeout - spent)
        pods = _pods(api, waiting)


def delete(cluster: ProviderCluster, namespaces: Sequence[str]) -> None:
    """Ask for the namespaces to go, also those that no Pulumi state knows."""
    api = KubeApi(cluster)
    _side_by_side(lambda name: api.delete(f"/api/v1/namespaces/{name}"), namespaces)


def lower(cluster: ProviderCluster, hard: Mapping[str, Mapping[str, str]]) -> None:
    """Lower the quotas of shrinking tenants, by namespace, before anything is granted from what they give back."""
    api = KubeApi(cluster)
    _side_by_side(lambda name: _limit(api, name, hard[name]), list(hard))


def prove_gone(
    cluster: ProviderCluster, namespaces: Collection[str], *, timeout: float, progress: Callable[[str], None]
) -> dict[str, str]:
    """Read back until none of the namespaces exists; return the ones that remain, with the reason.

    ``timeout`` s is how long to wait without one more of them going: a server takes minutes over thousands.
    """
    api = KubeApi(cluster)
    poll = _Poll()
    since, fewest = time.monotonic(), len(namespaces) + 1
    while True:
        there = _namespaces(api, namespaces)
        if len(there) < fewest:
            since, fewest = time.monotonic(), len(there)
        if not there:
            return {}
        if time.monotonic() - since >= timeout:
            return {name: _why_terminating(item) for name, item in there.items()}
        progress(f"waiting for {len(there)} namespaces to go")
        poll.wait()


def _namespaces(api: KubeApi, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return those of the namespaces that exist, whatever labels they have. Many are read in one LIST of all."""
    if len(names) <= _FEW:
        found = _side_by_side(lambda name: api.get(f"/api/v1/namespaces/{name}"), list(names))
        return {name: item for name, item in zip(names, found, strict=True) if item is not None}
    wanted = set(names)
    listed = {item["metadata"]["name"]: item for item in api.list("/api/v1/namespaces")}
    return {name: item for name, item in listed.items() if name in wanted}


def settle(
    cluster: ProviderCluster, namespaces: Collection[str], *, timeout: float, progress: Callable[[str], None]
) -> dict[str, str]:
    """Wait for those of the namespaces that are being deleted: nothing can be made in them, nor they themselves again.

    Return the ones that are still going after ``timeout`` s, with the reason.
    """
    if not namespaces:
        return {}
    begun = time.monotonic()
    api = KubeApi(cluster)
    poll = _Poll()
    while True:
        listed = api.list("/api/v1/namespaces", labelSelector=selector(cluster.provider))
        going = {
            item["metadata"]["name"]: _why_terminating(item)
            for item in listed
            if item["metadata"]["name"] in namespaces and item["metadata"].get("deletionTimestamp")
        }
        if not going or time.monotonic() - begun >= timeout:
            return going
        progress(f"waiting for {len(going)} namespaces to go before they are made again")
        poll.wait()


def _close(api: KubeApi, namespace: str, resources: Collection[str]) -> None:
    """Take access away and let nothing new start: no pod, so no GPU either, and no controller can replace one.

    Without the service account every token that was issued for it is void.
    """
    api.delete(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{BINDING}")
    api.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/{SERVICE_ACCOUNT}")
    _limit(api, namespace, {"pods": "0", **{f"requests.{resource}": "0" for resource in resources}})


def _end_pods(api: KubeApi, namespace: str) -> None:
    api.delete(f"/api/v1/namespaces/{namespace}/pods", gracePeriodSeconds=str(GRACE_SECONDS))


def _limit(api: KubeApi, namespace: str, hard: Mapping[str, str]) -> None:
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/{QUOTA}"
    api.merge(path, {"spec": {"hard": dict(hard)}}, manager=MANAGER)


def _pods(api: KubeApi, namespaces: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the pods of each namespace. For many namespaces the whole cluster is read at once."""
    if len(namespaces) <= _FEW:
        lists = _side_by_side(lambda name: list(api.list(f"/api/v1/namespaces/{name}/pods")), list(namespaces))
        return dict(zip(namespaces, lists, strict=True))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in namespaces}
    for pod in api.list("/api/v1/pods"):
        if pod["metadata"]["namespace"] in found:
            found[pod["metadata"]["namespace"]].append(pod)
    return found


def _holds_a_card(pod: Mapping[str, Any]) -> bool:
    """A pod that was bound to a node and has not ended; where it waits for a node, or has ended, it holds none."""
    return bool(pod["spec"].get("nodeName")) and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def _stuck(namespace: str, seconds: float, pods: Sequence[Mapping[str, Any]], resources: Collection[str]) -> Release:
    held = sum(_gpus(pod, resources) for pod in pods)
    return Release(namespace=namespace, seconds=seconds, stuck=tuple(_why_stuck(pod) for pod in pods), held=held)


def _gpus(pod: Mapping[str, Any], resources: Collection[str]) -> int:
    """Return the most GPUs that a pod can hold: init containers run before the others, or beside them as sidecars."""
    return sum(
        whole(str(container.get("resources", {}).get("limits", {}).get(resource, "0")))
        for part in ("containers", "initContainers")
        for container in pod["spec"].get(part) or ()
        for resource in resources
    )


def _why_stuck(pod: Mapping[str, Any]) -> str:
    metadata = pod["metadata"]
    text = f"pod {metadata['name']} on node {pod['spec']['nodeName']}"
    if metadata.get("finalizers"):
        return f"{text} is held by the finalizers {', '.join(metadata['finalizers'])}"
    return f"{text} has not ended; check the node"


def _why_terminating(namespace: Mapping[str, Any]) -> str:
    conditions = namespace.get("status", {}).get("conditions") or ()
    reasons = [one["message"] for one in conditions if one.get("status") == "True" and one.get("message")]
    return "; ".join(reasons) or "its deletion has not ended yet"


def _side_by_side(work: Callable[[str], T], names: Sequence[str]) -> list[T]:
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(work, names))
