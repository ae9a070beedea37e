"""Tables for spreadsheets: CSV and XLSX. What stands in a cell is data from outside and never becomes a formula."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from rich.cells import cell_len

from gpuprov.core.awardrow import AwardRow
from gpuprov.core.overview import Column, Value
from gpuprov.i18n import shown, tr, visible

_FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""How a text begins that a spreadsheet takes for a formula. Some programs take the full-width signs too."""

_MOST_WIDTH = 60
"""The widest column in characters of Excel's default font, so that one long name does not hide the rest."""

_SPARE_WIDTH = 3
"""Room for the button of the filter beside a title."""


def plain(value: Value) -> str | int | date | None:
    """Return a value as people read it: yes or no where it is one or the other."""
    return {True: tr("yes"), False: tr("no")}[value] if isinstance(value, bool) else value


def is_formula(text: str) -> bool:
    """Tell whether a spreadsheet might take a text for a formula. It may drop blanks, tabs and line breaks first."""
    return text.startswith(("\t", "\r", "\n")) or text.lstrip().startswith(_FORMULAS)


def csv_text(columns: Sequence[Column], rows: Iterable[AwardRow]) -> str:
    """Return a table as CSV, in English. It begins with a byte order mark: without one Excel takes it for no UTF-8.

    A text that could be a formula gets an apostrophe before it. Lines end as RFC 4180 has it.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([column.title for column in columns])
    for row in rows:
        writer.writerow([_csv_cell(plain(column.value(row))) for column in columns])
    return "\N{BYTE ORDER MARK}" + text.getvalue()


def _csv_cell(value: str | int | date | None) -> str | int:
    if isinstance(value, str):
        text = visible(value)
        return f"'{text}" if is_formula(text) else text
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else value


def workbook(columns: Sequence[Column], rows: Sequence[AwardRow]) -> bytes:
    """Return a table as an XLSX file: days, instants and numbers as such, and a header that stays and filters.

    Titles and words are in the language in use. An instant is written by the programme's clock, without its offset:
    Excel knows none.
    """
    from openpyxl import Workbook  # takes a while to load
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    sheet.title = shown(tr("awards"))
    for index, column in enumerate(columns, start=1):
        title = sheet.cell(row=1, column=index, value=shown(column.title))
        title.font = Font(bold=True)
        values = [_in_language(plain(column.value(row))) for row in rows]
        for number, value in enumerate(values, start=2):
            _fill(sheet.cell(row=number, column=index), value)
        longest = max((_width(value) for value in values), default=0)
        width = min(_MOST_WIDTH, max(longest, _width(title.value) + _SPARE_WIDTH) + 2)
        sheet.column_dimensions[get_column_letter(index)].width = width
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def _in_language(value: str | int | date | None) -> str | int | date | None:
    return shown(value) if isinstance(value, str) else value


def _fill(cell: object, value: str | int | date | None) -> None:
    """Write a value into a cell of openpyxl, which by itself makes formulas and errors of some texts."""
    from openpyxl.cell.cell import Cell

    assert isinstance(cell, Cell)  # noqa: S101 (openpyxl has no types)
    if isinstance(value, str):
        cell.value = value
        cell.data_type = "s"
        cell.quotePrefix = is_formula(value)  # stays a text when somebody edits it
    elif isinstance(value, datetime):
        cell.value = value.replace(tzinfo=None)
        cell.number_format = "yyyy-mm-dd hh:mm"
    elif isinstance(value, date):
        cell.value = value
        cell.number_format = "yyyy-mm-dd"
    elif value is not None:
        cell.value = value


def _width(value: object) -> int:
    """Return how many columns of a character a value takes: a Hangul syllable is two wide."""
    if isinstance(value, datetime):
        return len("2026-07-01 00:00")
    return 0 if value is None else cell_len(unicodedata.normalize("NFC", str(value)))
