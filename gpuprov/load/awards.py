"""Award lists to awards, with every problem of every file at once."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from gpuprov.core.award import Award
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.programme import Programme
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.delimited import read_delimited
from gpuprov.load.encoding import decode
from gpuprov.load.fields import NAMES
from gpuprov.load.files import read_bytes
from gpuprov.load.header import Header, Row
from gpuprov.load.jsonlist import read_json
from gpuprov.load.mapping import ColumnMapping
from gpuprov.load.programme import default_programme
from gpuprov.load.rows import RowParser
from gpuprov.load.source import WORKBOOKS, Source, list_names, source_of
from gpuprov.load.suppliers import Suppliers
from gpuprov.load.table import Table, is_blank, problem_value
from gpuprov.load.text import key, look
from gpuprov.load.words import Words

_TEXTS = (".csv", ".tsv", ".txt")
_ARCHIVE = b"PK\x03\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an award stands: the file as it was given, and the row as the operator's editor counts it."""

    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file}:{self.row}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedList:
    """The awards of all files in the order of the files and rows, and by award id where each stands.

    ``warnings`` are one line for each note that was left out, and for each number of GPUs that counts more than once
    because it is merged over several awards.
    """

    awards: tuple[Award, ...]
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...] = ()


def load_awards(
    paths: Sequence[Path],
    clusters: Sequence[ProviderCluster],
    mapping: ColumnMapping | None = None,
    *,
    programme: Programme | None = None,
) -> LoadedList:
    """Read award lists (CSV, XLSX, JSON) and check them against the programme's rules and the configured suppliers.

    A path may name a sheet of a workbook: ``list.xlsx#sheet``. Without a ``programme`` the packaged one
    holds. Raises InputError with every problem of every file. Reads the files and does nothing else.
    """
    programme = programme or default_programme()
    names = dict.fromkeys(programme.applied_names, "applied_h100")
    loader = _Loader(Suppliers(clusters), replace(mapping or ColumnMapping(columns={}), names=names), programme)
    if not paths:
        remedy = tr("name one or more lists")
        raise InputError([Problem(file=tr("award list"), message=tr("no file was given"), remedy=remedy)])
    for path in paths:
        loader.load(path)
    return loader.result()


class _Loader:
    def __init__(self, suppliers: Suppliers, mapping: ColumnMapping, programme: Programme) -> None:
        self._suppliers = suppliers
        self._mapping = mapping
        self._words = Words(programme)
        self._call_of = {
            unicodedata.normalize("NFC", name): call.name for call in programme.calls for name in call.lists
        }
        self._awards: list[Award] = []
        self._origins: dict[str, Origin] = {}
        self._problems: list[Problem] = []
        self._warnings: list[str] = []
        self._contents: dict[tuple[bytes, str | None], str] = {}
        self._ids: dict[str, tuple[str, Origin]] = {}
        self._headers: set[str] = set()
        self._unreadable = False

    def load(self, path: Path) -> None:
        """Add one list's awards and problems."""
        file = str(path)
        source = source_of(path)
        suffix = source.file.suffix.lower()
        try:
            data = read_bytes(source.file, file)
            _check_kind(file, source, data)
            if suffix in WORKBOOKS:
                from gpuprov.load.sheet import read_workbook  # its library takes a while to load

                table = read_workbook(file, data, self._mapping, source.sheet)
                self._check_content(file, data, table.sheet)
                self._load_table(file, table)
                return
            self._check_content(file, data, None)
            if suffix == ".json":
                self._load_json(file, decode(file, data))
            else:
                self._load_table(file, read_delimited(file, decode(file, data), self._mapping))
        except InputError as error:
            self._problems.extend(error.problems)
            self._unreadable = True

    def result(self) -> LoadedList:
        """Return what was loaded, or raise InputError with all problems."""
        if not self._unreadable:
            self._problems.extend(self._mapping.unused(frozenset(self._headers)))
        if self._problems:
            raise InputError(self._problems)
        return LoadedList(
            awards=tuple(self._awards), origins=MappingProxyType(self._origins), warnings=tuple(self._warnings)
        )

    def _check_content(self, file: str, data: bytes, sheet: str | None) -> None:
        """Refuse a list that was given before, under whatever name."""
        content = (hashlib.sha256(data).digest(), sheet)
        if content in self._contents:
            message = tr("has the same content as {list}", list=self._contents[content])
            raise InputError([Problem(file=file, message=message, remedy=tr("give each list once"))])
        self._contents[content] = file

    def _load_table(self, file: str, table: Table) -> None:
        header = table.header
        self._headers.update(map(key, header.names))
        self._problems.extend(table.problems)
        positions = sorted(header.columns.items(), key=lambda column: column[1])
        parser = self._parser(file, {field: header.names[at] for field, at in positions})
        remarks = sorted(table.remarks, key=lambda remark: remark.row)
        self._warnings.extend(
            tr("{file}:{row}: {remark}", file=file, row=remark.row, remark=remark.text) for remark in remarks
        )
        empty = True
        for number, row in table.rows:
            empty = False
            values = {field: row[at] if at < len(row) else None for field, at in positions}
            self._add(file, number, values, parser)
            self._problems.extend(_beyond_header(file, (number, row), header))
        if empty and not table.problems:
            message = tr("has a header and no awards")
            self._problems.append(Problem(file=file, row=header.row, message=message, remedy=tr("add the awards")))

    def _load_json(self, file: str, text: str) -> None:
        objects, problems = read_json(file, text)
        self._problems.extend(problems)
        if not objects and not problems:
            self._problems.append(Problem(file=file, message=tr("has no awards"), remedy=tr("add the awards")))
        parser = self._parser(file, {name: name for name in NAMES})
        for position, values in objects:
            self._add(file, position, values, parser)

    def _parser(self, file: str, columns: Mapping[str, str]) -> RowParser:
        call = next((self._call_of[name] for name in list_names(Path(file)) if name in self._call_of), "")
        return RowParser(file, columns, self._suppliers, self._words, call)

    def _add(self, file: str, number: int, values: Mapping[str, object], parser: RowParser) -> None:
        award_id, award, problems = parser.parse(number, values)
        origin = Origin(file=file, row=number)
        if award_id is not None:
            same, first = self._ids.setdefault(look(award_id), (award_id, origin))
            if first is not origin:
                message = tr("cannot be told from {award!r} in {place}", award=same, place=str(first))
                if same == award_id:
                    message = tr("is in {place} too", place=str(first))
                remedy = tr("give each award its own id")
                problems.insert(0, parser.problem(number, "id", values.get("id"), message, remedy))
        self._problems.extend(problems)
        if award is not None:
            self._awards.append(award)
            self._origins[award.id] = origin


def _beyond_header(file: str, row: Row, header: Header) -> Iterator[Problem]:
    number, cells = row
    more = [cell for cell in cells[len(header.names) :] if not is_blank(cell)]
    if more:
        yield Problem(
            file=file,
            row=number,
            value=problem_value(more[0]),
            message=tr("the row is longer than the header's {number} columns", number=len(header.names)),
            remedy=tr("put cells that hold the separator in quotation marks, or name or empty the extra column"),
        )


def _check_kind(file: str, source: Source, data: bytes) -> None:
    """Refuse what is no award list by its name, and what is another kind of file than its name says."""
    suffix = source.file.suffix.lower()
    if suffix not in (*_TEXTS, *WORKBOOKS, ".json"):
        message = tr("is an old Excel workbook") if suffix == ".xls" else tr("is no award list by its name")
        remedy = tr("save it as .xlsx, or as .csv in UTF-8 or CP949")
        raise InputError([Problem(file=file, message=message, remedy=remedy)])
    if data.startswith(_ARCHIVE) and suffix not in WORKBOOKS:
        message = tr("is an Excel workbook in spite of its name's {suffix}", suffix=suffix)
        raise InputError([Problem(file=file, message=message, remedy=tr("rename it to .xlsx"))])
    if source.sheet is not None and suffix not in WORKBOOKS:
        message = tr("names a sheet, and {suffix} files have none", suffix=suffix)
        remedy = tr("write {file} without the # and what follows it", file=source.file)
        raise InputError([Problem(file=file, message=message, remedy=remedy)])
