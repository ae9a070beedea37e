"""Whose lock it is: a process of ours that runs, one that was killed, or somebody else."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gpuprov.engine.locks import Holder, forget_killed, holder, remembered
from gpuprov.engine.stacks import says_locked

ROOT = Path("/some/project")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///state")


def locked(*pids: int, host: str | None = None) -> str:
    """What Pulumi's backend says of locks on a stack."""
    lines = [
        f"  file:///state/.pulumi/locks/organization/p/s/{pid}.json: created by me@{host or socket.gethostname()} "
        f"(pid {pid}) at 2026-03-01T09:00:00+09:00"
        for pid in pids
    ]
    return "\n".join([f"the stack is currently locked by {len(pids)} lock(s). Either wait for the other", *lines])


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def killed_while_remembered(root: Path = ROOT, stack: str = "kt-cloud") -> int:
    """Return the id of a process that was killed together with whoever kept the note of it."""
    process = sleeper()
    note = remembered(root, stack, process.pid)
    note.__enter__()
    process.kill()
    process.wait()
    return process.pid


def test_a_process_of_ours_that_runs() -> None:
    process = sleeper()
    try:
        with remembered(ROOT, "kt-cloud", process.pid):
            assert holder(ROOT, "kt-cloud", locked(process.pid)) is Holder.RUNNING
    finally:
        process.kill()
        process.wait()


def test_a_process_of_ours_that_was_killed() -> None:
    pid = killed_while_remembered()
    assert holder(ROOT, "kt-cloud", locked(pid)) is Holder.KILLED


def test_a_killed_process_that_nobody_has_waited_for() -> None:
    process = sleeper()
    remembered(ROOT, "kt-cloud", process.pid).__enter__()
    process.kill()
    while Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").split(")")[-1].split()[0] != "Z":
        pass
    try:
        assert holder(ROOT, "kt-cloud", locked(process.pid)) is Holder.KILLED
    finally:
        process.wait()


def test_a_process_that_took_over_the_number_is_not_ours() -> None:
    with remembered(ROOT, "kt-cloud", os.getpid()):
        note = next((Path(os.environ["XDG_STATE_HOME"]) / "gpuprov" / "runs").rglob("*.json"))
        note.write_text('{"created": 1.5}', encoding="utf-8")
        assert holder(ROOT, "kt-cloud", locked(os.getpid())) is Holder.KILLED


def test_locks_of_others_are_never_called_ours() -> None:
    pid = killed_while_remembered()
    for message in (
        locked(pid + 1),  # another process
        locked(pid, host="runner"),  # the same number on another machine
        locked(pid, pid + 1),  # ours, and another one beside it
        "the stack is locked, in words that we do not know",
        "",
    ):
        assert holder(ROOT, "kt-cloud", message) is Holder.OTHER
    assert holder(ROOT, "samsung-sds", locked(pid)) is Holder.OTHER
    assert holder(Path("/another/project"), "kt-cloud", locked(pid)) is Holder.OTHER


def test_another_backend_is_another_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    pid = killed_while_remembered()
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://elsewhere")
    assert holder(ROOT, "kt-cloud", locked(pid)) is Holder.OTHER


def test_a_run_that_ended_leaves_no_note() -> None:
    with remembered(ROOT, "kt-cloud", os.getpid()):
        pass
    assert holder(ROOT, "kt-cloud", locked(os.getpid())) is Holder.OTHER


def test_the_run_that_meets_a_lock_does_not_hide_whose_it_is() -> None:
    """It is a process of ours too, which begins and ends while the lock of the killed one is there."""
    pid = killed_while_remembered()
    with remembered(ROOT, "kt-cloud", os.getpid()):
        assert holder(ROOT, "kt-cloud", locked(pid)) is Holder.KILLED
    assert holder(ROOT, "kt-cloud", locked(pid)) is Holder.KILLED
    with remembered(ROOT, "kt-cloud", os.getpid()):
        assert holder(ROOT, "kt-cloud", locked(pid, os.getpid())) is Holder.RUNNING
        forget_killed(ROOT, "kt-cloud")
        assert holder(ROOT, "kt-cloud", locked(os.getpid())) is Holder.RUNNING
    assert holder(ROOT, "kt-cloud", locked(pid)) is Holder.OTHER


def test_a_damaged_note_is_no_note() -> None:
    pid = killed_while_remembered()
    for note in (Path(os.environ["XDG_STATE_HOME"]) / "gpuprov" / "runs").rglob("*.json"):
        note.write_text("{", encoding="utf-8")
    assert holder(ROOT, "kt-cloud", locked(pid)) is Holder.OTHER


@pytest.mark.parametrize("start", ["error: ", "error: could not import deployment: "])
def test_a_lock_that_pulumi_cannot_read_is_a_lock(start: str) -> None:
    errors = f"Importing…\n{start}unexpected end of JSON input\n"
    assert says_locked(errors)
    assert holder(ROOT, "kt-cloud", errors) is Holder.OTHER


@pytest.mark.parametrize(
    "errors",
    [
        "error: failed to load checkpoint: unexpected end of JSON input",
        "error: could not deserialize deployment: unexpected end of JSON input",
        "error: no stack named 'kt-cloud' found",
    ],
)
def test_another_file_that_pulumi_cannot_read_is_no_lock(errors: str) -> None:
    assert not says_locked(errors)
