"""One at a time on a provider's cluster: a Lease says who acts there, since when and what for.

Every command that changes a cluster, and `pulumi up` by hand, takes the Lease first. Its ``leaseTransitions`` counts
the turns, so whoever made a plan and then gets a turn knows from one number whether anybody has acted in between.

A turn that was not given back ends when its holder has not renewed it for the time that it promised. Whoever waits
measures that by its own clock, as client-go does, so that no two clocks are compared. It ends at once where the holder
was a process of this user on this machine and has ended: the kernel drops the lock that it held on a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import LEASE, MANAGED_BY, MANAGER, SYSTEM_NAMESPACE
from gpuprov.errors import ClusterError, ClusterUnreachable
from gpuprov.i18n import tr
from gpuprov.kube import holders
from gpuprov.kube.answer import Answer
from gpuprov.kube.client import KubeApi

HOLDER = "gpuprov.dev/holder"
"""Annotation: who has or had the turn, and what for, in words."""

SECONDS = 30
"""How long a turn lasts without being renewed."""

_POLL_SECONDS = 0.5
_OK, _CREATED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 200, 201, 403, 404, 409


class NoLease(ClusterError):
    """The cluster has no place for the Lease, or our identity may not write it."""


@dataclass(slots=True, kw_only=True)
class Turn:
    """A turn while it lasts. ``number`` counts the turns on this cluster; ``previous`` is who had the one before.

    Whoever did nothing in its turn sets ``idle``, and the turn does not count: else two runs that find themselves
    overtaken would overtake each other again and again.
    """

    provider: str
    number: int
    previous: str
    idle: bool = False
    _lost: Event = field(default_factory=Event)

    def require_held(self) -> None:
        """Raise ClusterError where the turn was lost: we were so slow to renew it that somebody else took it."""
        if self._lost.is_set():
            raise ClusterError(self.provider, "another run has taken over this cluster; rerun the command")


def path(cluster: ProviderCluster) -> str:
    """Return the path of the collection that has the Lease.

    It is in the chart's namespace, or in `default` where the stack's configuration requires no chart.
    """
    namespace = SYSTEM_NAMESPACE if cluster.require_chart else "default"
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def turns(cluster: ProviderCluster, api: KubeApi) -> tuple[int | None, str]:
    """Return how many turns have ended on the cluster, None where that cannot be read, and who had the last of them.

    Read this before anything else that a decision rests on. Raises ClusterUnreachable where there is no answer.
    """
    answer = api.ask("GET", f"{path(cluster)}/{LEASE}")
    if answer.status == _NOT_FOUND:
        return 0, ""
    if answer.status != _OK:
        return None, ""
    return _number(answer.data) - bool(answer.data.get("spec", {}).get("holderIdentity")), _words(answer.data)


@contextmanager
def take_turn(
    cluster: ProviderCluster,
    purpose: str,
    *,
    patience: float,
    progress: Callable[[str], None] | None = None,
    api: KubeApi | None = None,
) -> Iterator[Turn]:
    """Wait for the turn, for ``patience`` seconds at most, keep it while the block runs, and give it back.

    ``purpose`` tells others what it is for. Without ``api`` a client is made. Raises NoLease, ClusterUnreachable, and,
    after ``patience``, ClusterError that names who has the turn.
    """
    with ExitStack() as stack:
        identity = stack.enter_context(holders.present())
        lease = _Lease(api or KubeApi(cluster), cluster, identity, f"{holders.words()} ({purpose})")
        turn = _acquire(lease, patience, progress or _silence)
        stopped = Event()
        renewing = Thread(target=_renew, args=(lease, turn, stopped), daemon=True)
        renewing.start()
        try:
            yield turn
        finally:
            stopped.set()
            renewing.join()
            with suppress(ClusterError):  # it ends by itself then
                lease.give_back(turn)


class _Lease:
    """The Lease as this process reads and writes it; ``data`` is the version that it has seen last."""

    def __init__(self, api: KubeApi, cluster: ProviderCluster, identity: str, words: str) -> None:
        self.cluster = cluster
        self.identity = identity
        self.clock = api.clock
        self._api = api
        self._words = words
        self._path = path(cluster)
        self.data: dict[str, Any] = {}

    def read(self) -> bool:
        """Read it; False where there is none yet."""
        answer = self._api.ask("GET", f"{self._path}/{LEASE}")
        if answer.status == _NOT_FOUND:
            return False
        self._accept(answer)
        return True

    def create(self) -> bool:
        """Make it, as ours; False where somebody else was faster."""
        now = _now()
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE, "labels": {MANAGED_BY: MANAGER}, "annotations": {HOLDER: self._words}},
            "spec": self._spec(1, now, now),
        }
        return self._written(self._api.ask("POST", self._path, body=body))

    def take(self) -> bool:
        """Make it ours; False where somebody else was faster."""
        now = _now()
        return self._write(self._spec(_number(self.data) + 1, now, now))

    def renew(self) -> bool:
        """Renew it; False where it is not ours any more."""
        return self._write(self.data["spec"] | {"renewTime": _now()})

    def give_back(self, turn: Turn) -> None:
        """Let the next one have it at once. After an idle turn the Lease says what it said before."""
        spec = self.data["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        if turn.idle:
            spec |= {"leaseTransitions": turn.number - 1}
            self._words = turn.previous or self._words
        self._write(spec)

    @property
    def held_by(self) -> str:
        return str(self.data.get("spec", {}).get("holderIdentity") or "")

    @property
    def words(self) -> str:
        return _words(self.data)

    def _spec(self, number: int, acquired: str, renewed: str) -> dict[str, Any]:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": SECONDS,
            "acquireTime": acquired,
            "renewTime": renewed,
            "leaseTransitions": number,
        }

    def _write(self, spec: dict[str, Any]) -> bool:
        """Write it unless somebody has changed it since we read it: its resourceVersion is sent along."""
        metadata = self.data["metadata"]
        metadata = metadata | {"annotations": {**(metadata.get("annotations") or {}), HOLDER: self._words}}
        body = {**self.data, "metadata": metadata, "spec": spec}
        return self._written(self._api.ask("PUT", f"{self._path}/{LEASE}", body=body))

    def _written(self, answer: Answer) -> bool:
        if answer.status == _CONFLICT:
            return False
        self._accept(answer)
        return True

    def _remedy(self) -> str:
        if self.cluster.require_chart:
            provider = self.cluster.provider
            return f"the cluster's administrator installs the present chart with `gpuprov setup --provider {provider}`"
        return "let the cluster's administrator give the identity create, get, update and patch on leases in `default`"

    def _accept(self, answer: Answer) -> None:
        """Keep the version that the server answers with. Raises NoLease or ClusterUnreachable where there is none."""
        provider = self.cluster.provider
        if answer.status in (_FORBIDDEN, _NOT_FOUND):
            raise NoLease(
                provider, f"the Lease that keeps runs apart cannot be used ({answer.message}); {self._remedy()}"
            )
        if answer.status not in (_OK, _CREATED):
            raise ClusterUnreachable(
                provider,
                f"the Lease that keeps runs apart cannot be used ({answer.status} {answer.message}); rerun the command "
                "in a while, and if that does not help, run `gpuprov preflight`",
            )
        self.data = answer.data


def _acquire(lease: _Lease, patience: float, progress: Callable[[str], None]) -> Turn:
    clock = lease.clock
    deadline = clock.now() + patience
    seen, since, announced = "", clock.now(), ""
    while True:
        if not lease.read():
            if lease.create():
                return Turn(provider=lease.cluster.provider, number=1, previous="")
            clock.sleep(_POLL_SECONDS)  # somebody else was faster
            continue
        version, previous = lease.data["metadata"]["resourceVersion"], lease.words
        if version != seen:
            seen, since = version, clock.now()
        limit = int(lease.data["spec"].get("leaseDurationSeconds") or SECONDS)
        if not lease.held_by or holders.has_ended(lease.held_by) or clock.now() - since >= limit:
            if lease.take():
                return Turn(provider=lease.cluster.provider, number=_number(lease.data), previous=previous)
            clock.sleep(_POLL_SECONDS)
            continue
        if clock.now() >= deadline:
            raise ClusterError(
                lease.cluster.provider, f"{previous} is at work on this cluster; rerun the command when that has ended"
            )
        if announced != previous:
            announced = previous
            progress(tr("waiting for {actor} to end", actor=previous))
        clock.sleep(_POLL_SECONDS)


def _renew(lease: _Lease, turn: Turn, stopped: Event) -> None:
    """Renew three times as often as needed. The turn is lost to another holder, and not by an answer that fails."""
    while not stopped.wait(SECONDS / 3):
        with suppress(ClusterError):
            if not lease.renew():
                turn._lost.set()
                return


def _words(lease: dict[str, Any]) -> str:
    named = (lease.get("metadata", {}).get("annotations") or {}).get(HOLDER)
    return str(named or lease.get("spec", {}).get("holderIdentity") or "somebody")


def _silence(line: str) -> None:
    """Tell nobody."""


def _number(lease: dict[str, Any]) -> int:
    return int(lease.get("spec", {}).get("leaseTransitions") or 0)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
