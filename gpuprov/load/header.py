"""Finds the header row of a table and says which column is which field of an award."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gpuprov.errors import Problem
from gpuprov.i18n import tr
from gpuprov.load.fields import NAMES, NUMBERS, REQUIRED, label
from gpuprov.load.mapping import ColumnMapping
from gpuprov.load.text import clean, key, printable, without_brackets

HEADER_WITHIN = 20
"""The header is looked for in this many rows: lists in Korean offices begin with a title and a date of issue."""

Row = tuple[int, Sequence[object]]
"""A row that is not blank: its number as the operator's editor counts, and its cells."""

_FIELD_OF = {key(name): field for field, names in NAMES.items() for name in (field, *names)}
_UNITS = frozenset(key(unit) for unit in ("장", "개", "매", "GPU", "GPUs", "GPU 수", "EA", "단위: 장", "단위: 개"))
_MOST_NAMED = 20
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header row, perhaps an incomplete one.

    ``names`` are the cells as written, ``columns`` the position of each field that was recognised, ``doubled`` the
    positions of two columns that are one field.
    """

    row: int
    names: tuple[str, ...]
    columns: dict[str, int]
    doubled: tuple[tuple[str, int, int], ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The required fields that have no column here."""
        return tuple(field for field in REQUIRED if field not in self.columns)

    def name(self, field: str) -> str:
        """Return the header of a field's column as the file writes it, or the field's name where it has none."""
        return self.names[self.columns[field]] if field in self.columns else field

    def problems(self, file: str) -> Iterator[Problem]:
        """Yield the problems of a complete header."""
        for field, first, second in self.doubled:
            yield Problem(
                file=file,
                row=self.row,
                column=self.names[second],
                message=tr(
                    "is a second column for {field}, next to {column!r}", field=label(field), column=self.names[first]
                ),
                remedy=tr("remove or rename one of them, or set it to null in a mapping file"),
            )


def best_header(rows: Iterable[Row], mapping: ColumnMapping | None) -> Header | None:
    """Return the first complete header of the first 20 rows, or else the one that comes nearest, or None.

    The header is the first row in which a column for every required field is recognised.
    """
    best = None
    explained = {} if mapping is None else mapping.by_key()
    fields = _FIELD_OF if mapping is None else _FIELD_OF | mapping.more_names()
    for number, cells in rows:
        if number > HEADER_WITHIN:
            break
        header = _recognise(number, cells, explained, fields)
        if not header.missing:
            return header
        if best is None or len(header.columns) > len(best.columns):
            best = header
    return best


def no_header(file: str, nearest: Header | None) -> Problem:
    """Say which columns are missing and which were found."""
    if nearest is None:
        return Problem(
            file=file,
            message=tr("no header in the first {number} rows", number=HEADER_WITHIN),
            remedy=tr("name the columns {columns}", columns=", ".join(map(label, REQUIRED))),
        )
    column_names = [name if len(name) <= _MOST_SHOWN else name[:_MOST_SHOWN] + "…" for name in nearest.names if name]
    shown = ", ".join([*column_names[:_MOST_NAMED], *(["…"] if len(column_names) > _MOST_NAMED else [])])
    return Problem(
        file=file,
        row=nearest.row,
        message=tr(
            "no column for {columns}; found: {found}", columns=", ".join(map(label, nearest.missing)), found=shown
        ),
        remedy=tr("name the columns so, or explain your names in a mapping file (docs/award-list.md)"),
    )


def _recognise(
    number: int, cells: Sequence[object], explained: dict[str, str | None], fields: Mapping[str, str]
) -> Header:
    names = [printable(clean(str(cell))) if cell is not None else "" for cell in cells]
    while names and not names[-1]:
        names.pop()
    mapped: list[tuple[str, int]] = []
    named: list[tuple[str, int]] = []
    for position, name in enumerate(names):
        if key(name) in explained:
            target = explained[key(name)]
            if target is not None:
                mapped.append((target, position))
        elif (field := _field(name, fields)) is not None:
            named.append((field, position))
    columns: dict[str, int] = {}
    doubled = []
    by_mapping = {field for field, _ in mapped}
    for field, position in [*mapped, *(pair for pair in named if pair[0] not in by_mapping)]:
        if field in columns:
            doubled.append((field, columns[field], position))
        else:
            columns[field] = position
    return Header(row=number, names=tuple(names), columns=columns, doubled=tuple(doubled))


def _field(name: str, fields: Mapping[str, str]) -> str | None:
    whole = fields.get(key(name))
    if whole is not None:
        return whole
    outside, inside = without_brackets(name)
    field = fields.get(key(outside))
    # 배정수량(서버) counts servers and 배정수량(H100 환산) is converted: neither is the number of GPUs.
    if field in NUMBERS and key(inside) not in _UNITS:
        return None
    return field
