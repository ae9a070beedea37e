"""The capacity of a pool over time, as a stack's configuration writes it, and what the configuration is read with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import pairwise
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import InitErrorDetails

from gpuprov.core.days import midnight
from gpuprov.core.invalid import invalid
from gpuprov.i18n import Message, tr


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a stack's configuration is read with, as pydantic's context: the programme's time zone and its accelerators
    with their resource names, None where the programme could not be read.

    What was read once needs it no more: it has instants and resource names.
    """

    zone: tzinfo
    resources: Mapping[str, str] | None


_WRITE_INSTANT = tr("write 2026-03-15T10:00+09:00, or '2026-03-15' for its midnight in the programme's time zone")


def _instant(value: object, info: ValidationInfo) -> datetime | None:
    """Return an instant, of a day its midnight, in the programme's time zone."""
    if value is None:
        return None
    zone = info.context.zone if isinstance(info.context, Terms) else None
    try:
        at = _as_written(value, zone)
        if at is not None and at.tzinfo is not None:
            return at.astimezone(zone or at.tzinfo)
    except (ValueError, OverflowError):  # OverflowError: the calendar's first or last day, in another time zone
        pass
    raise invalid("instant", tr("is neither a timestamp with an offset nor a day: {remedy}", remedy=_WRITE_INSTANT))


def _as_written(value: object, zone: tzinfo | None) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return None if zone is None else midnight(value, zone)
    if not isinstance(value, str):
        return None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return datetime.fromisoformat(value)
    return None if zone is None else midnight(day, zone)


class CapacityStep(BaseModel):
    """How many GPUs a pool has from an instant on. A pool's first step has no instant: it holds since ever."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    gpus: int = Field(ge=0, strict=True, description="GPUs of this model in this cluster")
    start: Annotated[datetime | None, BeforeValidator(_instant)] = Field(
        default=None, alias="from", description="the first instant at which the pool has so many"
    )


_COUNT: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0, strict=True)])
_STEPS: TypeAdapter[tuple[CapacityStep, ...]] = TypeAdapter(tuple[CapacityStep, ...])


def _capacity(value: object, _: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return _COUNT.validate_python(value)
    if not isinstance(value, (list, tuple)) or not value:
        raise invalid("capacity", tr("is neither a whole number of GPUs, 0 or more, nor a list of steps"))
    steps = _STEPS.validate_python(value, context=info.context)
    if wrong := list(_out_of_order(steps)):
        raise ValidationError.from_exception_data("capacity", wrong)
    return steps


def _out_of_order(steps: Sequence[CapacityStep]) -> Iterator[InitErrorDetails]:
    def wrong(number: int, message: Message) -> InitErrorDetails:
        return InitErrorDetails(type=invalid("steps", message), loc=(number, "from"), input=steps[number].start)

    if steps[0].start is not None:
        yield wrong(0, tr("the first step holds since ever: remove its `from`, or put a step without one before it"))
    for number, (before, step) in enumerate(pairwise(steps), start=1):
        if step.start is None:
            yield wrong(number, tr("a step after the first needs a `from`: {remedy}", remedy=_WRITE_INSTANT))
        elif before.start is not None and step.start <= before.start:
            yield wrong(number, tr("is not later than the step before: write the steps in order of time"))


Capacity = Annotated[int | tuple[CapacityStep, ...], WrapValidator(_capacity)]
"""GPUs of a pool: one number that holds always, or steps in order of time."""
