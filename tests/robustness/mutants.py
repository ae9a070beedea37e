"""Files of a project, and what becomes of files: cut, doubled, overwritten, filled with what nobody expects."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl

REPOSITORY = Path(__file__).parents[2]
_EVENTS = (
    {"event": "accepted", "award": "HPC-2026-1-001", "at": "2026-01-05T10:00:00+09:00"},
    {"event": "reduced", "award": "HPC-2026-1-003", "quantity": 4, "at": "2026-02-01T00:00:00+09:00"},
    {"event": "extended", "award": "HPC-2026-1-001", "last_day": "2026-06-30", "at": "2026-03-01T00:00:00+09:00"},
    {"event": "forfeited", "award": "HPC-2026-1-002", "at": "2026-03-02T00:00:00+09:00"},
)
LEDGER = "".join(
    json.dumps(event | {"by": "ops", "reason": "as decided", "recorded": event["at"]}) + "\n" for event in _EVENTS
)
WORDS = [
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b'"',
        b"'",
        b",",
        b"\t",
        b"\r",
        b"\n",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"#",
    ),
    *(b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999999999", b"2026-02-30", b"0000-00-00", b"9999-12-31"),
    *(
        b"null",
        b"true",
        b"!!python/object:os.system",
        b"&a [*a]",
        b"<<: *a",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x92\xa9",
        b"=1+1",
    ),
    *("삼성SDS".encode(), "선정".encode(), "포기".encode(), "예비".encode(), b"H100", "유형".encode("cp949")),
]


def make_project(root: Path, rows: int = 12) -> Path:
    """Write a valid project that has a list in every format, a ledger, and a programme file."""
    root.mkdir(parents=True)
    for folder in ("stacks", "lists"):
        (root / folder).mkdir()
    for path in sorted((REPOSITORY / "stacks").glob("Pulumi.*.yaml")):
        shutil.copy(path, root / "stacks")
    shutil.copy(REPOSITORY / "gpuprov" / "programmes" / "2026-h1.yaml", root / "programme.yaml")
    lines = (REPOSITORY / "examples" / "awards-2026-h1.csv").read_text(encoding="utf-8-sig").splitlines()[: rows + 1]
    cells = [line.split(",") for line in lines]
    parts = [cells[0], *cells[1:4]], [cells[0], *cells[4:7]], [cells[0], *cells[7:10]], [cells[0], *cells[10:]]
    (root / "lists" / "a.csv").write_bytes(_text(parts[0], ",").encode("utf-8-sig"))
    (root / "lists" / "b.csv").write_bytes(_text(parts[1], ",").encode("cp949"))
    (root / "lists" / "c.txt").write_bytes(_text(parts[2], "\t").encode("utf-16"))
    book = openpyxl.Workbook()
    for row in parts[3]:
        book.active.append(row)
    book.active.merge_cells("A20:B22")
    book.save(root / "lists" / "d.xlsx")
    (root / "ledger.jsonl").write_text(LEDGER, encoding="utf-8")
    (root / "Pulumi.yaml").write_text(
        "name: gpuprov\nruntime: python\nmain: stacks\nstackConfigDir: stacks\nconfig:\n"
        "  awards: {default: [lists/a.csv, lists/b.csv, lists/c.txt, lists/d.xlsx]}\n"
        "  ledger: {default: ledger.jsonl}\n  programme: {default: programme.yaml}\n",
        encoding="utf-8",
    )
    return root


def _text(rows: list[list[str]], delimiter: str) -> str:
    return "".join(delimiter.join(row) + "\n" for row in rows)


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Return a file's content after some accidents; of a workbook also those that leave it a valid archive."""
    if data.startswith(b"PK") and dice.random() < 0.8:
        return _in_archive(data, dice)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        data = dice.choice(_ACCIDENTS)(data, dice)
    return data


def _in_archive(data: bytes, dice: random.Random) -> bytes:
    with ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = dice.choice(sorted(files))
    what = dice.random()
    if what < 0.1:
        del files[name]
    elif what < 0.2:
        files[name] = files[dice.choice(sorted(files))]
    else:
        for _ in range(dice.choice((1, 1, 2, 4))):
            files[name] = dice.choice(_ACCIDENTS)(files[name], dice)
    stream = io.BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        for each, content in files.items():
            archive.writestr(each, content)
    return stream.getvalue()


def _place(data: bytes, dice: random.Random) -> tuple[int, int]:
    start = dice.randrange(len(data) + 1)
    return start, min(len(data), start + dice.choice((0, 1, 1, 2, 4, 16, 200)))


def _flip(data: bytes, dice: random.Random) -> bytes:
    start, end = _place(data, dice)
    return data[:start] + bytes(byte ^ (1 << dice.randrange(8)) for byte in data[start:end]) + data[end:]


def _cut(data: bytes, dice: random.Random) -> bytes:
    start, end = _place(data, dice)
    return data[:start] if dice.random() < 0.2 else data[:start] + data[end:]


def _insert(data: bytes, dice: random.Random) -> bytes:
    start, _ = _place(data, dice)
    return data[:start] + dice.choice(WORDS) * dice.choice((1, 1, 1, 2, 50)) + data[start:]


def _replace(data: bytes, dice: random.Random) -> bytes:
    start, end = _place(data, dice)
    return data[:start] + dice.choice(WORDS) + data[end:]


def _double(data: bytes, dice: random.Random) -> bytes:
    start, end = _place(data, dice)
    return data[:end] + data[start:end] * dice.choice((1, 1, 3, 100)) + data[end:]


def _swap_lines(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    first, second = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _another_value(data: bytes, dice: random.Random) -> bytes:
    """Put another kind of value where JSON has one."""
    start = data.find(b": ", dice.randrange(len(data) + 1))
    if start < 0:
        return _insert(data, dice)
    end = min((at for sign in b",}\n" if (at := data.find(bytes([sign]), start)) > 0), default=len(data))
    value = dice.choice(([], {}, None, True, -1, 1.5, "", "x" * 5000, [[]] * 50, {"a": {"a": {}}}))
    return data[: start + 2] + json.dumps(value).encode() + data[end:]


Accident = Callable[[bytes, random.Random], bytes]
_ACCIDENTS: tuple[Accident, ...] = (_flip, _cut, _insert, _replace, _double, _swap_lines, _another_value)
