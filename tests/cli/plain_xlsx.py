"""Reads an XLSX file as the standard (ECMA-376) has it, with nothing but ZIP and XML: not with what wrote it."""

import io
import re
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
BUILT_IN_DATES = range(14, 23)
"""Numbers of the formats that every program shows as a day or a time."""


@dataclass(frozen=True)
class Cell:
    """A cell's value: a text, a number, or a datetime where a number is formatted as a day or an instant."""

    value: str | float | datetime
    formula: bool
    quoted: bool


@dataclass(frozen=True)
class Sheet:
    """Cells by reference, such as A1; the widths of columns from 1; the cell at which the frozen rows end."""

    cells: dict[str, Cell]
    widths: dict[int, float]
    frozen: str | None

    def row(self, number: int) -> list[object]:
        """Return the values of a row in order of the columns; empty cells are left out."""
        return [cell.value for name, cell in self.cells.items() if re.sub("[A-Z]", "", name) == str(number)]


def read(data: bytes) -> Sheet:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        parts = {name: ET.fromstring(archive.read(name)) for name in archive.namelist() if name.endswith(".xml")}  # noqa: S314 (our own)
    strings = parts.get("xl/sharedStrings.xml")
    shared = [] if strings is None else [_text(item) for item in strings.iter(f"{MAIN}si")]
    formats = _formats(parts["xl/styles.xml"])
    sheet = parts["xl/worksheets/sheet1.xml"]
    cells = {}
    for cell in sheet.iter(f"{MAIN}c"):
        date, quoted = formats[int(cell.get("s", "0"))]
        value = cell.find(f"{MAIN}v")
        inline = cell.find(f"{MAIN}is")
        formula = cell.find(f"{MAIN}f") is not None
        if inline is not None:
            assert cell.get("t") == "inlineStr"
            cells[str(cell.get("r"))] = Cell(_text(inline), formula, quoted)
        elif value is not None and value.text is not None:
            found = _value(cell.get("t", "n"), value.text, shared, date=date)
            cells[str(cell.get("r"))] = Cell(found, formula, quoted)
    widths = {int(col.get("min", "0")): float(col.get("width", "0")) for col in sheet.iter(f"{MAIN}col")}
    pane = sheet.find(f".//{MAIN}pane")
    frozen = None if pane is None or pane.get("state") != "frozen" else pane.get("topLeftCell")
    return Sheet(cells, widths, frozen)


def _text(item: ET.Element) -> str:
    return "".join(text.text or "" for text in item.iter(f"{MAIN}t"))


def _formats(styles: ET.Element) -> list[tuple[bool, bool]]:
    """Return of each cell format whether it shows a day, and whether the text is quoted."""
    own = {int(form.get("numFmtId", "0")): form.get("formatCode", "") for form in styles.iter(f"{MAIN}numFmt")}
    used = styles.find(f"{MAIN}cellXfs")
    assert used is not None
    return [
        (
            int(form.get("numFmtId", "0")) in BUILT_IN_DATES or "yy" in own.get(int(form.get("numFmtId", "0")), ""),
            form.get("quotePrefix") in ("1", "true"),
        )
        for form in used
    ]


def _value(kind: str, text: str, shared: list[str], *, date: bool) -> str | float | datetime:
    if kind == "s":
        return shared[int(text)]
    assert kind in ("n", "d"), kind
    if not date:
        return float(text)
    if kind == "d":
        return datetime.fromisoformat(text)
    return datetime(1899, 12, 30) + timedelta(days=float(text))  # noqa: DTZ001 (a sheet knows no time zone)
