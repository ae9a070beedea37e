"""An award as the ministry's list states it, and the programme's rules on a single award.

What happens to an award afterwards (a forfeiture, a reduction) is never written here: it is an event in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gpuprov.core.accelerator import Accelerator, AcceleratorName
from gpuprov.core.days import day_end, midnight
from gpuprov.core.programme import Programme
from gpuprov.i18n import Message, Word, tr

AwardId = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\s:*,\x22'\\\x00-\x1f]+$", strict=True)
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class Status(Word):
    """What the list says of an award. Only a selected award gets GPUs."""

    SELECTED = tr("selected")
    WAITLISTED = tr("waitlisted")
    FORFEITED = tr("forfeited")


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
            message=tr(
                "{rule}, and applications for {model} count in {unit}",
                rule=programme.rule(bounds),
                model=model,
                unit=unit,
            ),
            remedy=tr("correct the track or the model"),
        )
    elif not bounds.allows(applied):
        remedy = tr("correct the quantity or the track")
        yield Breach(field="applied_h100", message=programme.rule(bounds), remedy=remedy)
    yield from _conversion_breaches(accelerator, unit, applied, quantity)


def _conversion_breaches(accelerator: Accelerator, unit: str, applied: int, quantity: int) -> Iterator[Breach]:
    converted, model = accelerator.devices_for(applied), accelerator.name
    if converted.denominator != 1:
        yield Breach(
            field="applied_h100",
            message=tr(
                "{applied} {unit} convert to {converted} {model}, which is no whole number",
                applied=applied,
                unit=unit,
                converted=converted,
                model=model,
            ),
            remedy=tr(
                "correct the applied quantity to a multiple of {number} {unit}, or allocate another model",
                number=converted.denominator,
                unit=unit,
            ),
        )
    elif quantity != converted:
        yield Breach(
            field="quantity",
            message=_not_as_applied(accelerator, unit, applied, quantity),
            remedy=tr("allocate {converted} {model} or correct the applied quantity", converted=converted, model=model),
        )


def _not_as_applied(accelerator: Accelerator, unit: str, applied: int, quantity: int) -> Message:
    if not accelerator.convertible:
        return tr(
            "{model} is awarded in its own unit: {applied} were applied for, not {quantity}",
            model=accelerator.name,
            applied=applied,
            quantity=quantity,
        )
    return tr(
        "{applied} {unit} convert to {converted} {model}, not {quantity}",
        applied=applied,
        unit=unit,
        converted=accelerator.devices_for(applied),
        model=accelerator.name,
        quantity=quantity,
    )


def term_breaches(first_day: date, last_day: date, call: str, programme: Programme) -> Iterator[Breach]:
    """Yield what is wrong with the days of an award; ``call`` is the name of its call, or nothing. Raises KeyError."""
    if last_day < first_day:
        yield Breach(
            field="last_day",
            message=tr("the term ends before it begins on {first_day}", first_day=first_day),
            remedy=tr("correct one of the two days"),
        )
    if not call:
        return
    bounds = programme.call(call)
    rule = tr(
        "terms of call {call} lie within {first_day} and {last_day}",
        call=bounds.name,
        first_day=bounds.first_day,
        last_day=bounds.last_day,
    )
    for field, day in (("first_day", first_day), ("last_day", last_day)):
        if not bounds.first_day <= day <= bounds.last_day:
            yield Breach(field=field, message=rule, remedy=tr("correct the day or the call"))
