"""What becomes of Pulumi and its plugins where Pulumi, or whoever runs it, is killed. Small processes play them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from pulumi.automation import CommandError

from gpuprov.engine import automation, stacks
from gpuprov.engine.keeper import MARK_VARIABLE, kept, put_in_order
from gpuprov.engine.locks import Holder, holder
from gpuprov.processes import carrying

WAIT_SECONDS = 60.0
MUCH = 2**18
"""More characters than a pipe holds: whoever says them to nobody waits, or dies."""

PULUMI = f"""
import os, signal, subprocess, sys, time
plugin = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
interrupts = []
signal.signal(signal.SIGINT, lambda *_: interrupts.append(1))
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
print("at work", flush=True)
while not interrupts:
    time.sleep(0.01)
for stream in (sys.stdout, sys.stderr):
    stream.write("x" * {MUCH})
    stream.flush()
time.sleep(0.5)
with open(sys.argv[1], "w") as state:
    state.write(f"interrupted {{len(interrupts)}} times")
if sys.argv[2] == "tidy":
    plugin.kill()
"""

RUNNER = """
import os, subprocess, sys
from gpuprov.engine.keeper import MARK_VARIABLE, kept
mark, *command = sys.argv[1:]
pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
pulumi = subprocess.Popen(command, env={**os.environ, MARK_VARIABLE: mark}, process_group=0, **pipes)
with pulumi, kept(pulumi, mark):
    print(pulumi.stdout.readline(), end="", flush=True)
    pulumi.wait()
"""


@pytest.fixture
def mark() -> Iterator[str]:
    made = uuid4().hex
    yield made
    for process in marked(made):
        process.kill()


def marked(mark: str) -> list[psutil.Process]:
    return [process for process, _ in carrying(MARK_VARIABLE, mark)]


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def played(state: Path, how: str = "tidy") -> list[str]:
    return [sys.executable, "-c", PULUMI, str(state), how]


def start(mark: str, *command: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, MARK_VARIABLE: mark}, process_group=0, **pipes)


def runner(mark: str, *command: str) -> subprocess.Popen[str]:
    """Start a process that runs Pulumi, and wait until that is at work."""
    process = subprocess.Popen([sys.executable, "-c", RUNNER, mark, *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    return process


@pytest.mark.parametrize("how", ["tidy", "untidy"])
def test_where_its_reader_is_killed_pulumi_is_interrupted_once_and_heard(tmp_path: Path, mark: str, how: str) -> None:
    state = tmp_path / "state"
    with runner(mark, *played(state, how)) as process:
        process.kill()
    until(lambda: marked(mark) == [])
    assert state.read_text(encoding="utf-8") == "interrupted 1 times"


def test_an_interrupted_reader_waits_until_pulumi_has_ended(tmp_path: Path, mark: str) -> None:
    state = tmp_path / "state"
    with runner(mark, *played(state)) as process:
        process.send_signal(signal.SIGINT)
    assert marked(mark) == []
    assert state.read_text(encoding="utf-8") == "interrupted 1 times"


def test_what_a_killed_pulumi_leaves_has_ended_before_anything_goes_on(tmp_path: Path, mark: str) -> None:
    pulumi = start(mark, *played(tmp_path / "state"))
    with pulumi, kept(pulumi, mark):
        assert pulumi.stdout is not None
        assert pulumi.stdout.readline() == "at work\n"
        assert len(marked(mark)) == 2
        pulumi.kill()
        pulumi.wait()
    assert marked(mark) == []


def test_a_pulumi_that_does_not_end_is_killed_with_its_plugins(mark: str) -> None:
    deaf = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print('at work', flush=True); time.sleep(600)"
    )
    with start(mark, sys.executable, "-c", deaf) as pulumi:
        assert pulumi.stdout is not None
        assert pulumi.stdout.readline() == "at work\n"
        put_in_order(mark, pulumi.pid, 0.3)
        assert marked(mark) == []
        assert pulumi.wait() == -signal.SIGKILL


def test_another_run_is_left_alone(mark: str) -> None:
    sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
    with start(mark, *sleeper) as other:
        put_in_order(uuid4().hex, other.pid, 0.0)
        assert other.poll() is None
        other.kill()


def test_nothing_is_waited_for_where_pulumi_has_ended_in_order(mark: str) -> None:
    leaving = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    with start(mark, sys.executable, "-c", leaving) as pulumi, kept(pulumi, mark):
        assert pulumi.wait() == 0
    assert len(marked(mark)) == 1  # nobody has looked for it


def test_the_lock_of_a_killed_pulumi_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody else was killed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    killed = tmp_path / "pulumi"
    killed.write_text("#!/bin/sh\necho $$\nkill -KILL $$\n", encoding="utf-8")
    killed.chmod(0o700)
    monkeypatch.setattr(stacks, "PULUMI", str(killed))
    said: list[str] = []
    with pytest.raises(CommandError):
        automation._Command(tmp_path, "kt-cloud").run(["up"], str(tmp_path), {}, on_output=said.append)
    message = f"file:///lock.json: created by me@{socket.gethostname()} (pid {said[0]})"
    assert holder(tmp_path, "kt-cloud", message) is Holder.KILLED
