"""What openpyxl does not tell of a sheet that it reads row by row: merged cells, and which cells have formulas."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from openpyxl.utils import range_boundaries
from openpyxl.utils.cell import coordinate_to_tuple
from openpyxl.xml.constants import SHEET_MAIN_NS

from gpuprov.load.merged import Merged

_TELLING = re.compile(rb"<(\w+:)?(f[\s/>]|mergeCell\s)")


@dataclass(frozen=True, slots=True)
class Marks:
    """The merged cells of a sheet, and by row the columns, counted from 0, of formulas that should have a result."""

    merged: tuple[Merged, ...] = ()
    formulas: Mapping[int, frozenset[int]] = field(default_factory=dict)


def read_marks(xml: bytes) -> Marks:
    """Read a sheet's XML once more for what it has besides values; most sheets have neither and cost a search.

    Raises ValueError or expat.ExpatError where the sheet is damaged.
    """
    if not _TELLING.search(xml):
        return Marks()
    scan = _Scan()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = scan.start
    parser.ParseFile(io.BytesIO(xml))
    return Marks(
        merged=tuple(scan.merged), formulas={row: frozenset(columns) for row, columns in scan.formulas.items()}
    )


_ROW = f"{SHEET_MAIN_NS} row"
_CELL = f"{SHEET_MAIN_NS} c"
_FORMULA = f"{SHEET_MAIN_NS} f"
_MERGED = f"{SHEET_MAIN_NS} mergeCell"


class _Scan:
    """Counts rows and cells as openpyxl does: where a file gives no number, it is the next one."""

    def __init__(self) -> None:
        self.merged: list[Merged] = []
        self.formulas: dict[int, set[int]] = {}
        self._row = 0
        self._column = 0
        self._cell: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element."""
        if name == _CELL:
            self._cell = attributes
            self._column = coordinate_to_tuple(attributes["r"])[1] if "r" in attributes else self._column + 1
        elif name == _ROW:
            self._row = int(float(attributes["r"])) if "r" in attributes else self._row + 1
            self._column = 0
        elif name == _FORMULA:
            # A formula that gave the empty text is a cell of type "str"; one that was never calculated has no type.
            if self._cell.get("t") != "str":
                self.formulas.setdefault(self._row, set()).add(self._column - 1)
        elif name == _MERGED:
            left, top, right, bottom = range_boundaries(attributes["ref"])
            if (left, top) != (right, bottom):
                self.merged.append(Merged(top=top, bottom=bottom, left=left - 1, right=right - 1))
