"""Delimited text (CSV, TSV, Excel's semicolon and Unicode-text variants) to a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import takewhile

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.asides import set_aside
from gpuprov.load.header import HEADER_WITHIN, Header, Row, best_header, no_header
from gpuprov.load.mapping import ColumnMapping
from gpuprov.load.table import Table, is_blank

_DELIMITERS = (",", ";", "\t")


def read_delimited(file: str, text: str, mapping: ColumnMapping | None) -> Table:
    """Return the table in ``text``. The delimiter is the one that splits the header into the known columns.

    Raises InputError where no header is found. A row number is that of the physical line the row begins in, so that
    it is right in an editor also below cells of several lines.
    """
    nearest: Header | None = None
    broken: Problem | None = None
    for delimiter in _DELIMITERS:
        reader = _Lines(text, delimiter)
        header = None
        try:
            header = best_header(takewhile(lambda row: row[0] <= HEADER_WITHIN, reader), mapping)
        except csv.Error as error:
            # With another delimiter the same quotation marks may be right.
            broken = broken or _broken(file, reader, error)
        if header is None:
            continue
        if not header.missing:
            return _table(file, text, delimiter, header)
        if nearest is None or len(header.columns) > len(nearest.columns):
            nearest = header
    if broken is not None and (nearest is None or not nearest.columns):
        raise InputError([broken])
    raise InputError([no_header(file, nearest)])


def _table(file: str, text: str, delimiter: str, header: Header) -> Table:
    rows: list[Row] = []
    problems = list(header.problems(file))
    reader = _Lines(text, delimiter)
    try:
        rows.extend(row for row in reader if row[0] > header.row)
    except csv.Error as error:
        problems.append(_broken(file, reader, error))
    awards, notes = set_aside(rows, header)
    return Table(header=header, rows=awards, problems=tuple(problems), remarks=notes)


def _broken(file: str, reader: _Lines, error: csv.Error) -> Problem:
    reason = str(error)
    if "end of data" in reason:
        reason = tr("the file ends before it is closed")
    elif "expected after" in reason:
        reason = tr("something follows a closing one inside of a cell")
    return Problem(
        file=file,
        row=reader.begun,
        message=tr(
            'has a stray or unclosed quotation mark ("), so the lines after it cannot be told: {reason}', reason=reason
        ),
        remedy=tr('close the quotation, or write each " inside a cell twice'),
    )


class _Lines:
    """Rows that are not blank, each with the line it begins in; ``begun`` is the line of the row being read."""

    def __init__(self, text: str, delimiter: str) -> None:
        # newline="" leaves line ends inside quoted cells alone.
        self._reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        self.begun = 1

    def __iter__(self) -> Iterator[Row]:
        for cells in self._reader:
            if not all(map(is_blank, cells)):
                yield self.begun, cells
            self.begun = self._reader.line_num + 1
