"""How people look at all awards: columns of a table, filters and orders."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter

from gpuprov.core.awardrow import AwardRow
from gpuprov.core.lifecycle import AwardState, time_left
from gpuprov.i18n import tr

Value = str | int | date | None
"""What a column has in a row: a text, a whole number, a day or an instant; None where there is nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: the name that options and JSON have for it, and the title over it."""

    name: str
    title: str
    value: Callable[[AwardRow], Value]


def _field(name: str, title: str) -> Column:
    """Return the column that has a field of the row as it is."""
    return Column(name=name, title=title, value=attrgetter(name))


COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        _field("award", tr("award")),
        _field("organization", tr("organization")),
        _field("provider", tr("provider")),
        _field("model", tr("model")),
        _field("gpus", tr("GPUs")),
        _field("in_use", tr("in use")),
        Column(name="state", title=tr("state"), value=lambda row: row.state),
        _field("accepted", tr("accepted")),
        _field("deadline", tr("accept by")),
        _field("end", tr("end")),
        _field("days_left", tr("days left")),
        _field("ends_at", tr("ends at")),
        _field("quota", tr("quota")),
        Column(name="clusters", title=tr("clusters"), value=lambda row: ", ".join(row.clusters)),
    )
}
USUAL = tuple(COLUMNS)[:11]
"""The columns that are shown unless others are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows are wanted: those that meet every condition. An empty one is met by all.

    ``text`` is looked for in id, organization and model, word by word. ``providers`` are met by where the list has the
    award, and by where it is.
    """

    text: str = ""
    providers: frozenset[str] = frozenset()
    states: frozenset[AwardState] = frozenset()
    ends_within: timedelta | None = None
    not_accepted: bool = False
    idle: bool = False

    def meets(self, row: AwardRow, at: datetime) -> bool:
        """Tell whether a row is wanted; ``at`` is the instant that it was made for."""
        return (
            self._has_text(row)
            and (not self.providers or not self.providers.isdisjoint({row.provider, *row.clusters}))
            and (not self.states or row.state in self.states)
            and (self.ends_within is None or _ends_within(row, self.ends_within, at))
            and (not self.not_accepted or (row.state in _TO_BE_ACCEPTED and not row.accepted))
            and (not self.idle or (row.state is AwardState.ACTIVE and row.gpus > 0 and row.in_use == 0))
        )

    def _has_text(self, row: AwardRow) -> bool:
        text = _folded(f"{row.award}\n{row.organization}\n{row.model}")
        return all(word in text for word in _folded(self.text).split())


_TO_BE_ACCEPTED = (AwardState.UPCOMING, AwardState.ACTIVE)


def _ends_within(row: AwardRow, most: timedelta, at: datetime) -> bool:
    active = row.state is AwardState.ACTIVE
    return active and row.ends_at is not None and time_left(row.ends_at, at) <= most


def _folded(text: str) -> str:
    """Return a text as it is compared: a Mac's keyboard may write each Hangul letter by itself."""
    return unicodedata.normalize("NFKC", text).casefold()


_DURATION = re.compile(r"([0-9]{1,4})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def duration(text: str) -> timedelta | None:
    """Read a duration in hours, days or weeks, such as ``36h``, ``14d`` and ``2w``; None where it is none."""
    match = _DURATION.fullmatch(text.strip())
    return None if match is None else int(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A column to sort by."""

    column: Column
    descending: bool = False


def in_order(rows: Iterable[AwardRow], orders: Sequence[Order]) -> list[AwardRow]:
    """Sort rows by the first order, among equals by the next, and at last as they were.

    What a row has no value for comes last either way.
    """
    ordered = list(rows)
    for order in reversed(orders):
        value = order.column.value
        known = [(key, row) for row in ordered if (key := value(row)) is not None]
        known.sort(key=lambda pair: _Comparable(pair[0]), reverse=order.descending)
        ordered = [row for _, row in known] + [row for row in ordered if value(row) is None]
    return ordered


class _Comparable:
    """A column's value in comparisons. All values of one column are of one kind; mypy cannot know that."""

    def __init__(self, value: Value) -> None:
        self._value = value

    def __lt__(self, other: _Comparable) -> bool:
        return bool(self._value < other._value)  # type: ignore[operator]
