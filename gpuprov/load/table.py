"""A table that was found in a file: its header, its rows, and what is wrong with it besides its cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpuprov.errors import Problem
from gpuprov.load.header import Header, Row
from gpuprov.load.text import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A row that only remarks on the list: its number as the operator's editor counts, and its text."""

    row: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The header, the rows under it that should be awards, and problems that did not keep them from being read.

    ``notes`` were left out of the rows, and so were blank rows and totals. ``sheet`` is the title of a workbook's
    sheet.
    """

    header: Header
    rows: Iterable[Row]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()
    sheet: str | None = None


def is_blank(cell: object) -> bool:
    """Tell whether a cell holds nothing that can be seen."""
    if not isinstance(cell, str):
        return cell is None
    return not cell[:1].isalnum() and not clean(cell)
