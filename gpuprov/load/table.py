"""A table that was found in a file: its header, its rows, and what is wrong with it besides its cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpuprov.errors import Problem
from gpuprov.load.cells import NO_RESULT
from gpuprov.load.header import Header, Row
from gpuprov.load.text import clean, printable

_MOST_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What whoever loads the list should know of a row, and no problem; the row as the operator's editor counts."""

    row: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The header, the rows under it that should be awards, and problems that did not keep them from being read.

    Blank rows, totals and notes are left out of the rows; notes are among the ``remarks``. ``sheet`` is the title of a
    workbook's sheet.
    """

    header: Header
    rows: Iterable[Row]
    problems: tuple[Problem, ...] = ()
    remarks: tuple[Remark, ...] = ()
    sheet: str | None = None


def excerpt(cell: object) -> str:
    """Return a cell's text in quotation marks, shortened, without what a terminal would obey."""
    written = printable(str(cell))
    return repr(written if len(written) <= _MOST_SHOWN else written[:_MOST_SHOWN] + "…")


def problem_value(cell: object) -> str | None:
    """Return a cell as a problem's value, shortened; None for a formula without a saved result."""
    return None if cell is NO_RESULT else str(cell)[:_MOST_SHOWN]


def is_blank(cell: object) -> bool:
    """Tell whether a cell holds nothing that can be seen."""
    if not isinstance(cell, str):
        return cell is None
    return not cell[:1].isalnum() and not clean(cell)
