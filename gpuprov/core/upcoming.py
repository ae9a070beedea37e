"""When something will happen by itself, and how long a service may wait until it looks again.

A decision is a function of list, ledger, clusters and instant. Between two edges the instant makes no difference to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.days import day_end
from gpuprov.core.ledger import Event, History, Unlisted

FIRST_RETRY = timedelta(seconds=5)
"""How long to wait after the first failure; each further one doubles it."""

_AT_ONCE = timedelta(0)
_MOST_DOUBLINGS = 20


def next_edge(
    histories: Iterable[History],
    unlisted: Iterable[Unlisted],
    events: Iterable[Event],
    clusters: Iterable[ProviderCluster],
    at: datetime,
) -> datetime | None:
    """Return the first instant after ``at`` at which another desired state, or another capacity, may hold.

    None where nothing that is known will ever change it.
    """
    instants = (*_of_histories(histories), *_of_unlisted(unlisted), *_of_clusters(clusters))
    to_come = [instant for instant in (*instants, *(event.at for event in events)) if instant > at]
    return min(to_come, default=None)


def _of_histories(histories: Iterable[History]) -> Iterator[datetime]:
    for history in histories:
        yield history.term.start
        yield history.term.end
        if history.end is not None:
            yield history.end
        if history.award.accept_by is not None:
            yield day_end(history.award.accept_by, history.zone)


def _of_unlisted(unlisted: Iterable[Unlisted]) -> Iterator[datetime]:
    return (gone.end for gone in unlisted if gone.end is not None)


def _of_clusters(clusters: Iterable[ProviderCluster]) -> Iterator[datetime]:
    for cluster in clusters:
        for pool in cluster.pools:
            yield from (step.start for step in pool.steps if step.start is not None)


def wait(at: datetime, edge: datetime | None, interval: timedelta, failures: int, jitter: float) -> timedelta:
    """Return how long to wait before the next look.

    That is until the next edge, and at most ``interval``. After ``failures`` in a row it is a back-off that doubles up
    to the interval, less up to half of it by ``jitter``, from 0 to 1: what failed together is not tried again together.
    An edge is not waited for longer because of failures.
    """
    longest = interval
    if failures:
        doubled = FIRST_RETRY * 2 ** min(failures - 1, _MOST_DOUBLINGS)
        longest = min(interval, doubled) * (1 - jitter / 2)
    return longest if edge is None else max(_AT_ONCE, min(longest, edge - at))


def ends(histories: Iterable[History], unlisted: Iterable[Unlisted]) -> dict[str, datetime]:
    """Return from which instant on each award holds nothing any more, by award id: its forfeiture or its term's end."""
    ended = {history.award.id: history.term.end for history in histories}
    for gone in unlisted:
        instants = (gone.end, None if gone.forfeited is None else gone.forfeited.at)
        if known := [instant for instant in instants if instant is not None]:
            ended[gone.award_id] = min(known)
    return ended
