"""The ledger's file: lines that are read, and appended one command after another."""

import errno
import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from filelock import FileLock, Timeout
from strategies import MARCH, accepted, forfeited, reduced

from gpuprov.core.ledger import EVENT
from gpuprov.errors import InputError, Stale
from gpuprov.load import ledgerfile
from gpuprov.load.ledgerfile import LedgerLine, append_events, read_ledger, read_lines


def problems(call, *args):
    with pytest.raises(InputError) as caught:
        call(*args)
    return caught.value.problems


EVENTS = [accepted("A", MARCH), reduced("과제-1", MARCH, 4), forfeited("A", MARCH)]


def test_a_ledger_that_does_not_exist_yet_is_empty(tmp_path):
    assert read_ledger(tmp_path / "ledger.jsonl") == ()


def test_what_was_appended_is_read_in_order(tmp_path):
    path = tmp_path / "new/folder/ledger.jsonl"
    assert append_events(path, EVENTS[:2], known=0) == tuple(EVENTS[:2])
    assert append_events(path, EVENTS[2:], known=2) == tuple(EVENTS)
    assert read_ledger(path) == tuple(EVENTS)
    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["accepted", "reduced", "forfeited"]
    assert "과제-1" in lines[1]


def test_appending_leaves_every_byte_before_as_it_was(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_events(path, EVENTS[:1], known=0)
    before = path.read_bytes()
    append_events(path, EVENTS[1:2], known=1)
    assert path.read_bytes().startswith(before)
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(("ending", "lines"), [(b"\n", 2), (b"", 2), (b"\r\n", 2), (b"\n\n", 3)])
def test_a_new_event_stands_on_a_line_of_its_own(ending, lines, tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(EVENT.dump_json(EVENTS[0]) + ending)
    append_events(path, EVENTS[1:2], known=1)
    assert read_ledger(path) == tuple(EVENTS[:2])
    assert path.read_bytes().count(b"\n") == lines


def test_an_empty_file_gets_no_empty_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"")
    append_events(path, EVENTS[:1], known=0)
    assert path.read_bytes() == EVENT.dump_json(EVENTS[0]) + b"\n"


def test_every_bad_line_is_told_with_its_row(tmp_path):
    path = tmp_path / "ledger.jsonl"
    good = EVENT.dump_json(EVENTS[1]).decode()
    path.write_text(
        "\n".join(
            [
                good,
                "{",
                "",
                good.replace('"quantity":4', '"quantity":0'),
                good.replace("reduced", "doubled"),
                good.replace('"by"', '"who"'),
                good.replace("+09:00", "", 1),
                "\u00ff",
                "",
            ]
        ),
        encoding="latin-1",
        errors="xmlcharrefreplace",
    )
    found = problems(read_ledger, path)
    assert [(problem.row, problem.column, problem.value, problem.message) for problem in found] == [
        (2, None, None, "is not valid JSON at character 1"),
        (4, "reduced.quantity", "0", "is less than 1"),
        (5, None, None, "event 'doubled' is not known"),
        (6, "reduced.by", None, "is missing"),
        (6, "reduced.who", "operator", "is not known here"),
        (7, "reduced.at", "2026-03-01T12:00:00", "has no offset from UTC"),
        (8, None, None, "is not valid JSON at character 1"),
    ]
    assert "correct it if it is new (write 1 or more); restore from git what was committed" in found[1].remedy
    assert "write one of accepted, forfeited, reduced, extended" in found[2].remedy
    assert all("restore from git what was committed, since events are never edited" in p.remedy for p in found)


def test_a_line_that_was_cut_off_is_told_as_such(tmp_path):
    path = tmp_path / "ledger.jsonl"
    whole = EVENT.dump_json(EVENTS[0]) + b"\n"
    for length in range(1, len(whole) - 1):
        path.write_bytes(whole + whole[:length])
        (problem,) = problems(read_ledger, path)
        assert problem.row == 2
        assert problem.remedy.startswith("the line was cut off while it was written: remove it")
    path.write_bytes(whole + whole[:-1])
    assert len(read_ledger(path)) == 2


def test_a_last_line_that_is_wrong_but_whole_was_not_cut_off(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(EVENT.dump_json(EVENTS[0]).replace(b"2026-", b"2026/", 1))
    (problem,) = problems(read_ledger, path)
    assert problem.remedy.startswith("correct it if it is new (write it as '2026-03-15T10:00+09:00'); restore from git")


def test_a_ledger_that_is_a_folder(tmp_path):
    assert "cannot be read" in problems(read_ledger, tmp_path)[0].message
    assert "cannot be read" in problems(append_events, tmp_path, EVENTS[:1], 0)[0].message


def test_a_ledger_whose_folder_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in problems(append_events, tmp_path / "file" / "ledger.jsonl", EVENTS[:1], 0)[0].message


def test_the_lock_is_held_until_the_event_is_on_the_disk(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    seen = []

    def fsync(number):
        with pytest.raises((Timeout, RuntimeError)), FileLock(f"{path}.lock", timeout=0):
            pass
        seen.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    append_events(path, EVENTS[:1], known=0)
    assert seen == [EVENT.dump_json(EVENTS[0]) + b"\n"]
    with FileLock(f"{path}.lock", timeout=0):
        assert len(read_ledger(path)) == 1


WRITER = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from gpuprov.errors import Stale
from gpuprov.core.ledger import Accepted
from gpuprov.load.ledgerfile import append_events, read_ledger

path = Path(sys.argv[1])
at = datetime(2026, 3, 1, tzinfo=timezone.utc)
for number in range(20):
    event = Accepted(award=f"{sys.argv[2]}-{number}", at=at, by="operator", reason="x" * 5000, recorded=at)
    while True:
        try:
            append_events(path, [event], len(read_ledger(path)))
            break
        except Stale:
            continue
"""


def test_commands_that_write_at_once_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.touch()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(number)]) for number in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    written = [event.award for event in read_ledger(path)]
    assert len(written) == 80
    for writer in range(4):
        assert [line for line in written if line.startswith(f"{writer}-")] == [f"{writer}-{n}" for n in range(20)]


def test_a_line_that_is_just_being_written_is_waited_for(tmp_path):
    path = tmp_path / "ledger.jsonl"
    line = EVENT.dump_json(EVENTS[0]) + b"\n"
    with ThreadPoolExecutor(1) as pool:
        with FileLock(f"{path}.lock"):
            path.write_bytes(line + line[:40])
            reading = pool.submit(read_ledger, path)
            with pytest.raises(TimeoutError):
                reading.result(timeout=0.5)
            path.write_bytes(line + line)
        assert len(reading.result(timeout=60)) == 2


def test_who_may_write_no_lock_reads_a_ledger_without_its_last_newline(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(EVENT.dump_json(EVENTS[0]))

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ledgerfile, "FileLock", refused)
    assert len(read_ledger(path)) == 1


FORFEITER = """
import sys
from datetime import date, datetime, timezone
from pathlib import Path
from gpuprov.core.award import Award
from gpuprov.core.decisions import forfeit
from gpuprov.errors import Stale
from gpuprov.core.ledger import histories
from gpuprov.load.ledgerfile import append_events, read_ledger

path = Path(sys.argv[1])
at = datetime(2026, 3, 1, tzinfo=timezone.utc)
award = Award(id="HPC-1", organization="x", track="2", applied_h100=8, provider="p", model="H100", quantity=8,
              first_day=date(2026, 1, 1), last_day=date(2026, 6, 30))


def decide():
    events = read_ledger(path)
    told = histories([award], events, timezone.utc)
    decided = forfeit(told, ["HPC-1"], at=at, by=sys.argv[2], reason="x", recorded=at)
    return decided.events, len(events)


decided = decide()
print("decided", flush=True)
sys.stdin.readline()
while True:
    try:
        append_events(path, *decided)
        break
    except Stale as stale:
        print(stale)
        decided = decide()
"""


def test_forfeiting_one_award_in_several_processes_at_once_writes_one_event(tmp_path):
    """All have decided on the empty ledger before the first may write."""
    path = tmp_path / "ledger.jsonl"
    command = [sys.executable, "-c", FORFEITER, path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, f"user-{number}"], **pipes) for number in range(4)]
    assert [process.stdout.readline() for process in processes] == ["decided\n"] * 4
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    (event,) = read_ledger(path)
    assert sum(not text for text in outputs) == 1
    assert sum(f"line 1: forfeited HPC-1 by {event.by}" in text for text in outputs) == 3


def test_a_ledger_that_has_grown_since_the_decision_is_left_alone(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_events(path, EVENTS[:2], known=0)
    before = path.read_bytes()
    with pytest.raises(Stale) as caught:
        append_events(path, EVENTS[2:], known=0)
    assert str(caught.value) == (
        f"{path} has grown since this was decided (line 1: accepted A by operator; "
        "line 2: reduced 과제-1 by operator); nothing was written; rerun the command"
    )
    assert path.read_bytes() == before


def test_the_new_lines_of_a_grown_ledger_are_named_by_their_rows(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"\n" + EVENT.dump_json(EVENTS[0]) + b"\n\n" + EVENT.dump_json(EVENTS[2]))
    with pytest.raises(Stale, match=r"\(line 4: forfeited A by operator\)"):
        append_events(path, EVENTS[1:2], known=1)


def test_a_ledger_that_lost_lines_since_the_decision_is_left_alone(tmp_path):
    path = tmp_path / "ledger.jsonl"
    with pytest.raises(Stale, match="has 0 events, and had 2 when this was decided"):
        append_events(path, EVENTS[:1], known=2)
    assert not path.exists()


def test_nothing_to_write_makes_no_ledger_and_still_tells_that_it_changed(tmp_path):
    path = tmp_path / "ledger.jsonl"
    assert append_events(path, [], known=0) == ()
    assert not path.exists()
    append_events(path, EVENTS[:1], known=0)
    with pytest.raises(Stale):
        append_events(path, [], known=0)


def test_a_line_that_is_cut_off_stops_the_next_writer(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(EVENT.dump_json(EVENTS[0])[:-9])
    (problem,) = problems(append_events, path, EVENTS[1:2], 0)
    assert (problem.row, problem.remedy[:20]) == (1, "the line was cut off")


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_a_disk_that_takes_half_a_line_keeps_none_of_it(ending, tmp_path):
    """A file that may grow by a few bytes only is like a disk with so many left: the first write is a short one."""
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(EVENT.dump_json(EVENTS[0]) + ending)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 30, hard))
    try:
        (problem,) = problems(append_events, path, EVENTS[1:], 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written" in problem.message
    assert path.read_bytes() == before
    assert append_events(path, EVENTS[1:], known=1) == tuple(EVENTS)


def test_whoever_writes_to_a_full_disk_is_told_to_make_room(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ledgerfile.os, "fsync", full)
    (problem,) = problems(append_events, tmp_path / "ledger.jsonl", EVENTS[:1], 0)
    assert (problem.message, problem.remedy) == (
        "cannot be written (No space left on device)",
        "make room on the disk, then rerun the command",
    )
    assert read_ledger(tmp_path / "ledger.jsonl") == ()


def test_all_events_of_a_command_reach_the_disk_at_once(tmp_path, monkeypatch):
    synced = []
    path = tmp_path / "ledger.jsonl"
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(len(path.read_bytes().splitlines())))
    append_events(path, EVENTS, known=0)
    assert synced == [3]


def test_lines_are_read_with_the_rows_on_which_they_stand(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"\n\n".join(EVENT.dump_json(event) for event in EVENTS))
    assert read_lines(path) == tuple(LedgerLine(row, event) for row, event in zip((1, 3, 5), EVENTS, strict=True))
