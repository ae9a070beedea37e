"""What a forfeiture or a reduction writes to the ledger, decided on the awards as they stand with the ledger now.

A decision writes nothing and reads no clock, so it can be made again where the ledger has grown in between.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from gpuprov.core.award import Status
from gpuprov.core.ledger import Allocation, Forfeited, History, Reduced, Unlisted
from gpuprov.core.suggestions import did_you_mean
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The awards that were named, once each, the events to write, and what is so already.

    ``award_ids`` has also the awards that need no event: what an earlier command left undone on their cluster is still
    to be done.
    """

    award_ids: tuple[str, ...]
    events: tuple[Forfeited | Reduced, ...]
    notes: tuple[str, ...]


def forfeit(
    histories: Sequence[History],
    award_ids: Collection[str],
    *,
    at: datetime,
    by: str,
    reason: str,
    recorded: datetime,
    unlisted: Sequence[Unlisted] = (),
) -> Decision:
    """Forfeit awards from ``at`` on. One that is forfeited by then gets no second event.

    ``at`` may lie before the term: then the award never starts. ``unlisted`` are awards that only the ledger knows: one
    that left the list can be forfeited all the same, so that its teardown is explained. Raises InputError with every
    award that is in neither, and with every one whose term has ended by ``at``.
    """
    ends = {gone.award_id: (gone.forfeited, gone.end, gone.zone) for gone in unlisted}
    ends |= {history.award.id: (history.forfeited, history.term.end, history.zone) for history in histories}
    ids = _known(award_ids, ends)
    events: list[Forfeited] = []
    notes: list[str] = []
    problems: list[Problem] = []
    for award_id in ids:
        gone, end, zone = ends[award_id]
        if gone is not None and gone.at <= at:
            notes.append(
                tr(
                    "{award} is forfeited from {at} on already, by {by}: {reason}",
                    award=award_id,
                    at=_text(gone.at, zone),
                    by=gone.by,
                    reason=gone.reason,
                )
            )
        elif end is not None and at >= end:
            problems.append(_ended(award_id, end, at, zone))
        else:
            events.append(Forfeited(award=award_id, at=at, by=by, reason=reason, recorded=recorded))
    if problems:
        raise InputError(problems)
    return Decision(award_ids=ids, events=tuple(events), notes=tuple(notes))


def reduce(
    histories: Sequence[History], award_id: str, gpus: int, *, at: datetime, by: str, reason: str, recorded: datetime
) -> Decision:
    """Leave ``gpus`` of its model to an award from ``at`` on. As many as it has then writes no event.

    ``at`` may lie before the term: then the award starts with fewer. Raises InputError where no list has the award, it
    has nothing at that instant, or fewer GPUs than that.
    """
    (history,) = find(histories, [award_id])
    held = _held(history, at)
    if gpus > held.gpus:
        message = tr(
            "has {gpus} {model} at {at}",
            gpus=held.gpus,
            model=held.model,
            at=_text(max(at, history.term.start), history.zone),
        )
        raise InputError([_problem(award_id, message, tr("reduce to less, or forfeit it"))])
    if gpus == held.gpus:
        note = tr(
            "{award} has {gpus} {model} at {at} already",
            award=award_id,
            gpus=gpus,
            model=held.model,
            at=_text(at, history.zone),
        )
        return Decision(award_ids=(award_id,), events=(), notes=(note,))
    event = Reduced(award=award_id, at=at, by=by, reason=reason, recorded=recorded, quantity=gpus)
    return Decision(award_ids=(award_id,), events=(event,), notes=())


def _held(history: History, at: datetime) -> Allocation:
    """Return what an award has to reduce, at the start of its term where that is later. Raises InputError."""
    award, gone, since = history.award, history.forfeited, max(at, history.term.start)
    if gone is not None and gone.at <= since:
        message = tr(
            "is forfeited from {at} on, by {by}: {reason}",
            at=_text(gone.at, history.zone),
            by=gone.by,
            reason=gone.reason,
        )
        remedy = tr("it has no GPUs left to reduce; nothing is to be done")
        raise InputError([_problem(award.id, message, remedy)])
    if award.status is not Status.SELECTED:
        message = tr("has nothing: it is {status} in the award list", status=award.status)
        remedy = tr("only a selected award has GPUs to reduce; check the award id, and the award's status in the list")
        raise InputError([_problem(award.id, message, remedy)])
    held = history.at(since)
    if held is None:
        raise InputError([_ended(award.id, history.term.end, at, history.zone)])
    return held


def find(histories: Sequence[History], award_ids: Collection[str]) -> tuple[History, ...]:
    """Return the awards named, once each. Raises InputError with every one that no list has, and what is like it."""
    known = {history.award.id: history for history in histories}
    return tuple(known[award_id] for award_id in _known(award_ids, known))


def _known(award_ids: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the awards named, once each. Raises InputError with every one that is not known."""
    ids = tuple(dict.fromkeys(award_ids))
    problems = [_unknown(award_id, known) for award_id in ids if award_id not in known]
    if problems:
        raise InputError(problems)
    return ids


def _unknown(award_id: str, known: Collection[str]) -> Problem:
    remedy = tr("check the award id{suggestion}", suggestion=did_you_mean(award_id, known))
    return _problem(award_id, tr("is in no award list"), remedy)


def _ended(award_id: str, end: datetime, at: datetime, zone: tzinfo) -> Problem:
    message = tr("its term ends at {end}, so it has nothing at {at}", end=_text(end, zone), at=_text(at, zone))
    remedy = tr(
        "if it was decided before the end, name that instant with --at; what has ended `gpuprov expire` takes back"
    )
    return _problem(award_id, message, remedy)


def _problem(award_id: str, message: str, remedy: str) -> Problem:
    return Problem(argument="AWARD", value=award_id, message=message, remedy=remedy)


def _text(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).isoformat()
