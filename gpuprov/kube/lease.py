"""One at a time on a provider's cluster: a Lease says who acts there, since when and what for.

Every command that changes a cluster, and `pulumi up` by hand, takes the Lease first. Its ``leaseTransitions`` counts
the turns, so whoever made a plan and then gets a turn knows from one number whether anybody has acted in between.

A turn that was not given back ends as every Lease does (`leaseobject`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import NamedTuple

from gpuprov.core.manifests import LEASE
from gpuprov.core.standing import Standing
from gpuprov.errors import ClusterError
from gpuprov.i18n import tr
from gpuprov.kube import holders
from gpuprov.kube.client import KubeApi
from gpuprov.kube.leaseobject import LeaseObject, number_of, path, standing_of, words_of
from gpuprov.kube.target import Target

SECONDS = 30
"""How long a turn lasts without being renewed."""

_POLL_SECONDS = 0.5
_OK, _NOT_FOUND = 200, 404


@dataclass(slots=True, kw_only=True)
class Turn:
    """A turn while it lasts. ``number`` counts the turns on this cluster; ``previous`` is who had the one before.

    Whoever did nothing in its turn sets ``idle``, and the turn does not count: else two runs that find themselves
    overtaken would overtake each other again and again. Whoever left nothing undone sets ``good``: the Lease keeps when
    that was. ``last_good_run`` is when it was before, and whose run; empty where the Lease knows none.
    """

    provider: str
    number: int
    previous: str
    last_good_run: str = ""
    idle: bool = False
    good: bool = False
    _lost: Event = field(default_factory=Event)

    def require_held(self) -> None:
        """Raise ClusterError where the turn was lost: we were so slow to renew it that somebody else took it."""
        if self._lost.is_set():
            raise ClusterError(self.provider, "another run has taken over this cluster; rerun the command")


class Turns(NamedTuple):
    """How many turns have ended on a cluster, None where that cannot be read, and who had the last of them.

    ``abandoned`` is set where a run still has the turn that was killed here: nobody else need wait until it is over.
    """

    ended: int | None
    actor: str = ""
    abandoned: bool = False


def turns(cluster: Target, api: KubeApi) -> Turns:
    """Return what the Lease says of the turns on a cluster. Changes nothing.

    Read this before anything else that a decision rests on. Raises ClusterUnreachable where there is no answer.
    """
    answer = api.ask("GET", f"{path(cluster)}/{LEASE}")
    if answer.status == _NOT_FOUND:
        return Turns(0)
    if answer.status != _OK:
        return Turns(None)
    holder = str(answer.data.get("spec", {}).get("holderIdentity") or "")
    ended = number_of(answer.data) - bool(holder)
    return Turns(ended, words_of(answer.data), bool(holder) and holders.is_gone(holder))


def read_standing(cluster: Target, api: KubeApi) -> Standing | None:
    """Return who acts on the cluster and how the last run ended; None where the Lease cannot be read. Changes nothing.

    Raises ClusterUnreachable where there is no answer.
    """
    answer = api.ask("GET", f"{path(cluster)}/{LEASE}")
    if answer.status == _NOT_FOUND:
        return Standing()
    return standing_of(answer.data, answer.date) if answer.status == _OK else None


def until_over(standing: Standing | None) -> float:
    """Return for how many seconds a command waits that only acts where nobody is at work: none, or as long as it takes
    until a turn that seems to be nobody's any more is free, or its holder has renewed it.
    """
    return SECONDS + 5.0 if standing is not None and standing.gone else 0.0


@contextmanager
def take_turn(
    cluster: Target,
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
        presence = stack.enter_context(holders.present())
        client = api or KubeApi(cluster)
        lease = LeaseObject(client, cluster, LEASE, identity=presence.identity, purpose=purpose, seconds=SECONDS)
        try:
            turn = _acquire(lease, patience, progress or _silence)
        except ClusterError:
            presence.holds_nothing = lease.held_by != presence.identity
            raise
        stopped = Event()
        renewing = Thread(target=_renew, args=(lease, turn, stopped), daemon=True)
        renewing.start()
        try:
            yield turn
        finally:
            stopped.set()
            renewing.join()
            with suppress(ClusterError):  # it ends by itself then
                lease.give_back((turn.number - 1, turn.previous) if turn.idle else None, good=turn.good)
                presence.holds_nothing = True


def _acquire(lease: LeaseObject, patience: float, progress: Callable[[str], None]) -> Turn:
    clock = lease.clock
    deadline = clock.now() + patience
    announced = ""
    while not lease.attempt():
        if clock.now() >= deadline:
            since = f" since {lease.since}" if lease.since else ""
            raise ClusterError(
                lease.cluster.provider,
                f"{lease.previous or 'somebody'} is at work on this cluster{since}; rerun the command when that has "
                "ended",
            )
        if lease.previous and announced != lease.previous:
            announced = lease.previous
            progress(tr("waiting for {actor} to end", actor=announced))
        clock.sleep(_POLL_SECONDS)
    return Turn(
        provider=lease.cluster.provider,
        number=lease.number,
        previous=lease.previous,
        last_good_run=lease.last_good_run,
    )


def _renew(lease: LeaseObject, turn: Turn, stopped: Event) -> None:
    """Renew three times as often as needed. The turn is lost to another holder, and not by an answer that fails."""
    while not stopped.wait(SECONDS / 3):
        with suppress(ClusterError):
            if not lease.renew():
                turn._lost.set()
                return


def _silence(line: str) -> None:
    """Tell nobody."""
