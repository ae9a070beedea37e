"""Takes GPUs back on a provider's cluster, and proves that they are free.

A quota at 0 stops new pods but touches no running one, and what a quota charges says nothing about the cards: a pod
that is stuck while terminating is not charged any more and still holds its GPU. So access goes first, then the quota,
then the pods, and a card counts as free only when the API server knows no pod of the tenant any more. Pods are deleted
with a grace period and never by force: that would remove the record of the pod and not the process on the card.
Finalizers are reported and never stripped.

Only what was read proves anything. A reading that fails ends no proof: there are others until the time is over, and
what is not proven then is reported as still there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import BINDING, MANAGER, QUOTA, SERVICE_ACCOUNT, selector
from gpuprov.core.pods import gpus_of, has_ended, holds_gpus
from gpuprov.errors import ClusterError
from gpuprov.kube.client import KubeApi

GRACE_SECONDS = 30
"""What a container gets to end by itself after SIGTERM, as is Kubernetes' own default."""

T = TypeVar("T")

_AT_ONCE = 16
_FEW = 20
_POLL_SECONDS = 0.2
_SLOWEST_POLL_SECONDS = 2.0
_NEVER_READ = "it was never read back"


@dataclass(slots=True)
class _Poll:
    """Waits between two looks, longer each time: the first GPUs come back in moments, thousands take minutes."""

    sleep: Callable[[float], None]
    seconds: float = _POLL_SECONDS

    def wait(self, at_most: float = _SLOWEST_POLL_SECONDS) -> None:
        self.sleep(min(self.seconds, at_most))
        self.seconds = min(self.seconds * 1.5, _SLOWEST_POLL_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What became of one namespace's pods. ``stuck`` says which pods have not ended and why; empty is free.

    ``held`` are the GPUs that these pods hold, or may hold where they could not be read again; ``seconds`` is from the
    call to the proof.
    """

    namespace: str
    seconds: float
    stuck: tuple[str, ...] = ()
    held: int = 0


def release(
    cluster: ProviderCluster,
    namespaces: Sequence[str],
    *,
    timeout: float,
    progress: Callable[[str], None],
    api: KubeApi | None = None,
) -> list[Release]:
    """Close the namespaces and end their pods; return for each whether its GPUs are proven free.

    ``timeout`` is in seconds for all together. Raises ClusterError where the API server refuses or does not answer
    before every pod was told to end; what fails after that is read again. Safe to call again at any time, also where
    a namespace is half gone.
    """
    api = api or KubeApi(cluster)
    begun = api.clock.now()
    resources = {pool.resource for pool in cluster.pools}
    _side_by_side(lambda name: _close(api, name, resources), namespaces)
    pods = _pods(api, namespaces)
    waiting = {name: there for name, there in pods.items() if there}
    _side_by_side(lambda name: _end_pods(api, name), list(waiting))
    spent = api.clock.now() - begun
    done = [Release(namespace=name, seconds=spent) for name in pods if name not in waiting]
    unread: ClusterError | None = None
    poll = _Poll(api.clock.sleep)
    while waiting:
        try:  # a pod may have come to a node since: only what is read after its deletion counts
            waiting, unread = _unfinished(api, waiting), None
        except ClusterError as error:
            unread = error
        spent = api.clock.now() - begun
        done += [Release(namespace=name, seconds=spent) for name, left in waiting.items() if not left]
        waiting = {name: left for name, left in waiting.items() if left}
        if not waiting or spent >= timeout:
            break
        progress(f"waiting for the pods of {len(waiting)} namespaces to end{_but(unread)}")
        poll.wait(at_most=timeout - spent)
    return done + [_stuck(name, spent, left, resources, unread) for name, left in waiting.items()]


def delete(cluster: ProviderCluster, namespaces: Sequence[str], api: KubeApi | None = None) -> None:
    """Ask for the namespaces to go, also those that no Pulumi state knows."""
    api = api or KubeApi(cluster)
    _side_by_side(lambda name: api.delete(f"/api/v1/namespaces/{name}"), namespaces)


def lower(cluster: ProviderCluster, hard: Mapping[str, Mapping[str, str]], api: KubeApi | None = None) -> None:
    """Lower the quotas of shrinking tenants, by namespace, before anything is granted from what they give back."""
    api = api or KubeApi(cluster)
    _side_by_side(lambda name: _limit(api, name, hard[name]), list(hard))


def prove_gone(
    cluster: ProviderCluster,
    namespaces: Collection[str],
    *,
    timeout: float,
    progress: Callable[[str], None],
    api: KubeApi | None = None,
) -> dict[str, str]:
    """Read back until none of the namespaces exists; return the ones that are not proven gone, with the reason.

    ``timeout`` s is how long to wait without one more of them going: a server takes minutes over thousands.
    """
    api = api or KubeApi(cluster)
    poll = _Poll(api.clock.sleep)
    unread: ClusterError | None = None
    remain = dict.fromkeys(namespaces, _NEVER_READ)
    since = api.clock.now()
    while remain:
        try:
            there, unread = _namespaces(api, remain), None
        except ClusterError as error:
            there, unread = remain, error
        if len(there) < len(remain):
            since = api.clock.now()
        remain = there
        if not remain or api.clock.now() - since >= timeout:
            break
        progress(f"waiting for {len(remain)} namespaces to go{_but(unread)}")
        poll.wait()
    return {name: f"{reason}{_but(unread)}" for name, reason in remain.items()}


def _namespaces(api: KubeApi, names: Collection[str]) -> dict[str, str]:
    """Return why those of the namespaces remain that exist, whatever labels they have.

    Many are read in one LIST of all.
    """
    if len(names) <= _FEW:
        found = _side_by_side(lambda name: api.get(f"/api/v1/namespaces/{name}"), list(names))
        there = {name: item for name, item in zip(names, found, strict=True) if item is not None}
    else:
        there = {item["metadata"]["name"]: item for item in api.list("/api/v1/namespaces")}
    return {name: _why_terminating(there[name]) for name in names if name in there}


def settle(
    cluster: ProviderCluster,
    namespaces: Collection[str],
    *,
    timeout: float,
    progress: Callable[[str], None],
    api: KubeApi | None = None,
) -> dict[str, str]:
    """Wait for those of the namespaces that are being deleted: nothing can be made in them, nor they themselves again.

    Return the ones that are still going after ``timeout`` s, or may be, with the reason.
    """
    if not namespaces:
        return {}
    api = api or KubeApi(cluster)
    begun = api.clock.now()
    poll = _Poll(api.clock.sleep)
    going = dict.fromkeys(namespaces, _NEVER_READ)
    while True:
        try:
            going, unread = _going(api, cluster.provider, going), None
        except ClusterError as error:
            unread = error
        if not going or api.clock.now() - begun >= timeout:
            return {name: f"{reason}{_but(unread)}" for name, reason in going.items()}
        progress(f"waiting for {len(going)} namespaces to go before they are made again{_but(unread)}")
        poll.wait()


def _going(api: KubeApi, provider: str, names: Collection[str]) -> dict[str, str]:
    """Return those of the namespaces that are being deleted, and what they wait for."""
    return {
        item["metadata"]["name"]: _why_terminating(item)
        for item in api.list("/api/v1/namespaces", labelSelector=selector(provider))
        if item["metadata"]["name"] in names and item["metadata"].get("deletionTimestamp")
    }


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


def _unfinished(api: KubeApi, namespaces: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return of each namespace the pods that hold a card or may come to hold one, and end those that came meanwhile."""
    pods = {name: [pod for pod in there if _matters(pod)] for name, there in _pods(api, namespaces).items()}
    late = [name for name, left in pods.items() if not all(map(_is_told_to_end, left))]
    _side_by_side(lambda name: _end_pods(api, name), late)
    return pods


def _matters(pod: Mapping[str, Any]) -> bool:
    """A pod that waits for a node gets one as long as nobody has deleted it, and never afterwards."""
    return holds_gpus(pod) or not (has_ended(pod) or _is_told_to_end(pod))


def _is_told_to_end(pod: Mapping[str, Any]) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _stuck(
    namespace: str,
    seconds: float,
    pods: Sequence[Mapping[str, Any]],
    resources: Collection[str],
    unread: ClusterError | None,
) -> Release:
    left = [pod for pod in pods if not has_ended(pod)]
    reasons = [_why_stuck(pod) for pod in left]
    if unread:
        reasons.append(f"its pods could not be read again: {unread.message}")
    held = sum(gpus for pod in left for gpus in gpus_of(pod, resources).values())
    return Release(namespace=namespace, seconds=seconds, stuck=tuple(reasons), held=held)


def _why_stuck(pod: Mapping[str, Any]) -> str:
    metadata = pod["metadata"]
    node = pod["spec"].get("nodeName")
    text = f"pod {metadata['name']} " + (f"on node {node}" if node else "without a node")
    if metadata.get("finalizers"):
        return f"{text} is held by the finalizers {', '.join(metadata['finalizers'])}"
    return f"{text} has not ended" + ("; check the node" if node else "")


def _but(unread: ClusterError | None) -> str:
    return f"; reading failed: {unread.message}" if unread else ""


def _why_terminating(namespace: Mapping[str, Any]) -> str:
    conditions = namespace.get("status", {}).get("conditions") or ()
    reasons = [one["message"] for one in conditions if one.get("status") == "True" and one.get("message")]
    return "; ".join(reasons) or "its deletion has not ended yet"


def _side_by_side(work: Callable[[str], T], names: Sequence[str]) -> list[T]:
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(work, names))
