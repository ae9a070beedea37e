"""What applications to a programme go by: tracks, calls, and the words of award lists; and whether they agree."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from gpuprov.core.accelerator import NOT_CONVERTIBLE, Accelerator, AcceleratorName, Described, Name, Words
from gpuprov.core.days import day_end
from gpuprov.i18n import tr

Path = tuple[str | int, ...]
"""Where something stands in a programme file: keys, and places in lists counted from 0."""


class Track(Described):
    """A track (유형): the quantities that can be applied for on it."""

    name: Name = Field(description="The track's name; lists may always write it.")
    words: Words = Field(default=(), description="Other words of award lists that mean this track.")
    least: int = Field(ge=1, strict=True, description="The least quantity.")
    most: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None, description="The greatest quantity; without it there is no bound."
    )
    unit: int = Field(default=1, ge=1, strict=True, description="The quantity is a multiple of this many.")
    counted_in: AcceleratorName | None = Field(
        default=None,
        alias="countedIn",
        description="The accelerator that the quantities count, which is not convertible; else the reference.",
    )

    def allows(self, quantity: int) -> bool:
        """Return whether that many can be applied for."""
        return self.least <= quantity <= (quantity if self.most is None else self.most) and quantity % self.unit == 0


class Call(Described):
    """A round of applications (차수). Terms of its awards lie between two days, which both belong to it."""

    name: Name = Field(description="The call's name; lists may always write it.")
    words: Words = Field(default=(), description="Other words of award lists that mean this call.")
    first_day: date = Field(alias="firstDay", description="The first day on which a term may start.")
    last_day: date = Field(alias="lastDay", description="The last day of terms.")
    lists: Words = Field(default=(), description="File names of award lists whose awards are all of this call.")


class StatusWords(Described):
    """The words of award lists for what became of an application."""

    selected: Words = Field(min_length=1, description="It was selected and gets GPUs.")
    waitlisted: Words = Field(default=(), description="It may follow up.")
    forfeited: Words = Field(default=(), description="It was given up or taken back.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a programme that are valid by themselves, by their places in the file.

    ``complete`` is false where an accelerator is not among them: then nobody can say that a name is unknown. ``end`` is
    in the programme's time zone, None where it or the zone is not valid.
    """

    reference: str | None
    end: datetime | None
    accelerators: Mapping[int, Accelerator]
    tracks: Mapping[int, Track]
    calls: Mapping[int, Call]
    statuses: StatusWords | None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """What is wrong at a path of a programme file, though each value by itself is not, and what to do."""

    path: Path
    message: str
    remedy: str


def inconsistencies(parts: Parts) -> Iterator[Inconsistency]:
    """Yield where parts of a programme contradict each other."""
    yield from _twice(
        "accelerators",
        {at: (accelerator.name, accelerator.aliases) for at, accelerator in parts.accelerators.items()},
        "aliases",
    )
    yield from _twice("tracks", {at: (track.name, track.words) for at, track in parts.tracks.items()}, "words")
    yield from _twice("calls", {at: (call.name, call.words) for at, call in parts.calls.items()}, "words")
    yield from _conversions(parts)
    for at, track in parts.tracks.items():
        yield from _bounds(("tracks", at), track)
        yield from _counted_in(("tracks", at, "countedIn"), track, parts)
    yield from _terms(parts)
    yield from _statuses(parts.statuses)


def _twice(key: str, things: Mapping[int, tuple[str, Words]], column: str) -> Iterator[Inconsistency]:
    """A word of a list must mean one thing. Names come first: each may always be written."""
    owners: dict[str, int] = {}
    for at, (name, _) in things.items():
        if owners.setdefault(_fold(name), at) != at:
            message = tr("{name!r} is a name twice", name=name)
            yield Inconsistency((key, at, "name"), message, tr("give each a name of its own"))
    for at, (_, words) in things.items():
        for place, word in enumerate(words):
            owner = owners.setdefault(_fold(word), at)
            if owner != at:
                message = tr("{word!r} means {meaning} already", word=word, meaning=things[owner][0])
                yield Inconsistency((key, at, column, place), message, tr("write it once"))


def _fold(word: str) -> str:
    """Return what is compared of two words; words that lists do not tell apart (load.text) are one here."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return "".join(sign for sign in folded if sign.isalnum()) or folded


def _conversions(parts: Parts) -> Iterator[Inconsistency]:
    named: dict[str, int] = {}
    for at, accelerator in parts.accelerators.items():
        named.setdefault(accelerator.name, at)
    if parts.reference is None:
        for at, accelerator in parts.accelerators.items():
            if accelerator.per_reference is not None:
                yield Inconsistency(
                    ("accelerators", at, "perReference"),
                    tr("converts to a reference, and the programme names none"),
                    tr('write `reference`, or "{not_convertible}" here', not_convertible=NOT_CONVERTIBLE),
                )
    elif parts.reference in named:
        at = named[parts.reference]
        if parts.accelerators[at].per_reference != 1:
            path = ("accelerators", at, "perReference")
            message = tr("{reference} is the reference, so it counts 1", reference=parts.reference)
            yield Inconsistency(path, message, tr("write 1"))
    elif parts.complete:
        yield _unknown(("reference",), parts)


def _bounds(path: Path, track: Track) -> Iterator[Inconsistency]:
    remedy = tr("correct one of the two")
    not_multiple = tr("is not a multiple of the unit {unit}", unit=track.unit)
    if track.least % track.unit:
        yield Inconsistency((*path, "least"), not_multiple, remedy)
    if track.most is not None and track.most % track.unit:
        yield Inconsistency((*path, "most"), not_multiple, remedy)
    if track.most is not None and track.most < track.least:
        message = tr("is less than the least quantity {least}", least=track.least)
        yield Inconsistency((*path, "most"), message, remedy)


def _counted_in(path: Path, track: Track, parts: Parts) -> Iterator[Inconsistency]:
    if track.counted_in is None:
        if parts.reference is None:
            remedy = tr("name the accelerator that the track's quantities count")
            yield Inconsistency(path, tr("is missing, and the programme has no reference"), remedy)
        return
    counted = next(
        (accelerator for accelerator in parts.accelerators.values() if accelerator.name == track.counted_in), None
    )
    if counted is None:
        if parts.complete:
            yield _unknown(path, parts)
    elif counted.per_reference is not None:
        message = tr("{model} converts to the reference, in which applications for it count", model=counted.name)
        yield Inconsistency(path, message, tr("remove the line"))


def _unknown(path: Path, parts: Parts) -> Inconsistency:
    names = ", ".join(accelerator.name for accelerator in parts.accelerators.values())
    return Inconsistency(path, tr("is no accelerator of the programme"), tr("write one of {names}", names=names))


def _terms(parts: Parts) -> Iterator[Inconsistency]:
    owners: dict[str, str] = {}
    zone = None if parts.end is None else parts.end.tzinfo
    for at, call in parts.calls.items():
        if call.last_day < call.first_day:
            message = tr("is before the call's first day {first_day}", first_day=call.first_day)
            yield Inconsistency(("calls", at, "lastDay"), message, tr("correct one of the two"))
        elif parts.end and zone and day_end(call.last_day, zone) > parts.end:
            message = tr("is after the programme's end at {end}", end=parts.end.isoformat())
            yield Inconsistency(("calls", at, "lastDay"), message, tr("correct one of the two"))
        for place, name in enumerate(call.lists):
            if (owner := owners.setdefault(unicodedata.normalize("NFC", name), call.name)) != call.name:
                path = ("calls", at, "lists", place)
                message = tr("{name!r} is a list of call {call} already", name=name, call=owner)
                yield Inconsistency(path, message, tr("write it once"))


def _statuses(statuses: StatusWords | None) -> Iterator[Inconsistency]:
    owners: dict[str, str] = {}
    lists: Sequence[tuple[str, Words]] = [] if statuses is None else list(statuses)
    for status, words in lists:
        for place, word in enumerate(words):
            if (owner := owners.setdefault(_fold(word), status)) != status:
                path = ("statuses", status, place)
                message = tr("{word!r} means {meaning} already", word=word, meaning=owner)
                yield Inconsistency(path, message, tr("write it once"))
