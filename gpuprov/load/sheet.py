"""Excel workbooks (.xlsx, .xlsm) to a table."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing
from itertools import takewhile
from typing import Any

import openpyxl

from gpuprov.errors import InputError, Problem
from gpuprov.load.cells import NO_RESULT
from gpuprov.load.header import HEADER_WITHIN, Header, Row, best_header, no_header
from gpuprov.load.mapping import ColumnMapping
from gpuprov.load.table import Table, is_blank

MOST_UNPACKED = 512 * 1024 * 1024
"""Bytes that a workbook may unpack to; 10,000 awards are 10 MB."""

_LAST_ROW = 1_048_576
"""Rows of an Excel sheet; a damaged file can name a row far beyond."""

_FORMULA = re.compile(rb"<(\w+:)?f[\s/>]")
_OLE = b"\xd0\xcf\x11\xe0"
_SAVE_AGAIN = "open it in Excel and save it again as .xlsx"


def read_workbook(file: str, data: bytes, mapping: ColumnMapping | None) -> Table:
    """Return the one table in the visible sheets of a workbook. Hidden rows are read like all others.

    Raises InputError where the file is no workbook that can be read, no visible sheet has a header, or several have:
    taking the first would drop the awards of the others without a word.
    """
    has_formulas = _check_archive(file, data)
    try:
        with warnings.catch_warnings():
            # openpyxl warns of decorations that it drops; they say nothing about the cells.
            warnings.simplefilter("ignore")
            return _read(file, data, mapping, has_formulas=has_formulas)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged part makes openpyxl stumble over
        message = "is a damaged or incomplete workbook"
        raise InputError([Problem(file=file, message=message, remedy=_SAVE_AGAIN)]) from error


def _check_archive(file: str, data: bytes) -> bool:
    """Refuse what is no archive of a sensible size, and tell whether any sheet has formulas."""
    if data.startswith(_OLE):
        message = "is an old .xls workbook or is protected by a password"
        raise InputError([Problem(file=file, message=message, remedy=f"remove the password; {_SAVE_AGAIN}")])
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
                message = f"unpacks to more than {MOST_UNPACKED // 1024 // 1024} MiB"
                raise InputError([Problem(file=file, message=message, remedy="keep only the award list in it")])
            sheets = [name for name in archive.namelist() if name.endswith(".xml") and "/worksheets/" in name]
            return any(_FORMULA.search(archive.read(name)) for name in sheets)
    except InputError:
        raise
    except Exception as error:  # zipfile raises six kinds of errors on damaged archives
        message = "is no Excel workbook, is damaged, or is locked by document security (DRM)"
        raise InputError([Problem(file=file, message=message, remedy=f"unlock it; {_SAVE_AGAIN}")]) from error


def _read(file: str, data: bytes, mapping: ColumnMapping | None, *, has_formulas: bool) -> Table:
    with closing(openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)) as workbook:
        sheets = [sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
        found: list[tuple[Any, Header]] = []
        nearest: Header | None = None
        for sheet in sheets:
            head = takewhile(lambda row: row[0] <= HEADER_WITHIN, _plain_rows(sheet))
            header = best_header(head, mapping)
            if header is not None and not header.missing:
                found.append((sheet, header))
            elif header is not None and (nearest is None or len(header.columns) > len(nearest.columns)):
                nearest = header
        if not found:
            raise InputError([no_header(file, nearest)])
        if len(found) > 1:
            names = ", ".join(repr(sheet.title) for sheet, _ in found)
            message = f"has an award list in each of the sheets {names}"
            raise InputError(
                [Problem(file=file, message=message, remedy="hide or move the sheets that are not to be loaded")]
            )
        sheet, header = found[0]
        rows = _rows_with_formulas(data, sheet) if has_formulas else _plain_rows(sheet)
        body = [row for row in rows if row[0] > header.row]
    return Table(header=header, rows=body, problems=tuple(header.problems(file)))


def _plain_rows(sheet: Any) -> Iterator[Row]:  # noqa: ANN401 - openpyxl has no types
    # The size that a workbook states is wrong in files of some exporters: read what is there.
    sheet.reset_dimensions()
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > _LAST_ROW:
            return
        if not all(map(is_blank, cells)):
            yield number, cells


def _rows_with_formulas(data: bytes, sheet: Any) -> Iterator[Row]:  # noqa: ANN401 - openpyxl has no types
    """Yield rows in which a formula without a saved result is NO_RESULT: openpyxl alone shows it as an empty cell."""
    with closing(openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False)) as workbook:
        formulas = workbook[sheet.title]
        formulas.reset_dimensions()
        sheet.reset_dimensions()
        both = zip(sheet.iter_rows(), formulas.iter_rows(values_only=True), strict=True)
        for number, (results, sources) in enumerate(both, start=1):
            if number > _LAST_ROW:
                return
            cells = [_result(cell, source) for cell, source in zip(results, sources, strict=True)]
            if not all(map(is_blank, cells)):
                yield number, cells


def _result(cell: Any, source: object) -> object:  # noqa: ANN401 - openpyxl has no types
    # A formula that gave the empty text has a cell of type "str"; one that was never calculated has none.
    if cell.value is None and source is not None and cell.data_type != "str":
        return NO_RESULT
    return cell.value
