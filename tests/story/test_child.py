"""Processes that are given a message and answer; slots that bound how many engines run."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from projects import REPOSITORY
from pydantic import BaseModel

from gpuprov.run import slots
from gpuprov.run.child import Answer, Errand, answer, run_all
from gpuprov.run.slots import ENGINES_VARIABLE, engines

ECHO = """
import os, sys, time
from gpuprov.run.child import listen, say, tell
word = listen()
log = os.environ["ECHO_LOG"]
def note(what):
    with open(log, "a") as file:
        file.write(what + "\\n")
note("begin")
if "die" in word:
    sys.exit(7)
tell("halfway")
time.sleep(0.3)
note("end")
say("outcome", {"heard": word})
"""

HOLD = """
import os, sys, time
from gpuprov.run.slots import slot
with slot():
    with open(os.environ["ECHO_LOG"], "a") as file:
        file.write("begin\\n")
    time.sleep(float(sys.argv[1]))
    with open(os.environ["ECHO_LOG"], "a") as file:
        file.write("end\\n")
"""


class Word(BaseModel):
    word: str


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "echo_errand.py").write_text(textwrap.dedent(ECHO), encoding="utf-8")
    (tmp_path / "hold_slot.py").write_text(textwrap.dedent(HOLD), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ECHO_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "log"


def most_at_once(log: Path) -> int:
    running = most = 0
    for line in log.read_text(encoding="utf-8").split():
        running += 1 if line == "begin" else -1
        most = max(most, running)
    return most


def errand(word: str, heard: list[str]) -> Errand:
    return Errand(module="echo_errand", message=Word(word=word), progress=heard.append)


def test_answers_come_in_the_order_of_the_errands(log: Path) -> None:
    heard: list[str] = []
    answers = run_all([errand(word, heard) for word in ("a", "die", "c")])
    assert answers[0] == Answer(outcome={"heard": '{"word":"a"}'}, code=0)
    assert answers[1] == Answer(outcome=None, code=7)
    assert answers[2].outcome == {"heard": '{"word":"c"}'}
    assert heard == ["halfway", "halfway"]


def test_no_more_processes_than_asked_for_at_once(log: Path) -> None:
    assert len(run_all([errand(str(n), []) for n in range(5)], at_once=2)) == 5
    assert most_at_once(log) == 2


def test_nothing_to_do_is_done_at_once() -> None:
    assert run_all([]) == []


def test_an_interrupt_reaches_the_processes_and_starts_no_new_one(log: Path) -> None:
    """In a process of its own: the interrupt is for its main thread."""
    script = textwrap.dedent("""
        import json
        from pydantic import BaseModel
        from gpuprov.run.child import Errand, run_all
        class Word(BaseModel):
            word: str
        try:
            nine = [Errand(module="echo_errand", message=Word(word=str(n)), progress=print) for n in range(9)]
            run_all(nine, at_once=1)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    while not log.exists() or "begin" not in log.read_text(encoding="utf-8"):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert out.splitlines()[-1] == "interrupted"
    assert log.read_text(encoding="utf-8").split().count("begin") <= 2


EARLY = """
import sys, time
print("imports", file=sys.stderr, flush=True)
time.sleep(0.5)
from pydantic import BaseModel
from gpuprov.run.child import answer, listen
class Word(BaseModel):
    word: str
listen()
answer(lambda: time.sleep(60), lambda error: Word(word=error))
"""


def test_an_interrupt_while_a_process_begins_is_told_by_it_and_not_by_a_traceback(log: Path) -> None:
    (log.parent / "early_errand.py").write_text(EARLY, encoding="utf-8")
    script = textwrap.dedent("""
        from pydantic import BaseModel
        from gpuprov.run.child import Errand, run_all
        class Word(BaseModel):
            word: str
        try:
            run_all([Errand(module="early_errand", message=Word(word=""), progress=print)])
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True, **pipes)
    assert process.stderr is not None
    assert process.stderr.readline() == "imports\n"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (out, err) == ("interrupted\n", "")


TIDY = """
import time
from gpuprov.run.child import listen
listen()
try:
    print("working", flush=True)
    time.sleep(600)
finally:
    print("tidying up", flush=True)
    time.sleep(0.5)
    print("tidy", flush=True)
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_comes_from_the_terminal_and_from_the_parent_interrupts_once(second: signal.Signals) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", TIDY], **pipes)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "tidying up\n"
    process.send_signal(second)
    assert process.stdout.read() == "tidy\n"
    process.wait(timeout=30)


@pytest.mark.parametrize(("path", "told"), [("/dev/full", "a disk is full"), ("/", "a bug in gpuprov")])
def test_a_full_disk_is_no_bug(path: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> Word:
        with Path(path).open("w", encoding="utf-8") as file:
            file.write("as much as it takes")
        return Word(word="done")

    answer(work, lambda error: Word(word=error))
    printed = capsys.readouterr().out
    assert told in printed
    assert ("Traceback" in printed) == (told == "a bug in gpuprov")


def test_interrupts_are_tested_also_where_the_suite_runs_in_the_background() -> None:
    """A script's `bash tests/run &`, or nohup, leaves SIGINT ignored, which the tests' children would inherit."""
    test = f"{__file__}::{test_an_interrupt_reaches_the_processes_and_starts_no_new_one.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    ran = subprocess.run(ignoring, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_slots_bound_engines_over_all_processes(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, "2")
    holders = [subprocess.Popen([sys.executable, "-m", "hold_slot", "0.3"]) for _ in range(5)]
    assert [holder.wait(timeout=60) for holder in holders] == [0] * 5
    assert most_at_once(log) == 2


def test_a_slot_whose_holder_was_killed_is_free_again(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, "1")
    first = subprocess.Popen([sys.executable, "-m", "hold_slot", "600"])
    while not log.exists():
        time.sleep(0.02)
    second = subprocess.Popen([sys.executable, "-m", "hold_slot", "0"])
    first.kill()
    first.wait()
    assert second.wait(timeout=60) == 0


@pytest.mark.parametrize(("text", "count"), [("3", 3), ("0", 1), ("", os.cpu_count()), ("many", os.cpu_count())])
def test_how_many_engines(text: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots.psutil, "virtual_memory", lambda: SimpleNamespace(available=2**40))
    monkeypatch.setenv(ENGINES_VARIABLE, text)
    assert engines() == count


@pytest.mark.parametrize(("gib", "count"), [(0, 1), (1, 1), (2, 2), (4, 5), (100, 8)])
def test_no_more_engines_than_fit_into_memory(gib: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENGINES_VARIABLE, raising=False)
    monkeypatch.setattr(slots.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(slots.psutil, "virtual_memory", lambda: SimpleNamespace(available=gib * 2**30))
    assert engines() == count
