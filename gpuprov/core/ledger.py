"""What happened to awards after they were made: append-only events, and the allocations that follow from them.

The award list is the ministry's and is never rewritten. An event says who did what, when it takes effect and why.
An award with its events gives allocations: quantities of GPUs over half-open intervals, without gaps or overlap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from gpuprov.core.award import Award, AwardId, Status, Term
from gpuprov.core.days import day_end
from gpuprov.i18n import Message, tr, trn


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    award: AwardId
    at: AwareDatetime = Field(description="The instant at which the event takes effect.")
    by: str = Field(min_length=1, description="Who decided or entered it.")
    reason: str = Field(min_length=1, description="Why, in words that an auditor understands.")
    recorded: AwareDatetime = Field(description="When the line was written.")


class Accepted(_Event):
    """The awardee accepted (수락). Changes no allocation; its absence is what later notices look for."""

    event: Literal["accepted"] = "accepted"


class Forfeited(_Event):
    """The awardee gave up, or lost, the award (포기). Final: nothing after it counts."""

    event: Literal["forfeited"] = "forfeited"


class Reduced(_Event):
    """The award carries fewer GPUs from now on (회수 of a part)."""

    event: Literal["reduced"] = "reduced"
    quantity: int = Field(ge=1, strict=True, description="GPUs of the allocated model that remain.")


class Extended(_Event):
    """The term was given another last day."""

    event: Literal["extended"] = "extended"
    last_day: date = Field(le=date(2199, 12, 31), description="The new last day; it belongs to the term.")


Event: TypeAlias = Accepted | Forfeited | Reduced | Extended
"""What can happen to an award."""

EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
"""Reads and writes one line of the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """``gpus`` of a model at a provider for one award over a half-open interval."""

    award_id: str
    provider: str
    model: str
    gpus: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An award after all its events: the term that now holds, and the forfeiture if there was one.

    ``end`` is the end that the last extension gave, whatever the list says by now; None where none counts. ``zone`` is
    the programme's time zone, in which people are told instants.
    """

    award: Award
    zone: tzinfo
    term: Term
    allocations: tuple[Allocation, ...]
    forfeited: Forfeited | None
    end: datetime | None = None
    reductions: tuple[Reduced, ...] = ()

    def at(self, at: datetime) -> Allocation | None:
        """Return what the award holds at an instant, or None."""
        return next((part for part in self.allocations if part.start <= at < part.end), None)

    def reduced(self, at: datetime) -> bool:
        """Return whether a reduction has decided what the award holds at an instant, also where the list agrees."""
        held = self.at(at)
        return held is not None and any(
            reduction.at <= at and reduction.quantity == held.gpus for reduction in self.reductions
        )


def history(award: Award, events: Iterable[Event], zone: tzinfo) -> History:
    """Apply the award's own events, in the order of the instants at which they take effect.

    Days begin and end in ``zone``, the programme's.

    Events of one instant apply in the order in which they were written. A reduction never raises a quantity, and
    an extension counts only while the term still runs: an ended award needs a new award.
    """
    term = award.term(zone)
    start, end = term.start, term.end
    steps = [(start, award.quantity)]
    forfeited: Forfeited | None = None
    extended: datetime | None = None
    reductions: list[Reduced] = []
    own_events = (event for event in events if event.award == award.id)
    for event in sorted(own_events, key=lambda event: event.at):
        if isinstance(event, Forfeited):
            forfeited = event
            end = max(start, min(end, event.at))
            break
        if isinstance(event, Reduced):
            reductions.append(event)
            steps.append((max(start, event.at), min(event.quantity, steps[-1][1])))
        elif isinstance(event, Extended) and event.at < end:
            extended = day_end(event.last_day, zone)
            end = max(start, extended)
    allocations = _allocations(award, steps, end) if award.status is Status.SELECTED else ()
    return History(
        award=award,
        zone=zone,
        term=Term(start=start, end=end),
        allocations=allocations,
        forfeited=forfeited,
        end=extended,
        reductions=tuple(reductions),
    )


def histories(awards: Sequence[Award], events: Sequence[Event], zone: tzinfo) -> tuple[History, ...]:
    """Return the history of every award, in the order of the list. ``zone`` is the programme's time zone."""
    own_events = by_award(events)
    return tuple(history(award, own_events.get(award.id, ()), zone) for award in awards)


def by_award(events: Iterable[Event]) -> Mapping[str, Sequence[Event]]:
    """Return the events of each award, in their order, by award id."""
    grouped: dict[str, list[Event]] = {}
    for event in events:
        grouped.setdefault(event.award, []).append(event)
    return grouped


def _allocations(award: Award, steps: Sequence[tuple[datetime, int]], end: datetime) -> tuple[Allocation, ...]:
    edges = [start for start, _ in steps[1:]] + [end]
    return tuple(
        Allocation(
            award_id=award.id,
            provider=award.provider,
            model=award.model,
            gpus=gpus,
            start=start,
            end=min(until, end),
        )
        for (start, gpus), until in zip(steps, edges, strict=True)
        if start < min(until, end)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlisted:
    """What the ledger alone says of an award that no list has any more: its forfeiture, and the end of its term.

    ``end`` is the first instant at which the last extension lets the term be over; None where there was no extension.
    ``zone`` is the programme's time zone.
    """

    award_id: str
    zone: tzinfo
    forfeited: Forfeited | None
    end: datetime | None


def unlisted(listed: Collection[str], events: Iterable[Event], zone: tzinfo) -> tuple[Unlisted, ...]:
    """Return every award that only the ledger knows, because it is not ``listed``, in order of lines.

    Without a row nobody knows whether an extension came in time, so each counts, and none before it takes effect:
    the end is never earlier than the row's would be.
    """
    unlisted_awards = []
    for award_id, own_events in by_award(event for event in events if event.award not in listed).items():
        forfeited: Forfeited | None = None
        end: datetime | None = None
        for event in sorted(own_events, key=lambda event: event.at):
            if isinstance(event, Forfeited):
                forfeited = event
                break
            if isinstance(event, Extended):
                end = max(day_end(event.last_day, zone), event.at)
        unlisted_awards.append(Unlisted(award_id=award_id, zone=zone, forfeited=forfeited, end=end))
    return tuple(unlisted_awards)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMark:
    """How much of the ledger was applied: the number of its events, and a hash over these in the order of the lines.

    The hash is of what the events say and not of the file's bytes: spaces, empty lines and another way to write the
    same instant do not change it.
    """

    count: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return the mark as plain data for a stack's outputs."""
        return {"events": self.count, "sha256": self.sha256}

    @classmethod
    def from_json(cls, data: Any) -> LedgerMark:  # noqa: ANN401 (JSON)
        """Read what `to_json` gave. Raises ValueError for anything else."""
        if isinstance(data, Mapping):
            count, sha256 = data.get("events"), data.get("sha256")
            # Pulumi keeps every number of an output as a float
            if isinstance(count, int | float) and float(count).is_integer() and count >= 0 and isinstance(sha256, str):
                return cls(count=int(count), sha256=sha256)
        raise ValueError(f"is not a mark of a ledger: {data!r}")


def mark(events: Iterable[Event]) -> LedgerMark:
    """Return the mark of these events."""
    count = 0
    total = hashlib.sha256()
    for event in events:
        count += 1
        total.update(_canonical(event) + b"\n")
    return LedgerMark(count=count, sha256=total.hexdigest())


def _canonical(event: Event) -> bytes:
    fields = event.model_dump(mode="json")
    fields |= {name: getattr(event, name).astimezone(UTC).isoformat() for name in ("at", "recorded")}
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def lost(events: Sequence[Event], applied: LedgerMark) -> Message | None:
    """Return why the ledger is not the one that was applied, or one that went on from it; None where it is.

    What was applied must be there unchanged and first. Lines after it are what happened since.
    """
    if len(events) < applied.count:
        loss = trn(
            "the ledger has {number} event where {applied} were applied, {missing} are missing",
            "the ledger has {number} events where {applied} were applied, {missing} are missing",
            len(events),
            applied=applied.count,
            missing=applied.count - len(events),
        )
    elif mark(events[: applied.count]) != applied:
        loss = tr(
            "the ledger does not begin with the {applied} events that were applied: lines were changed, moved or "
            "removed",
            applied=applied.count,
        )
    else:
        return None
    return tr(
        "{loss}; awards that were forfeited would be granted again. Restore the file from git; only if it is meant, "
        "confirm with `gpuprov up --accept-ledger`",
        loss=loss,
    )
