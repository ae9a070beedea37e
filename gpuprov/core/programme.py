"""The programme that lends accelerators, as data: its time zone, end, calls, tracks, accelerators and words.

A programme file says all of it (docs/programme.md); `gpuprov.load.programme` reads one. Nothing here knows a
particular programme. Quantities are whole devices, conversions are exact fractions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Protocol, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from gpuprov.core.accelerator import Accelerator, AcceleratorName, Described, Name, Words
from gpuprov.core.invalid import invalid
from gpuprov.core.tracks import Call, Parts, StatusWords, Track, inconsistencies
from gpuprov.i18n import Message, tr


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise invalid("zone", tr("is no time zone: write one such as Asia/Seoul")) from error
    return name


def _written(value: object) -> object:
    """Refuse a bare number, which pydantic takes for seconds since 1970."""
    if isinstance(value, (str, datetime)):
        return value
    raise invalid("instant", tr('is not a timestamp with an offset: write it as "2026-07-01T00:00+09:00"'))


class Programme(Described):
    """All that a programme file says. ``end`` is the first instant that no term may reach into."""

    name: Name = Field(description="The programme's name.")
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        alias="timeZone", description="The time zone in which its days begin and end."
    )
    end: Annotated[AwareDatetime, BeforeValidator(_written)] = Field(
        description="The first instant after its last day, with an offset."
    )
    reference: AcceleratorName | None = Field(
        default=None, description="The accelerator in which applications count; none if nothing is convertible."
    )
    accelerators: tuple[Accelerator, ...] = Field(min_length=1, description="What the programme lends.")
    tracks: tuple[Track, ...] = Field(min_length=1, description="The tracks of applications.")
    calls: tuple[Call, ...] = Field(default=(), description="The rounds of applications; none checks no term.")
    statuses: StatusWords = Field(description="The words of the status column.")
    applied_names: Words = Field(
        default=(),
        alias="appliedNames",
        description="More headers of the column with the quantity applied for, such as 신청수량(B200).",
    )
    memory_gb: tuple[Annotated[int, Field(ge=1, strict=True)], ...] = Field(
        default=(), alias="memoryGB", description="Memory sizes in GB that lists may write behind an accelerator."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        parts = Parts(
            reference=self.reference,
            end=self.end.astimezone(self.zone),
            accelerators=dict(enumerate(self.accelerators)),
            tracks=dict(enumerate(self.tracks)),
            calls=dict(enumerate(self.calls)),
            statuses=self.statuses,
        )
        wrong = [
            InitErrorDetails(
                type=invalid("programme", inconsistency.message, inconsistency.remedy),
                loc=inconsistency.path,
                input=None,
            )
            for inconsistency in inconsistencies(parts)
        ]
        if wrong:
            raise ValidationError.from_exception_data("programme", wrong)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the programme's days begin and end."""
        return ZoneInfo(self.time_zone)

    def accelerator(self, name: str) -> Accelerator:
        """Return an accelerator by its name. Raises KeyError for one that the programme does not lend."""
        return _named(self.accelerators, name)

    def track(self, name: str) -> Track:
        """Return a track by its name. Raises KeyError."""
        return _named(self.tracks, name)

    def call(self, name: str) -> Call:
        """Return a call by its name. Raises KeyError."""
        return _named(self.calls, name)

    @property
    def resources(self) -> Mapping[str, str]:
        """Each accelerator's resource name."""
        return {accelerator.name: accelerator.resource for accelerator in self.accelerators}

    def counted_in(self, accelerator: Accelerator) -> str:
        """Return what a quantity applied for counts where this accelerator is allocated: the reference, or itself."""
        return self.reference if accelerator.convertible and self.reference is not None else accelerator.name

    def rule(self, track: Track) -> Message:
        """Return a track's bounds in words, such as ``track 1 is 1 to 4 H100``."""
        name, least, most, unit = track.name, track.least, track.most, track.counted_in or self.reference or ""
        if track.unit == 1:
            if most is None:
                return tr("track {track} is {least} {unit} or more", track=name, least=least, unit=unit)
            return tr("track {track} is {least} to {most} {unit}", track=name, least=least, most=most, unit=unit)
        steps = (
            tr("by the server of {number} {unit}", number=track.unit, unit=unit)
            if self.accelerator(unit).devices_per_server == track.unit
            else tr("in steps of {number} {unit}", number=track.unit, unit=unit)
        )
        if most is not None:
            return tr("track {track} is {steps}: {least} to {most}", track=name, steps=steps, least=least, most=most)
        few = ", ".join(str(least + step * track.unit) for step in range(3))
        return tr("track {track} is {steps}: {quantities} and so on", track=name, steps=steps, quantities=few)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Thing = TypeVar("_Thing", bound=_Named)


def _named(things: Iterable[_Thing], name: str) -> _Thing:
    for thing in things:
        if thing.name == name:
            return thing
    raise KeyError(name)
