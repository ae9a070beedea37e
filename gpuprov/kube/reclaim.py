"""Takes GPUs back on a provider's cluster, and proves that they are free.

A quota of 0 stops new pods but no running one, and what a quota charges does not tell which GPUs are free: a pod that
is stuck while it terminates is not charged any more and still holds its GPU. So access goes first, then the quota, then
the pods, and a GPU counts as free only when the API server knows no pod of the tenant any more. Pods are deleted with a
grace period and never by force: that would remove the record of the pod and not the process on the GPU. Finalizers are
reported and never stripped.

Only what was read proves anything. A reading that fails proves nothing and ends nothing: it is repeated until the time
is over, and what is not proven by then is reported as still there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import BINDING, MANAGER, QUOTA, SERVICE_ACCOUNT, selector
from gpuprov.core.observed import deletion_waits_for
from gpuprov.core.pods import gpus_of, has_ended, is_told_to_end, may_hold_gpus, why_not_ended
from gpuprov.errors import ClusterError
from gpuprov.i18n import joined, tr, trn
from gpuprov.kube.client import AT_ONCE, ONE_BY_ONE, KubeApi

GRACE_SECONDS = 30
"""What a container gets to end by itself after SIGTERM, as is Kubernetes' own default."""

T = TypeVar("T")

_POLL_SECONDS = 0.2
_SLOWEST_POLL_SECONDS = 2.0
_NEVER_READ: str = tr("it was never read back")


@dataclass(slots=True)
class _Poll:
    """Waits between two readings, longer each time: a few GPUs come back in moments, thousands take minutes."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Teardown:
    """Takes back what awards have on one provider's cluster, through one API client.

    ``resources`` are the names under which awards have GPUs there. ``timeout`` is in seconds, for each of the waits
    anew; ``progress`` is told what is waited for. Every step may be repeated at any time, also where a namespace is
    half gone.
    """

    provider: str
    resources: Collection[str]
    api: KubeApi
    timeout: float
    progress: Callable[[str], None]

    @classmethod
    def on(cls, cluster: ProviderCluster, *, api: KubeApi, timeout: float, progress: Callable[[str], None]) -> Teardown:
        """Return the teardown for a provider's cluster as it is configured."""
        return cls(provider=cluster.provider, resources=cluster.resources, api=api, timeout=timeout, progress=progress)

    def lower(self, hard: Mapping[str, Mapping[str, str]]) -> None:
        """Lower the quotas of shrinking tenants, by namespace. Raises ClusterError where one is refused."""
        _side_by_side(lambda name: self._limit(name, hard[name]), list(hard))

    def release(self, namespaces: Sequence[str]) -> list[Release]:
        """Close the namespaces and end their pods; return for each whether its GPUs are proven free.

        Raises ClusterError where the API server refuses or does not answer before every pod was told to end; a failure
        after that ends nothing: the pods are read again.
        """
        begun = self.api.clock.now()
        _side_by_side(self._close, namespaces)
        pods = self._pods(namespaces)
        waiting = {name: left for name, left in pods.items() if left}
        _side_by_side(self._end_pods, list(waiting))
        spent = self.api.clock.now() - begun
        done = [Release(namespace=name, seconds=spent) for name in pods if name not in waiting]
        unread: ClusterError | None = None
        poll = _Poll(self.api.clock.sleep)
        while waiting:
            try:  # a pod may have come to a node since: only what is read after its deletion counts
                waiting, unread = self._unfinished(waiting), None
            except ClusterError as error:
                unread = error
            spent = self.api.clock.now() - begun
            done += [Release(namespace=name, seconds=spent) for name, left in waiting.items() if not left]
            waiting = {name: left for name, left in waiting.items() if left}
            if not waiting or spent >= self.timeout:
                break
            self.progress(
                trn(
                    "waiting for the pods of {number} namespace to end{but}",
                    "waiting for the pods of {number} namespaces to end{but}",
                    len(waiting),
                    but=_but(unread),
                )
            )
            poll.wait(at_most=self.timeout - spent)
        return done + [_stuck(name, spent, left, self.resources, unread) for name, left in waiting.items()]

    def delete(self, namespaces: Sequence[str]) -> None:
        """Delete the namespaces, also those that no Pulumi state knows. Raises ClusterError where one is refused."""
        _side_by_side(lambda name: self.api.delete(f"/api/v1/namespaces/{name}"), namespaces)

    def prove_gone(self, namespaces: Collection[str]) -> dict[str, str]:
        """Read back until none of the namespaces exists; return those that are not proven gone, with the reason.

        ``timeout`` counts from the last namespace that went: a server takes minutes over thousands.
        """
        poll = _Poll(self.api.clock.sleep)
        unread: ClusterError | None = None
        remaining = dict.fromkeys(namespaces, _NEVER_READ)
        since = self.api.clock.now()
        while remaining:
            before = len(remaining)
            try:
                remaining, unread = self._existing(remaining), None
            except ClusterError as error:
                unread = error
            if len(remaining) < before:
                since = self.api.clock.now()
            if not remaining or self.api.clock.now() - since >= self.timeout:
                break
            self.progress(
                trn(
                    "waiting for {number} namespace to go{but}",
                    "waiting for {number} namespaces to go{but}",
                    len(remaining),
                    but=_but(unread),
                )
            )
            poll.wait()
        return {name: _with_failure(reason, unread) for name, reason in remaining.items()}

    def settle(self, namespaces: Collection[str]) -> dict[str, str]:
        """Wait for those of the namespaces that are being deleted: until they are gone, none can be made again.

        Return those that are still being deleted after ``timeout``, or may be, with the reason.
        """
        if not namespaces:
            return {}
        begun = self.api.clock.now()
        poll = _Poll(self.api.clock.sleep)
        terminating, unread = dict.fromkeys(namespaces, _NEVER_READ), None
        while True:
            try:
                terminating, unread = self._terminating(terminating), None
            except ClusterError as error:
                unread = error
            if not terminating or self.api.clock.now() - begun >= self.timeout:
                return {name: _with_failure(reason, unread) for name, reason in terminating.items()}
            self.progress(
                trn(
                    "waiting for {number} namespace to go before it is made again{but}",
                    "waiting for {number} namespaces to go before they are made again{but}",
                    len(terminating),
                    but=_but(unread),
                )
            )
            poll.wait()

    def _close(self, namespace: str) -> None:
        """Take access away and let nothing new start: no pod, so no GPU either, and no controller can replace one.

        Without the service account every token that was issued for it is void.
        """
        self.api.delete(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{BINDING}")
        self.api.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/{SERVICE_ACCOUNT}")
        self._limit(namespace, {"pods": "0", **{f"requests.{resource}": "0" for resource in self.resources}})

    def _limit(self, namespace: str, hard: Mapping[str, str]) -> None:
        path = f"/api/v1/namespaces/{namespace}/resourcequotas/{QUOTA}"
        self.api.merge(path, {"spec": {"hard": dict(hard)}}, manager=MANAGER)

    def _end_pods(self, namespace: str) -> None:
        self.api.delete(f"/api/v1/namespaces/{namespace}/pods", gracePeriodSeconds=str(GRACE_SECONDS))

    def _pods(self, namespaces: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the pods of each namespace. For many namespaces the whole cluster is read at once."""
        if len(namespaces) <= ONE_BY_ONE:
            lists = _side_by_side(lambda name: list(self.api.list(f"/api/v1/namespaces/{name}/pods")), list(namespaces))
            return dict(zip(namespaces, lists, strict=True))
        pods: dict[str, list[dict[str, Any]]] = {name: [] for name in namespaces}
        for pod in self.api.list("/api/v1/pods"):
            if pod["metadata"]["namespace"] in pods:
                pods[pod["metadata"]["namespace"]].append(pod)
        return pods

    def _unfinished(self, namespaces: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """Return of each namespace the pods that hold a GPU or may come to, and end those that came meanwhile."""
        pods = {name: [pod for pod in found if may_hold_gpus(pod)] for name, found in self._pods(namespaces).items()}
        late = [name for name, left in pods.items() if not all(map(is_told_to_end, left))]
        _side_by_side(self._end_pods, late)
        return pods

    def _existing(self, names: Collection[str]) -> dict[str, str]:
        """Return those of the namespaces that exist, whatever labels they have, and why they remain.

        Many are read in one LIST of all.
        """
        if len(names) <= ONE_BY_ONE:
            answers = _side_by_side(lambda name: self.api.get(f"/api/v1/namespaces/{name}"), list(names))
            found = {name: item for name, item in zip(names, answers, strict=True) if item is not None}
        else:
            found = {item["metadata"]["name"]: item for item in self.api.list("/api/v1/namespaces")}
        return {name: _why_remaining(found[name]) for name in names if name in found}

    def _terminating(self, names: Collection[str]) -> dict[str, str]:
        """Return those of the namespaces that are being deleted, and what they wait for."""
        return {
            item["metadata"]["name"]: _why_remaining(item)
            for item in self.api.list("/api/v1/namespaces", labelSelector=selector(self.provider))
            if item["metadata"]["name"] in names and _is_being_deleted(item)
        }


def _stuck(
    namespace: str,
    seconds: float,
    pods: Sequence[Mapping[str, Any]],
    resources: Collection[str],
    unread: ClusterError | None,
) -> Release:
    left = [pod for pod in pods if not has_ended(pod)]
    reasons = [why_not_ended(pod) for pod in left]
    if unread:
        reasons.append(tr("its pods could not be read again: {reason}", reason=unread.message))
    held = sum(gpus for pod in left for gpus in gpus_of(pod, resources).values())
    return Release(namespace=namespace, seconds=seconds, stuck=tuple(reasons), held=held)


def _but(unread: ClusterError | None) -> str:
    return tr("; reading failed: {reason}", reason=unread.message) if unread else ""


def _with_failure(reason: str, unread: ClusterError | None) -> str:
    return joined("", [reason, _but(unread)]) if unread else reason


def _is_being_deleted(namespace: Mapping[str, Any]) -> bool:
    return bool(namespace["metadata"].get("deletionTimestamp"))


def _why_remaining(namespace: Mapping[str, Any]) -> str:
    """Return what a namespace that was deleted waits for. One that nobody is deleting is another of the same name."""
    if not _is_being_deleted(namespace):
        return tr("somebody has made it again since it was deleted; find out who, then rerun the command")
    return deletion_waits_for(namespace)


def _side_by_side(work: Callable[[str], T], names: Sequence[str]) -> list[T]:
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(work, names))
