"""What is wrong in lists, in the ledger and in settings, as an officer in Korea reads it: no English is left."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cli_project import run
from openpyxl import Workbook

from gpuprov import i18n

HEADER = ["과제번호", "기관명", "유형", "신청수량(H100)", "공급사", "배정GPU", "배정수량", "시작일", "종료일"]
GOOD = ["X-1", "가나대학교", "1", "1", "삼성SDS", "H100", "1", "2026-01-01", "2026-06-30"]

_PAGE = re.compile(r"\([^()]*docs/[^()]*\)")
"""A page of the documents, which are in English."""

_NO_SENTENCE = re.compile(
    r"`[^`]*`"  # commands and settings
    r"|'[^']*'|\"[^\"]*\""  # values of the file
    r"|\[[^\]]*\]"  # columns
    r"|\S*[/.:=#_<>-]\S*"  # paths, timestamps, options, names of files, fields and suppliers
)
_ENGLISH = re.compile(r"[A-Za-z][A-Za-z']*(?:;? +[A-Za-z][A-Za-z']*){2,}")
"""Three words or more. Words with commas between them are a list of names."""


def english(text: str) -> list[str]:
    """Return what is left of English in a text: three words or more, besides names, values and commands."""
    plain = (_NO_SENTENCE.sub(" 값 ", _PAGE.sub(" 값 ", line)) for line in text.splitlines())
    return [match for line in plain for match in _ENGLISH.findall(line)]


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    i18n.use(i18n.SOURCE)


def told(*command: str) -> list[str]:
    """Run a command that fails, in Korean, and return its lines; none is English."""
    result = run(*command, "--lang", "ko")
    assert result.exit_code == 1, result.output
    assert english(result.stderr) == []
    lines = result.stderr.splitlines()
    assert lines
    assert all(re.search("[가-힣]", line) for line in lines)
    return lines


def test_a_sentence_in_english_is_found() -> None:
    text = "list.csv:3 [배정수량] '8 of them': is not a day; write year, month and day, such as 2026-01-31"
    assert english(text) == ["is not a day; write year", "month and day"]
    assert english("list.csv:3 [a b c] 'Not a day': 날짜가 아닙니다; `gpuprov up` --at 값을 GPU 수로 고치십시오") == []


def text_list(*rows: Sequence[object], header: Sequence[str] = HEADER) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerows([header, *rows])
    return stream.getvalue()


def row(**columns: object) -> list[object]:
    return [columns.get(name.partition("(")[0], value) for name, value in zip(HEADER, GOOD, strict=True)]


CELLS = [
    row(과제번호="1.2E+10", 유형="7", 신청수량="여덟", 공급사="없는회사", 배정GPU="B200", 배정수량="8대"),
    row(과제번호="X 2", 시작일="2026-06-31", 종료일="46203", 신청수량="0", 배정수량="8.5"),
    row(과제번호="", 기관명="가" * 400, 시작일="2206-01-01", 종료일="어제", 배정수량="99,999,999"),
    row(과제번호="X-3", 기관명="#N/A", 시작일="2026-01-01 09:30", 배정GPU="H200"),
    row(과제번호="x-3", 기관명="가\u0007나"),
    [*row(과제번호="X-3"), "남는 칸"],
]
MORE = [
    [*row(과제번호="X-4"), "보류", "a@b", "내일"],
    [*row(과제번호="X-5"), "선정", "a b@c.kr", "2026-13-01"],
]

BREACHES = [
    row(과제번호="X-6", 배정수량="4"),
    row(과제번호="X-7", 배정GPU="A100", 공급사="엘리스", 배정수량="3"),
    row(과제번호="X-8", 유형="2", 신청수량="9", 배정수량="9"),
    row(과제번호="X-9", 시작일="2026-06-30", 종료일="2026-01-01"),
]

TEXTS: Mapping[str, str | bytes] = {
    "cells.csv": text_list(*CELLS),
    "rules.csv": text_list(*BREACHES),
    "more.csv": text_list(*MORE, header=[*HEADER, "상태", "이메일", "수락기한"]),
    "twice.csv": text_list(GOOD, header=[*HEADER, "할당수량"]),
    "columns.csv": text_list(GOOD, header=["번호", *HEADER[1:]]),
    "no-header.csv": "\n" * 30,
    "empty.csv": "",
    "none.csv": text_list(),
    "quoted.csv": text_list(GOOD) + '"X-6,',
    "stray.csv": text_list(GOOD) + '"X-6"7,a',
    "bytes.csv": text_list(GOOD).encode() + b"\xff\n",
    "utf16.csv": b"\xff\xfea\x00\n\x00\x00\xd8",
    "nul.csv": "id\n".encode("utf-16-le"),
    "archive.csv": b"PK\x03\x04",
    "list.pdf": "x",
    "list.xls": "x",
    "list.txt#S": "x",
    "damaged.xlsx": b"no archive",
    "old.xlsx": b"\xd0\xcf\x11\xe0",
    "broken.json": "[1,\n}",
    "object.json": "{}",
    "none.json": "[]",
    "nan.json": "[NaN]",
    "doubled.json": '[{"id": 1, "id": 2}]',
    "deep.json": "[" * 100_000,
    "kinds.json": json.dumps([5, {"id": "X-9", "quantity": [1], "track": True, "more": 1}]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_bad_lists_are_told_in_korean(root: Path, name: str) -> None:
    content = TEXTS[name]
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert all(name in line for line in told("validate", name)[:1])


def test_lists_that_are_not_there_are_told_in_korean(root: Path) -> None:
    (root / "a.csv").write_text(text_list(GOOD), encoding="utf-8")
    (root / "b.csv").write_text(text_list(GOOD), encoding="utf-8")
    lists = ["gone.csv", "examples", "x" * 300 + ".csv", "a.csv#S", "gone.xlsx#S", "a.csv", "b.csv"]
    assert len(told("validate", *lists)) == len(lists)


def workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[object]]], *merged: str) -> None:
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for cells in rows:
            sheet.append(cells)
        for area in merged:
            sheet.merge_cells(area)
    book.save(path)


MORNING = datetime(2026, 1, 1, 9, 30)  # noqa: DTZ001 (the cells of a spreadsheet have no time zone)
STRANGE = ["X-1", "=A1", True, 2.5, MORNING, "H100", 1, MORNING, timedelta(hours=3)]


def test_bad_workbooks_are_told_in_korean(root: Path) -> None:
    workbook(root / "cells.xlsx", {"S": [HEADER, STRANGE]})
    workbook(root / "sheets.xlsx", {"1차": [HEADER, GOOD], "2차": [HEADER, GOOD]})
    workbook(root / "halves.xlsx", {"S": [[*HEADER, "상태", None], [*GOOD, "선정", "예비"]]}, "J1:K1")
    lines = told("validate", "cells.xlsx", "sheets.xlsx", "sheets.xlsx#3차", "halves.xlsx")
    assert sum(line.startswith("cells.xlsx:2") for line in lines) >= 6
    assert {line.partition(" ")[0].partition(":")[0] for line in lines[:-1]} == {
        *("cells.xlsx", "sheets.xlsx", "sheets.xlsx#3차", "halves.xlsx")
    }


EVENT = {
    "award": "HPC-2026-1-001",
    "at": "2026-01-20T00:00:00+09:00",
    "by": "kim",
    "reason": "gave up",
    "recorded": "2026-01-20T09:00:00+09:00",
    "event": "reduced",
    "quantity": 4,
}
LINES: Mapping[str, object] = {
    "number": {"quantity": 0},
    "text": {"quantity": "4"},
    "event": {"event": "doubled"},
    "award": {"award": "a b"},
    "by": {"by": ""},
    "reason": {"reason": 7},
    "offset": {"at": "2026-01-20T00:00:00"},
    "timestamp": {"at": "soon"},
    "unknown": {"who": "kim"},
    "day": {"event": "extended", "last_day": "2026-13-01"},
    "late": {"event": "extended", "last_day": "2999-01-01"},
}


def ledger(root: Path) -> Path:
    return root / "examples" / "ledger.jsonl"


@pytest.mark.parametrize("name", LINES)
def test_bad_lines_of_the_ledger_are_told_in_korean(root: Path, name: str) -> None:
    changed = LINES[name]
    assert isinstance(changed, dict)
    ledger(root).write_text(json.dumps(EVENT | changed) + "\n", encoding="utf-8")
    assert all("ledger.jsonl:1" in line for line in told("validate")[:1])


@pytest.mark.parametrize(
    "text", ["{\n", "[]\n", '{"a":1}\n', '{"event":"reduced"}\n', '{"event":"reduced"', "\u00ff\n"]
)
def test_what_is_no_line_of_the_ledger_is_told_in_korean(root: Path, text: str) -> None:
    ledger(root).write_text(text, encoding="utf-8")
    assert all("ledger.jsonl:1" in line for line in told("validate")[:1])


def test_a_ledger_that_cannot_be_read_is_told_in_korean(root: Path) -> None:
    ledger(root).mkdir()
    (line,) = told("validate")
    assert "읽을 수 없습니다(폴더임)" in line


STACKS: Mapping[str, Callable[[str], str]] = {
    "missing": lambda text: text.replace("context:", "kontext:"),
    "shape": lambda text: text.replace("context: samsung-sds", "context: [a]"),
    "pools": lambda text: text.partition("    pools:")[0] + "    pools: []\n",
    "capacity": lambda text: text.replace("capacity: 200", "capacity: 200\n        perGpu: {cpu: x, memoryGiB: 0}"),
    "text": lambda text: text.replace("capacity: 200", "capacity: many"),
    "first step": lambda text: text.replace("capacity: 200", "capacity: [{gpus: 8, from: '2026-03-15'}, {gpus: 9}]"),
    "order": lambda text: text.replace(
        "capacity: 200", "capacity: [{gpus: 8}, {gpus: 9, from: '2026-03-15'}, {gpus: 9, from: '2026-03-14'}]"
    ),
    "instant": lambda text: text.replace("capacity: 200", "capacity: [{gpus: 8}, {gpus: 9, from: soon}]"),
    "model": lambda text: text.replace("model: H100", "model: X1"),
    "twice": lambda text: text + text.partition("pools:\n")[2],
    "label": lambda text: text.replace("nodeLabel:", "nodeLabel: {a: b, c: d}\n        perGpu: 7\n        unknown:"),
    "resource": lambda text: text.replace("nvidia.com/gpu\n", "a b\n"),
    "shards": lambda text: text.replace("context:", "shards: 65\n    requireChart: maybe\n    context:"),
    "provider": lambda text: text.replace("context:", "provider: x\n    context:"),
    "aliases": lambda text: text.replace("aliases:", "aliases: text\n    deviceClasses:"),
    "date": lambda text: text.replace("context:", "uid: 2026-01-01\n    context:"),
    "copied": lambda text: text.replace("gpuprov:cluster", "other:cluster"),
    "list": lambda _: "- a\n",
    "yaml": lambda _: "config: [\n",
    "control": lambda _: "config: \u0007\n",
    "calendar": lambda _: "config: {a: 2026-02-30}\n",
}


@pytest.mark.parametrize("name", STACKS)
def test_bad_stack_files_are_told_in_korean(root: Path, name: str) -> None:
    path = root / "stacks" / "Pulumi.samsung-sds.yaml"
    text = path.read_text(encoding="utf-8")
    changed = STACKS[name](text)
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    if name == "copied":  # then no other stack has what this one lacks
        for other in root.glob("stacks/Pulumi.[ek]*.yaml"):
            other.unlink()
    told("validate")


MAIN: Mapping[str, Callable[[str], str]] = {
    "name": lambda text: text.replace("name: gpuprov", "nom: gpuprov"),
    "other": lambda text: text.replace("name: gpuprov", "name: other"),
    "awards": lambda text: text + "  gpuprov:awards: a.csv\n",
    "settings": lambda text: text.replace("config:", "config:\n  programme: [a]\n  retired: [A]\n  programmeEnd: soon"),
    "retired": lambda text: text.replace("config:", "config:\n  retired: [kt-cloud]"),
    "programme": lambda text: text.replace("config:", "config:\n  programme: gone.yaml"),
    "columns": lambda text: text.replace("config:", "config:\n  columns: columns.yaml"),
    "bytes": lambda _: "\udcff",
}


@pytest.mark.parametrize("name", MAIN)
def test_a_bad_project_file_is_told_in_korean(root: Path, name: str) -> None:
    path = root / "Pulumi.yaml"
    text = path.read_text(encoding="utf-8")
    changed = MAIN[name](text)
    assert changed != text
    path.write_text(changed, encoding="utf-8", errors="surrogateescape")
    if name == "awards":
        path.write_text(text.replace("    default:", "    unset:"), encoding="utf-8")
    (root / "columns.yaml").write_text("columns: {a: nothing, '': id, b: id, B: id}\n", encoding="utf-8")
    told("validate")


@pytest.mark.parametrize(
    "text", ["columns: {없음: id}\n", "other: {}\n", "columns: {a: b\n", "", "columns: [a]\n", "\udcff"]
)
def test_bad_mapping_files_are_told_in_korean(root: Path, text: str) -> None:
    path = root / "Pulumi.yaml"
    path.write_text(MAIN["columns"](path.read_text(encoding="utf-8")), encoding="utf-8")
    (root / "columns.yaml").write_text(text, encoding="utf-8", errors="surrogateescape")
    told("validate")


def test_a_folder_without_a_project_is_told_in_korean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (line,) = told("validate")
    assert "gpuprov init" in line


PROGRAMMES: Mapping[str, tuple[str, str]] = {
    "missing": ("name:", "nom:"),
    "empty": ("appliedNames: [", "appliedNames: ['', "),
    "names": ("- name: A100", "- name: A 100"),
    "numbers": ("devicesPerServer: 8", "devicesPerServer: 0"),
    "texts": ("least: 1", "least: x"),
    "spaces": ("- name: H100", "- name: ' H100'"),
    "calls": ("calls: []", "calls: [{name: a, firstDay: soon, lastDay: 7.5, lists: x}]"),
    "shape": ("accelerators:", "unknown:"),
    "zone": ("timeZone: Asia/Seoul", "timeZone: Korea"),
    "number": ('end: "2026-07-01T00:00+09:00"', "end: 7"),
    "reference": ("reference: H100", "reference: X1"),
    "no reference": ("reference: H100", "reference: null"),
    "conversion": ("perReference: 1", "perReference: 0.5"),
    "counts": ("perReference: 1", "perReference: 2"),
    "bounds": ("least: 8", "least: 9\n    most: 4"),
    "words": ("[유형1, ", "[유형2, "),
    "statuses": ("[예비, ", "[선정, "),
    "counted": ("least: 1", "countedIn: A100\n    least: 1"),
    "term": ("calls: []", "calls: [{name: a, firstDay: 2026-02-01, lastDay: 2026-01-01, lists: [a.csv]}]"),
    "late": (
        "calls: []",
        (
            "calls: [{name: a, firstDay: 2026-02-01, lastDay: 2027-01-01, lists: [a]},"
            " {name: A, firstDay: 2026-02-01, lastDay: 2026-03-01, lists: [a]}]"
        ),
    ),
    "end": ('end: "2026-07-01T00:00+09:00"', 'end: "2026-07-01T00:00"'),
}


@pytest.mark.parametrize("name", PROGRAMMES)
def test_bad_programme_files_are_told_in_korean(root: Path, name: str) -> None:
    old, new = PROGRAMMES[name]
    packaged = Path(i18n.__file__).parent / "programmes" / "2026-h1.yaml"
    text = packaged.read_text(encoding="utf-8")
    assert old in text
    (root / "own.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    main = root / "Pulumi.yaml"
    changed = main.read_text(encoding="utf-8").replace("config:", "config:\n  programme: own.yaml")
    main.write_text(changed, encoding="utf-8")
    told("validate")


def test_what_may_be_meant_is_told_in_korean(root: Path) -> None:
    """Warnings: a note, a number of GPUs for several awards, and lines of the ledger that count for nothing."""
    rows = [HEADER, GOOD, row(과제번호="X-2"), ["※ 변경될 수 있음"]]
    workbook(root / "noted.xlsx", {"S": rows}, "G2:G3")
    late = EVENT | {"event": "extended", "last_day": "2026-09-30", "at": "2026-08-01T00:00:00+09:00", "award": "X-1"}
    del late["quantity"]
    ledger(root).write_text("".join(json.dumps(line) + "\n" for line in (EVENT, late)), encoding="utf-8")
    result = run("validate", "noted.xlsx", "--lang", "ko")
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["경고"] * 4
    assert english(result.output) == []
