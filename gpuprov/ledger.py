"""What happened to awards after they were made: append-only events, and the allocations that follow from them.

The award list is the ministry's and is never rewritten. An event says who did what, when it takes effect and why.
An award with its events gives allocations: quantities of GPUs over half-open intervals, without gaps or overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from gpuprov.award import Award, AwardId, Status, Term, midnight
from gpuprov.gpu import GpuModel


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
    model: GpuModel
    gpus: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An award after all its events: the term that now holds, and the forfeiture if there was one."""

    award: Award
    term: Term
    allocations: tuple[Allocation, ...]
    forfeited: Forfeited | None

    def at(self, at: datetime) -> Allocation | None:
        """Return what the award holds at an instant, or None."""
        return next((part for part in self.allocations if part.start <= at < part.end), None)


def history(award: Award, events: Iterable[Event]) -> History:
    """Apply the award's own events, in the order of the instants at which they take effect.

    Events of one instant apply in the order in which they were written. A reduction never raises a quantity, and
    an extension counts only while the term still runs: an ended award needs a new award.
    """
    term = award.term
    start, end = term.start, term.end
    steps = [(start, award.quantity)]
    forfeited: Forfeited | None = None
    mine = (event for event in events if event.award == award.id)
    for event in sorted(mine, key=lambda event: event.at):
        if isinstance(event, Forfeited):
            forfeited = event
            end = max(start, min(end, event.at))
            break
        if isinstance(event, Reduced):
            steps.append((max(start, event.at), min(event.quantity, steps[-1][1])))
        elif isinstance(event, Extended) and event.at < end:
            end = max(start, midnight(event.last_day + timedelta(days=1)))
    allocations = _allocations(award, steps, end) if award.status is Status.SELECTED else ()
    return History(award=award, term=Term(start=start, end=end), allocations=allocations, forfeited=forfeited)


def histories(awards: Sequence[Award], events: Sequence[Event]) -> tuple[History, ...]:
    """Return the history of every award, in the order of the list."""
    by_award: dict[str, list[Event]] = {}
    for event in events:
        by_award.setdefault(event.award, []).append(event)
    return tuple(history(award, by_award.get(award.id, ())) for award in awards)


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
