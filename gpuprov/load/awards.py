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
from gpuprov.load.cells import NO_RESULT
from gpuprov.load.delimited import read_delimited
from gpuprov.load.encoding import decode
from gpuprov.load.fields import NAMES, REQUIRED
from gpuprov.load.files import read_bytes
from gpuprov.load.header import Header, Row
from gpuprov.load.jsonlist import read_json
from gpuprov.load.mapping import ColumnMapping
from gpuprov.load.programme import default_programme
from gpuprov.load.rows import RowParser
from gpuprov.load.suppliers import Suppliers
from gpuprov.load.table import Table, is_blank
from gpuprov.load.text import key, look
from gpuprov.load.words import Words

_TEXTS = (".csv", ".tsv", ".txt")
_WORKBOOKS = (".xlsx", ".xlsm")
_ARCHIVE = b"PK\x03\x04"
_TOTALS = frozenset({"합계", "총계", "소계", "계", "total"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an award stands: the file as it was given, and the row as the operator's editor counts it."""

    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file}:{self.row}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedList:
    """The awards of all files in the order of the files and rows, and by award id where each stands."""

    awards: tuple[Award, ...]
    origins: Mapping[str, Origin]


def load_awards(
    paths: Sequence[Path],
    clusters: Sequence[ProviderCluster],
    mapping: ColumnMapping | None = None,
    *,
    programme: Programme | None = None,
) -> LoadedList:
    """Read award lists (CSV, XLSX, JSON) and check them against the programme's rules and the configured suppliers.

    Without a ``programme`` it is the one that comes with the package. Raises InputError with every problem of every
    file. Reads the files and does nothing else.
    """
    programme = programme or default_programme()
    names = dict.fromkeys(programme.applied_names, "applied_h100")
    loader = _Loader(Suppliers(clusters), replace(mapping or ColumnMapping(columns={}), names=names), programme)
    if not paths:
        raise InputError([Problem(file="award list", message="no file was given", remedy="name one or more lists")])
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
        self._contents: dict[bytes, str] = {}
        self._ids: dict[str, tuple[str, Origin]] = {}
        self._headers: set[str] = set()
        self._unreadable = False

    def load(self, path: Path) -> None:
        """Add one file's awards and problems."""
        file = str(path)
        try:
            data = self._read(path)
            if path.suffix.lower() == ".json":
                self._load_json(file, decode(file, data))
            elif path.suffix.lower() in _WORKBOOKS:
                from gpuprov.load.sheet import read_workbook  # its library takes a while to load

                self._load_table(file, read_workbook(file, data, self._mapping))
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
        return LoadedList(awards=tuple(self._awards), origins=MappingProxyType(self._origins))

    def _read(self, path: Path) -> bytes:
        file = str(path)
        suffix = path.suffix.lower()
        data = read_bytes(path)
        if suffix not in (*_TEXTS, *_WORKBOOKS, ".json"):
            what = "an old Excel workbook" if suffix == ".xls" else "no award list by its name"
            raise InputError(
                [Problem(file=file, message=f"is {what}", remedy="save it as .xlsx, or as .csv in UTF-8 or CP949")]
            )
        if data.startswith(_ARCHIVE) and suffix not in _WORKBOOKS:
            message = f"is an Excel workbook in spite of its name's {suffix}"
            raise InputError([Problem(file=file, message=message, remedy="rename it to .xlsx")])
        digest = hashlib.sha256(data).digest()
        if digest in self._contents:
            message = f"has the same content as {self._contents[digest]}"
            raise InputError([Problem(file=file, message=message, remedy="give each list once")])
        self._contents[digest] = file
        return data

    def _load_table(self, file: str, table: Table) -> None:
        header = table.header
        self._headers.update(map(key, header.names))
        self._problems.extend(table.problems)
        positions = sorted(header.columns.items(), key=lambda column: column[1])
        parser = self._parser(file, {field: header.names[at] for field, at in positions})
        empty = True
        for number, row in table.rows:
            if _is_totals(row, header):
                continue
            empty = False
            values = {field: row[at] if at < len(row) else None for field, at in positions}
            self._add(file, number, values, parser)
            self._problems.extend(_beyond_header(file, (number, row), header))
        if empty and not table.problems:
            problem = Problem(file=file, row=header.row, message="has a header and no awards", remedy="add the awards")
            self._problems.append(problem)

    def _load_json(self, file: str, text: str) -> None:
        objects, problems = read_json(file, text)
        self._problems.extend(problems)
        if not objects and not problems:
            self._problems.append(Problem(file=file, message="has no awards", remedy="add the awards"))
        for position, values in objects:
            names = {name: name for name in NAMES if name in values or name in REQUIRED}
            self._add(file, position, values, self._parser(file, names))

    def _parser(self, file: str, columns: Mapping[str, str]) -> RowParser:
        call = self._call_of.get(unicodedata.normalize("NFC", Path(file).name), "")
        return RowParser(file, columns, self._suppliers, self._words, call)

    def _add(self, file: str, number: int, values: Mapping[str, object], parser: RowParser) -> None:
        award_id, award, problems = parser.parse(number, values)
        origin = Origin(file=file, row=number)
        if award_id is not None:
            same, first = self._ids.setdefault(look(award_id), (award_id, origin))
            if first is not origin:
                message = f"is in {first} too" if same == award_id else f"cannot be told from {same!r} in {first}"
                problems.insert(
                    0, parser.problem(number, "id", values.get("id"), message, "give each award its own id")
                )
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
            value=None if more[0] is NO_RESULT else str(more[0])[:80],
            message=f"the row is longer than the header's {len(header.names)} columns",
            remedy="put cells that hold the separator in quotation marks, or name or empty the extra column",
        )


def _is_totals(cells: Sequence[object], header: Header) -> bool:
    """Tell whether a row adds up others: its first filled cell says so, and it has no days."""
    first = next((cell for cell in cells if not is_blank(cell)), None)
    if not isinstance(first, str) or key(first) not in _TOTALS:
        return False
    days = [header.columns[field] for field in ("first_day", "last_day")]
    return all(at >= len(cells) or is_blank(cells[at]) for at in days)
