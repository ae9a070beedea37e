"""An award as the ministry's list states it, and the programme's rules on a single award.

What happens to an award afterwards (a forfeiture, a reduction) is never written here: it is an event in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gpuprov.core.accelerator import AcceleratorName
from gpuprov.core.days import day_end, midnight
from gpuprov.core.programme import Programme

AwardId = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\s:*,\x22'\\\x00-\x1f]+$", strict=True)
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class Status(StrEnum):
    """What the list says of an award. Only a selected award gets GPUs."""

    SELECTED = "selected"
    WAITLISTED = "waitlisted"
    FORFEITED = "forfeited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A half-open interval of aware instants: ``start`` belongs to the term, ``end`` does not."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date, zone: tzinfo) -> Term:
        """Return the term of two days that both belong to it, in a time zone.

        In Korea a term to 30 June 2026 ends at 2026-07-01T00:00+09:00.
        """
        return cls(start=midnight(first, zone), end=day_end(last, zone))

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end


class Award(BaseModel):
    """One row of the award list, after its cells were understood."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: AwardId = Field(description="The award's id; unique over all lists (과제번호).")
    organization: Text = Field(description="Who was awarded (기관명).")
    organization_type: str = Field(default="", description="University, institute, startup, SME (기관유형).")
    contact: str = Field(default="", description="The person to write to (담당자).")
    email: str = Field(default="", description="Where to write to (이메일).")
    track: Text = Field(description="The name of one of the programme's tracks (유형).")
    applied_h100: int = Field(
        ge=1,
        strict=True,
        description="Quantity applied for (신청수량), in the programme's reference accelerator, whatever its name is; "
        "where one is allocated that is not convertible, in that one.",
    )
    provider: str = Field(description="The provider cluster's name, such as samsung-sds (공급사).")
    model: AcceleratorName = Field(description="The accelerator of the programme that was allocated (배정GPU).")
    quantity: int = Field(ge=1, strict=True, description="GPUs of that model that were allocated (배정수량).")
    first_day: date = Field(description="First day of the term, in the programme's time zone (시작일).")
    last_day: date = Field(description="Last day of the term; it belongs to the term (종료일).")
    status: Status = Field(default=Status.SELECTED, description="selected, waitlisted or forfeited (상태).")
    accept_by: date | None = Field(default=None, description="Last day for the awardee to accept (수락기한).")
    call: str = Field(
        default="", max_length=100, description="The name of the programme's call that it is of, or nothing (차수)."
    )

    def term(self, zone: tzinfo) -> Term:
        """Return the award's term as the list states it, in the programme's time zone."""
        return Term.of_days(self.first_day, self.last_day, zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A rule that one award breaks: the field that is wrong, what is wrong, and what to do."""

    field: str
    message: str
    remedy: str


def breaches(award: Award, programme: Programme) -> Iterator[Breach]:
    """Check one award against the programme's rules and yield every breach.

    Rules: the applied quantity is within the track's bounds; the allocated quantity is exactly the applied one,
    converted to the allocated accelerator; a term ends no earlier than it begins, and lies within its call. Raises
    KeyError for a track, accelerator or call that the programme does not have.
    """
    yield from quantity_breaches(award.track, award.applied_h100, award.model, award.quantity, programme)
    yield from term_breaches(award.first_day, award.last_day, award.call, programme)


def quantity_breaches(track: str, applied: int, model: str, quantity: int, programme: Programme) -> Iterator[Breach]:
    """Yield what is wrong with the quantities of an award. Raises KeyError as `breaches`."""
    accelerator, bounds = programme.accelerator(model), programme.track(track)
    unit = programme.counted_in(accelerator)
    counted_in = bounds.counted_in or programme.reference
    if counted_in != unit:
        yield Breach(
            field="track",
            message=f"{programme.rule(bounds)}, and applications for {model} count in {unit}",
            remedy="correct the track or the model",
        )
    elif not bounds.allows(applied):
        yield Breach(field="applied_h100", message=programme.rule(bounds), remedy="correct the quantity or the track")
    converted = accelerator.devices_for(applied)
    if converted.denominator != 1:
        yield Breach(
            field="applied_h100",
            message=f"{applied} {unit} convert to {converted} {model}, which is no whole number",
            remedy=f"apply for a multiple of {converted.denominator} {unit}, or allocate another model",
        )
    elif quantity != converted and accelerator.convertible:
        yield Breach(
            field="quantity",
            message=f"{applied} {unit} convert to {converted} {model}, not {quantity}",
            remedy=f"allocate {converted} {model} or correct the applied quantity",
        )
    elif quantity != converted:
        yield Breach(
            field="quantity",
            message=f"{model} is awarded in its own unit: {applied} were applied for, not {quantity}",
            remedy=f"allocate {converted} {model} or correct the applied quantity",
        )


def term_breaches(first_day: date, last_day: date, call: str, programme: Programme) -> Iterator[Breach]:
    """Yield what is wrong with the days of an award; ``call`` is the name of its call, or nothing. Raises KeyError."""
    if last_day < first_day:
        yield Breach(
            field="last_day",
            message=f"the term ends before it begins on {first_day}",
            remedy="correct one of the two days",
        )
    if not call:
        return
    bounds = programme.call(call)
    rule = f"terms of call {bounds.name} lie within {bounds.first_day} and {bounds.last_day}"
    for field, day in (("first_day", first_day), ("last_day", last_day)):
        if not bounds.first_day <= day <= bounds.last_day:
            yield Breach(field=field, message=rule, remedy="correct the day or the call")
