"""The sandbox's processes: which are its own, how they are started and ended, and what their logs say."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpuprov.sandbox import files, process
from gpuprov.sandbox.process import Launch


def sleeper(folder: Path, component: str = "sleep", seconds: int = 60) -> Launch:
    argv = (sys.executable, "-c", f"import time; print('hello', flush=True); time.sleep({seconds})")
    return Launch(cluster="c", component=component, argv=argv, folder=files.private_folder(folder))


@pytest.fixture
def sandbox_id() -> Iterator[str]:
    marker = os.urandom(16).hex()
    yield marker
    process.end_all(marker)


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert what()


def test_a_process_is_found_by_its_marker_alone(tmp_path: Path, sandbox_id: str) -> None:
    started = process.spawn(sandbox_id, sleeper(tmp_path))
    (part,) = process.find(sandbox_id)
    assert (part.cluster, part.component, part.process) == ("c", "sleep", started)
    assert process.find("0" * 32) == []


def test_a_process_outlives_the_session_and_inherits_nothing(
    tmp_path: Path, sandbox_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    started = process.spawn(sandbox_id, sleeper(tmp_path))
    assert os.getsid(started.pid) == started.pid
    assert "HTTPS_PROXY" not in started.environ()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    program = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = subprocess.Popen(program, env={process.ID_VARIABLE: "f" * 32, process.PART_VARIABLE: "c/sleep"})
    yield child
    child.kill()
    child.wait()


def test_a_process_of_another_sandbox_is_left_alone(sandbox_id: str, stranger: subprocess.Popen[bytes]) -> None:
    process.end_all(sandbox_id)
    assert stranger.poll() is None


def test_a_pid_in_other_hands_is_left_alone(
    tmp_path: Path, sandbox_id: str, stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = process.spawn(sandbox_id, sleeper(tmp_path))
    monkeypatch.setattr(ours, "_pid", stranger.pid)  # what a recycled pid looks like: same number, other start time
    process.end([ours], grace=0)
    assert stranger.poll() is None


def test_end_kills_what_ignores_the_request(tmp_path: Path, sandbox_id: str) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    launch = Launch(cluster="c", component="deaf", argv=(sys.executable, "-c", code), folder=tmp_path)
    started = process.spawn(sandbox_id, launch)
    wait_for(lambda: "deaf" in process.tail(launch.log))
    process.end([started], grace=0.1)
    assert not process.alive(started)


def test_end_all_can_spare_other_clusters(tmp_path: Path, sandbox_id: str) -> None:
    started = process.spawn(sandbox_id, sleeper(tmp_path))
    process.end_all(sandbox_id, clusters=["other"])
    assert process.alive(started)


def test_a_zombie_is_not_alive(tmp_path: Path, sandbox_id: str) -> None:
    started = process.spawn(sandbox_id, sleeper(tmp_path))
    started.send_signal(signal.SIGKILL)
    wait_for(lambda: not process.alive(started))
    assert process.find(sandbox_id) == []


def test_the_tail_of_a_log_is_short_and_starts_where_asked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n" + "\n".join(f"line {number}" for number in range(20)))
    assert process.tail(log, lines=2) == "line 18\nline 19"
    assert "old" not in process.tail(log, lines=100, start=4)
    assert process.tail(tmp_path / "absent") == ""
