"""Reads the ledger's file, and appends to it: JSON Lines, one event a line, never edited."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from gpuprov.core.ledger import EVENT, Event
from gpuprov.errors import InputError, Problem, Stale
from gpuprov.i18n import Message, joined, tr
from gpuprov.load.details import details
from gpuprov.load.files import full_disk, system_reason


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """An event, and the row on which it stands as an editor counts: the first line is 1."""

    row: int
    event: Event


def read_ledger(path: Path) -> tuple[Event, ...]:
    """Read the events. A ledger that does not exist yet has none. Raises InputError with every bad line."""
    return tuple(line.event for line in read_lines(path))


def read_lines(path: Path) -> tuple[LedgerLine, ...]:
    """Read the events with their rows. A ledger that does not exist yet has none. Raises as `read_ledger`.

    A line that another command is just writing is waited for: it is no line that was cut off.
    """
    content = read_content(path)
    if content and not content.endswith(b"\n"):
        with suppress(OSError), FileLock(f"{path}.lock"):  # who may only read cannot wait
            content = read_content(path)
    return _parsed(path, content)


def read_content(path: Path) -> bytes:
    """Read the file as it is. A ledger that does not exist yet is empty. Raises InputError where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except (OSError, ValueError) as error:
        message = tr("cannot be read ({reason})", reason=system_reason(error))
        remedy = tr("check the path and its permissions")
        raise InputError([Problem(file=str(path), message=message, remedy=remedy)]) from error


def _parsed(path: Path, content: bytes) -> tuple[LedgerLine, ...]:
    ledger_lines = []
    problems: list[Problem] = []
    lines = content.split(b"\n")
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            ledger_lines.append(LedgerLine(row, EVENT.validate_json(line)))
        except ValidationError as error:
            problems.extend(_bad_line(path, row, row == len(lines), error))
    if problems:
        raise InputError(problems)
    return tuple(ledger_lines)


_MEND = tr("correct it if it is new; restore from git what was committed, since events are never edited")

_EVENTS = {
    "accepted": tr("accepted"),
    "forfeited": tr("forfeited"),
    "reduced": tr("reduced"),
    "extended": tr("extended"),
}


def event_word(event: Event) -> Message:
    """Return what happened, in one word for people."""
    return _EVENTS[event.event]


def _bad_line(path: Path, row: int, last: bool, error: ValidationError) -> Iterator[Problem]:
    for detail in details(error, ""):
        remedy = _MEND
        if detail.remedy:
            remedy = tr(
                "correct it if it is new ({how}); restore from git what was committed, since events are never edited",
                how=detail.remedy,
            )
        if last and detail.kind == "json_invalid":
            remedy = tr("the line was cut off while it was written: remove it and rerun the command")
        yield Problem(
            file=str(path),
            row=row,
            column=".".join(map(str, detail.place)) or None,
            value=detail.value,
            message=detail.message,
            remedy=remedy,
        )


def append_events(path: Path, events: Sequence[Event], known: int) -> tuple[Event, ...]:
    """Append events that were decided on the first ``known`` ones, and return the whole ledger once it is on the disk.

    A lock beside the file keeps two commands apart, so what was decided on is what the lines are appended to. Raises
    Stale where the ledger has changed in between, and InputError where it cannot be read or written; nothing was
    written then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            ledger_lines = _parsed(path, read_content(path))
            if len(ledger_lines) != known:
                raise Stale(_changed(path, ledger_lines, known))
            if events:
                _write(path, b"".join(EVENT.dump_json(event) + b"\n" for event in events))
    except OSError as error:
        message = tr("cannot be written ({reason})", reason=system_reason(error))
        remedy = tr("check its permissions and those of its folder")
        if full_disk(error):
            remedy = tr("make room on the disk, then rerun the command")
        raise InputError([Problem(file=str(path), message=message, remedy=remedy)]) from error
    return (*(line.event for line in ledger_lines), *events)


def _write(path: Path, lines: bytes) -> None:
    """Write all lines at once: a command that is killed leaves at most one line that is cut off, and it is the last.

    A disk that is full takes none: what it has taken of them is removed again. Raises OSError.
    """
    with path.open("a+b", buffering=0) as file:
        before = file.tell()
        file.seek(max(0, before - 1))
        unfinished = file.read(1) not in (b"", b"\n")  # an editor may have saved it without the last newline
        left = memoryview(b"\n" + lines if unfinished else lines)
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            raise


def _changed(path: Path, ledger_lines: Sequence[LedgerLine], known: int) -> str:
    if len(ledger_lines) < known:
        return tr(
            "{file} has {now} events, and had {before} when this was decided; nothing was written; rerun the command",
            file=path,
            now=len(ledger_lines),
            before=known,
        )
    new = [
        tr(
            "line {row}: {event} {award} by {by}",
            row=line.row,
            event=event_word(line.event),
            award=line.event.award,
            by=line.event.by,
        )
        for line in ledger_lines[known:]
    ]
    return tr(
        "{file} has grown since this was decided ({lines}); nothing was written; rerun the command",
        file=path,
        lines=joined("; ", new),
    )
