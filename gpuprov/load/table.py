"""A table that was found in a file: its header, its rows, and what is wrong with it besides its cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpuprov.errors import Problem
from gpuprov.load.header import Header, Row
from gpuprov.load.text import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The header, the rows under it that are not blank, and problems that did not keep them from being read."""

    header: Header
    rows: Iterable[Row]
    problems: tuple[Problem, ...] = ()


def is_blank(cell: object) -> bool:
    """Tell whether a cell holds nothing that can be seen."""
    return cell is None or (isinstance(cell, str) and not clean(cell))
