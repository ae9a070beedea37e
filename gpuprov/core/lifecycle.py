"""What an award is at an instant, in one word, and when that changes next: for people who look at it.

Nothing is decided here. `tenant` decides what exists; a state is the word for what it decided, so that the two cannot
disagree. Days begin and end in the programme's time zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from gpuprov.core.award import Status
from gpuprov.core.days import day_end
from gpuprov.core.ledger import Accepted, Event, Extended, Forfeited, History, Unlisted
from gpuprov.core.tenant import Cause, absence, absence_of_unlisted
from gpuprov.i18n import Message, Word, tr


class AwardState(Word):
    """What an award is at an instant.

    ``UNLISTED`` is in no list, and the ledger has not ended it. ``ORPHAN`` is that too, and a cluster has it.
    """

    WAITLISTED = tr("waitlisted")
    UPCOMING = tr("upcoming")
    ACTIVE = tr("active")
    EXPIRED = tr("expired")
    FORFEITED = tr("forfeited")
    UNLISTED = tr("unlisted")
    ORPHAN = tr("orphan")


_STATES = {
    Cause.WAITLISTED: AwardState.WAITLISTED,
    Cause.NOT_YET: AwardState.UPCOMING,
    Cause.ENDED: AwardState.EXPIRED,
    Cause.FORFEITED: AwardState.FORFEITED,
    Cause.FORFEITED_IN_LIST: AwardState.FORFEITED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """An award at an instant. ``gpus`` are allocated then, of its model.

    ``accept_by`` is the last day to accept. ``end`` is the first instant after the term as list and ledger have it, a
    forfeiture's where that is earlier; None where nobody says one, or the term is empty. ``days_left`` are whole days
    until then, of an active award only.
    """

    state: AwardState
    gpus: int
    accepted: bool
    accept_by: date | None
    end: datetime | None
    days_left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Something that will happen to an award by itself, because its time has come."""

    at: datetime
    what: Message


def lifecycle(history: History, accepted: datetime | None, at: datetime) -> Lifecycle:
    """Return what an award of a list is at an instant. ``accepted`` is what `acceptances` has for it."""
    held = history.at(at)
    term = history.term
    end = term.end.astimezone(history.zone) if term.start < term.end else None
    return Lifecycle(
        state=AwardState.ACTIVE if held is not None else _STATES[absence(history, at).cause],
        gpus=0 if held is None else held.gpus,
        accepted=_is_accepted(accepted, history.forfeited, at),
        accept_by=history.award.accept_by,
        end=end,
        days_left=None if held is None or end is None else max(0, time_left(end, at) // _DAY),
    )


def lifecycle_of_unlisted(gone: Unlisted, accepted: datetime | None, at: datetime) -> Lifecycle:
    """Return what an award that only the ledger knows is at an instant. It is allocated nothing."""
    decided = absence_of_unlisted(gone, at)
    end = gone.end if gone.forfeited is None else gone.forfeited.at
    return Lifecycle(
        state=AwardState.UNLISTED if decided is None else _STATES[decided.cause],
        gpus=0,
        accepted=_is_accepted(accepted, gone.forfeited, at),
        accept_by=None,
        end=None if end is None else end.astimezone(gone.zone),
        days_left=None,
    )


def acceptances(events: Iterable[Event]) -> Mapping[str, datetime]:
    """Return when each award was accepted first, by award id."""
    first: dict[str, datetime] = {}
    for event in events:
        if isinstance(event, Accepted):
            first[event.award] = min(event.at, first.get(event.award, event.at))
    return first


def _is_accepted(accepted: datetime | None, forfeited: Forfeited | None, at: datetime) -> bool:
    """Tell whether an acceptance counts at an instant. A forfeiture is final: nothing after it counts."""
    return accepted is not None and accepted <= at and (forfeited is None or accepted <= forfeited.at)


_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


def time_left(end: datetime, at: datetime) -> timedelta:
    """Return the time until ``end`` by the calendar of its time zone: a day on which clocks are changed is one day."""
    return end.replace(tzinfo=None) - at.astimezone(end.tzinfo).replace(tzinfo=None)


def last_day(end: datetime, zone: tzinfo) -> date:
    """Return the last day that has any of a term with this (exclusive) end."""
    return (end.astimezone(zone) - _TICK).date()


def edges(history: History, events: Iterable[Event], at: datetime) -> tuple[Edge, ...]:
    """Return what is still to come for an award of a list, in order. ``events`` may be those of all awards.

    The ledger's events to come are known already, so the end of the term is the one that they lead to.
    """
    accepted = acceptances(events).get(history.award.id)
    found = [*_of_term(history), *_of_events(history, events)]
    by = history.award.accept_by
    if by is not None and history.allocations and (accepted is None or accepted > at):
        found.append(Edge(at=day_end(by, history.zone), what=tr("the deadline to accept passes")))
    to_come = (edge for edge in found if edge.at > at)
    return tuple(sorted(to_come, key=lambda edge: edge.at))


def edges_of_unlisted(gone: Unlisted, at: datetime) -> tuple[Edge, ...]:
    """Return what is still to come for an award that only the ledger knows, in order."""
    found = [] if gone.forfeited is None else [Edge(at=gone.forfeited.at, what=_FORFEITED)]
    if gone.end is not None and (gone.forfeited is None or gone.end < gone.forfeited.at):
        found.append(Edge(at=gone.end, what=_ENDS))
    return tuple(sorted((edge for edge in found if edge.at > at), key=lambda edge: edge.at))


_FORFEITED = tr("the forfeiture takes effect")
_ENDS = tr("the term ends")


def _of_term(history: History) -> Iterator[Edge]:
    before = None
    for part in history.allocations:
        if before is None:
            what = tr("the term starts with {gpus} {model}", gpus=part.gpus, model=part.model)
            yield Edge(at=part.start, what=what)
        elif part.gpus != before:
            what = tr("{gpus} {model} of {before} remain", gpus=part.gpus, model=part.model, before=before)
            yield Edge(at=part.start, what=what)
        before = part.gpus
    ends = history.award.status is Status.SELECTED or history.end is not None
    if ends and (history.forfeited is None or history.forfeited.at > history.term.end):
        yield Edge(at=history.term.end, what=_ENDS)


def _of_events(history: History, events: Iterable[Event]) -> Iterator[Edge]:
    forfeited, end = history.forfeited, history.term.end
    if forfeited is not None:
        yield Edge(at=forfeited.at, what=_FORFEITED)
    for event in events:
        if event.award != history.award.id or (forfeited is not None and event.at > forfeited.at):
            continue
        if isinstance(event, Accepted):
            yield Edge(at=event.at, what=tr("the acceptance takes effect"))
        elif isinstance(event, Extended) and event.at < end:
            yield Edge(at=event.at, what=tr("the extension to {last_day} takes effect", last_day=event.last_day))
