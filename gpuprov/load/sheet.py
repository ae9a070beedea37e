"""Excel workbooks (.xlsx, .xlsm) to a table."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, redirect_stdout
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from openpyxl.reader.excel import ExcelReader

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import joined, tr
from gpuprov.load.asides import set_aside
from gpuprov.load.cells import NO_RESULT
from gpuprov.load.header import HEADER_WITHIN, Header, Row, best_header, no_header
from gpuprov.load.mapping import ColumnMapping
from gpuprov.load.merged import across, down, gather, last_row_of, repeated_counts, widened
from gpuprov.load.sheetxml import Marks, read_marks
from gpuprov.load.table import Table, is_blank
from gpuprov.load.text import clean, printable

MOST_UNPACKED = 512 * 1024 * 1024
"""Bytes that a workbook may unpack to; 10,000 awards are 10 MB."""

_LAST_ROW = 1_048_576
"""Rows of an Excel sheet; a damaged file can name a row far beyond."""

_OLE = b"\xd0\xcf\x11\xe0"
_SAVE_AGAIN = tr("open it in Excel and save it again as .xlsx")


def read_workbook(file: str, data: bytes, mapping: ColumnMapping | None, wanted: str | None = None) -> Table:
    """Return the one table in the visible sheets of a workbook, or that of the sheet ``wanted``, hidden or not.

    Hidden rows are read like all others. Raises InputError where the file is no workbook that can be read, has no such
    sheet, no sheet has a header, or several have: taking the first would drop the awards of the others without a word.
    """
    _check_archive(file, data)
    try:
        # openpyxl warns of decorations that it drops, and prints which style a cell refers to in vain: both say nothing
        # about the cells, and standard output is a command's data.
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return _read(file, data, mapping, wanted)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged part makes openpyxl stumble over
        message = tr("is a damaged or incomplete workbook")
        raise InputError([Problem(file=file, message=message, remedy=_SAVE_AGAIN)]) from error


def _check_archive(file: str, data: bytes) -> None:
    """Refuse what is no archive of a sensible size."""
    if data.startswith(_OLE):
        message = tr("is an old .xls workbook or is protected by a password")
        remedy = joined("; ", [tr("remove the password"), _SAVE_AGAIN])
        raise InputError([Problem(file=file, message=message, remedy=remedy)])
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except Exception as error:  # zipfile raises six kinds of errors on damaged archives
        message = tr("is no Excel workbook, is damaged, or is locked by document security (DRM)")
        remedy = joined("; ", [tr("unlock it"), _SAVE_AGAIN])
        raise InputError([Problem(file=file, message=message, remedy=remedy)]) from error
    if unpacked > MOST_UNPACKED:
        message = tr("unpacks to more than {size} MiB", size=MOST_UNPACKED // 1024 // 1024)
        raise InputError([Problem(file=file, message=message, remedy=tr("keep only the award list in it"))])


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A sheet as openpyxl reads it, and what the sheet's XML has besides."""

    title: str
    cells: Any  # openpyxl has no types
    marks: Marks

    def rows(self) -> Iterator[Row]:
        """Yield the rows that show something of their own."""
        return down(self._filled(), self.marks.merged)

    def _filled(self) -> Iterator[Row]:
        # The size that a workbook states is wrong in files of some exporters: read what is there.
        self.cells.reset_dimensions()
        for number, cells in enumerate(self.cells.iter_rows(values_only=True), start=1):
            if number > _LAST_ROW:
                return
            formulas = self.marks.formulas.get(number)
            row = _with_formulas(cells, formulas) if formulas else cells
            if not all(map(is_blank, row)):
                yield number, row


def _with_formulas(cells: Sequence[object], formulas: frozenset[int]) -> list[object]:
    """Return the cells with NO_RESULT for a formula without a saved result: openpyxl shows it as an empty cell."""
    return [NO_RESULT if cell is None and at in formulas else cell for at, cell in enumerate(cells)]


def _read(file: str, data: bytes, mapping: ColumnMapping | None, wanted: str | None) -> Table:
    reader = ExcelReader(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    reader.read()
    with closing(reader.wb) as workbook:
        parts = {entry.name: relation.target for entry, relation in reader.parser.find_sheets()}
        award_sheets: list[tuple[_Sheet, Header]] = []
        nearest: Header | None = None
        for cells in _chosen(file, workbook.worksheets, wanted):
            sheet = _Sheet(cells.title, cells, read_marks(reader.archive.read(parts[cells.title])))
            header = best_header(takewhile(lambda row: row[0] <= HEADER_WITHIN, sheet.rows()), mapping)
            if header is not None and not header.missing:
                award_sheets.append((sheet, header))
            elif header is not None and (nearest is None or len(header.columns) > len(nearest.columns)):
                nearest = header
        if not award_sheets:
            raise InputError([no_header(file, nearest)])
        if len(award_sheets) > 1:
            raise InputError([_several(file, [sheet.title for sheet, _ in award_sheets])])
        return _table(file, *award_sheets[0])


def _table(file: str, sheet: _Sheet, header: Header) -> Table:
    merged = sheet.marks.merged
    header = widened(header, merged)
    last = last_row_of(header, merged)
    # Totals and notes are told from the first of merged cells alone: a note may be merged over the whole width.
    rows, notes = set_aside((row for row in sheet.rows() if row[0] > last), header)
    gathered, problems = gather(file, rows, header, merged)
    return Table(
        header=header,
        rows=list(across(gathered, merged, len(header.names))),
        problems=(*header.problems(file), *problems),
        remarks=(*notes, *repeated_counts(rows, header, merged)),
        sheet=sheet.title,
    )


def _chosen(file: str, sheets: Sequence[Any], wanted: str | None) -> list[Any]:
    """Return the sheet that was asked for, compared as Excel compares titles, or all that are visible."""
    if wanted is None:
        return [sheet for sheet in sheets if sheet.sheet_state == "visible"]
    chosen = [sheet for sheet in sheets if sheet.title == wanted]
    chosen = chosen or [sheet for sheet in sheets if clean(sheet.title).casefold() == clean(wanted).casefold()]
    if len(chosen) != 1:
        titles = ", ".join(repr(printable(sheet.title)) for sheet in sheets)
        problem = Problem(
            file=file,
            message=tr("has no sheet {sheet!r}, only {sheets}", sheet=printable(wanted), sheets=titles),
            remedy=tr("write one of these names behind the #, or none where one visible sheet has the list"),
        )
        raise InputError([problem])
    return chosen


def _several(file: str, titles: Sequence[str]) -> Problem:
    return Problem(
        file=file,
        message=tr("has an award list in each of the sheets {sheets}", sheets=", ".join(map(repr, titles))),
        remedy=tr(
            "name the sheet behind the file, such as '{file}#{sheet}', or hide the others", file=file, sheet=titles[0]
        ),
    )
