"""Merged cells of a sheet: what is seen in one counts for each of its rows and columns.

A file keeps the value of merged cells in the first of them. What it has in the others, if anything, is not shown and
does not count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from gpuprov.errors import Problem
from gpuprov.i18n import tr
from gpuprov.load.fields import NUMBERS, REQUIRED
from gpuprov.load.header import Header, Row
from gpuprov.load.table import Remark, excerpt, is_blank, problem_value


@dataclass(frozen=True, slots=True)
class Merged:
    """Cells that are shown as one. Rows are counted from 1, columns from 0; ``bottom`` and ``right`` belong to it."""

    top: int
    bottom: int
    left: int
    right: int


def down(rows: Iterable[Row], ranges: Collection[Merged]) -> Iterator[Row]:
    """Yield the rows with the value of merged cells in the first column of each of their rows, and nothing beside it.

    The rows are in order and those left out are blank. A row that shows nothing of its own is left out too: it is the
    lower part of the row above.
    """
    values: dict[Merged, object] = {}
    for (number, cells), current in _with_ranges(rows, ranges):
        if not current:
            yield number, cells
            continue
        shown = list(cells)
        for merged in current:
            own = shown[merged.left] if merged.top == number and merged.left < len(shown) else None
            hidden = range(merged.left, min(merged.right + 1, len(shown)))
            shown[hidden.start : hidden.stop] = [None] * len(hidden)
            values[merged] = own if merged.top == number else values.get(merged)
        starting = [values[merged] for merged in current if merged.top == number]
        if all(map(is_blank, shown)) and all(map(is_blank, starting)):
            continue
        for merged in current:
            _put(shown, merged.left, values[merged])
        yield number, shown


def across(rows: Iterable[Row], ranges: Collection[Merged], columns: int) -> Iterator[Row]:
    """Yield rows that ``down`` gave with the value of merged cells in each of their first ``columns`` columns too."""
    wide = [merged for merged in ranges if merged.left < merged.right]
    for (number, cells), current in _with_ranges(rows, wide):
        if not current:
            yield number, cells
            continue
        shown = list(cells)
        for merged in current:
            value = shown[merged.left] if merged.left < len(shown) else None
            for at in range(merged.left + 1, min(merged.right + 1, columns)):
                _put(shown, at, value)
        yield number, shown


def last_row_of(header: Header, ranges: Collection[Merged]) -> int:
    """Return the last row that a header reaches into: its own, unless all required columns' cells are merged downwards.

    So what stands under other parts of a header, such as the halves of a remark, is no award; a row that has one of
    its required cells to itself is never taken for a part of the header.
    """
    bottoms = {
        at: merged.bottom
        for merged in ranges
        if _reaches(header, merged)
        for at in header.columns.values()
        if merged.left <= at <= merged.right
    }
    return min(bottoms.get(header.columns[field], header.row) for field in REQUIRED)


def widened(header: Header, ranges: Collection[Merged]) -> Header:
    """Return the header with the columns that its last cell is merged over: they have no names and belong to it."""
    ends = [merged.right + 1 for merged in ranges if _reaches(header, merged) and merged.left < len(header.names)]
    more = max(ends, default=0) - len(header.names)
    return replace(header, names=(*header.names, *[""] * more))


def gather(
    file: str, rows: Iterable[Row], header: Header, ranges: Collection[Merged]
) -> tuple[list[Row], list[Problem]]:
    """Bring the value below a header that spans several columns into the first of them.

    Two values below one such header are a problem: nothing says which of them counts.
    """
    spans = [
        merged
        for merged in ranges
        if _reaches(header, merged) and merged.left < merged.right and merged.left in header.columns.values()
    ]
    gathered: list[Row] = []
    problems: list[Problem] = []
    for number, cells in rows:
        shown = list(cells) if spans else cells
        for span in spans:
            below = [cell for cell in shown[span.left : span.right + 1] if not is_blank(cell)]
            if len(below) > 1:
                problems.append(_second(file, number, header.names[span.left], below[1]))
            if below:
                shown = [*shown[: span.left], below[0], *[None] * (span.right - span.left), *shown[span.right + 1 :]]
        gathered.append((number, shown))
    return gathered, problems


def repeated_counts(rows: Iterable[Row], header: Header, ranges: Collection[Merged]) -> Iterator[Remark]:
    """Tell of each number of GPUs that is merged over several awards: somebody may have meant it for all together."""
    columns = [header.columns[field] for field in sorted(NUMBERS)]
    tall = [merged for merged in ranges if merged.top > header.row and merged.left in columns]
    over: dict[Merged, list[Row]] = {}
    for row, current in _with_ranges(rows, tall):
        for merged in current:
            over.setdefault(merged, []).append(row)
    for merged, covered in over.items():
        if len(covered) > 1:
            number, cells = covered[0]
            text = tr(
                "[{column}] {value} is merged over rows {first} to {last} and counts in each of them",
                column=header.names[merged.left],
                value=excerpt(cells[merged.left]),
                first=number,
                last=covered[-1][0],
            )
            yield Remark(row=number, text=text)


def _reaches(header: Header, merged: Merged) -> bool:
    return merged.top <= header.row <= merged.bottom


def _second(file: str, row: int, name: str, value: object) -> Problem:
    return Problem(
        file=file,
        row=row,
        column=name,
        value=problem_value(value),
        message=tr("is a second value below one header that spans several columns"),
        remedy=tr("split the header's merged cells and name each column, or leave one value"),
    )


def _put(cells: list[object], at: int, value: object) -> None:
    cells.extend([None] * (at + 1 - len(cells)))
    cells[at] = value


def _with_ranges(rows: Iterable[Row], ranges: Collection[Merged]) -> Iterator[tuple[Row, list[Merged]]]:
    """Yield each row with the merged cells that reach into it."""
    waiting = deque(sorted(ranges, key=lambda merged: (merged.top, merged.left)))
    # By column: however many ranges a damaged file has upon each other, a row has no more of them than columns.
    current: dict[int, Merged] = {}
    for number, cells in rows:
        if current:
            current = {left: merged for left, merged in current.items() if merged.bottom >= number}
        while waiting and waiting[0].top <= number:
            merged = waiting.popleft()
            if merged.bottom >= number:
                current[merged.left] = merged
        yield (number, cells), list(current.values())
