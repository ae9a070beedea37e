"""The lock that a killed run left is removed once: of two commands that find it neither takes the other's."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Lock, current_thread

import pytest

from gpuprov.engine import locks, stacks
from gpuprov.engine.locks import Holder, Locks
from gpuprov.engine.stacks import StackLocked
from gpuprov.errors import EngineError

ROOT, STACK = Path("/some/project"), "kt-cloud"
WAIT_SECONDS = 60.0


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///state")


class Backend:
    """A stack's lock as Pulumi keeps it: whoever comes while it is there hears who holds it; `cancel` takes it away."""

    def __init__(self) -> None:
        self.owner: int | None = None
        self.cancelled: list[int | None] = []
        self._mutex = Lock()

    def take(self, pid: int) -> None:
        with self._mutex:
            if self.owner is not None:
                raise locked(self.owner)
            self.owner = pid

    def leave(self, pid: int) -> None:
        with self._mutex:
            assert self.owner == pid, "somebody took the lock of a run that works"
            self.owner = None

    def cancel(self, root: Path, stack: str) -> None:
        with self._mutex:
            self.cancelled.append(self.owner)
            self.owner = None


def locked(pid: int) -> StackLocked:
    message = (
        "the stack is currently locked by 1 lock(s). Either wait for the other\n"
        f"  file:///state/.pulumi/locks/organization/p/s/{pid}.json: created by me@{socket.gethostname()} "
        f"(pid {pid}) at 2026-03-01T09:00:00+09:00"
    )
    return StackLocked(message)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """The lock of a run that was killed, with its note."""
    made = Backend()
    monkeypatch.setattr(stacks, "cancel", made.cancel)
    process = sleeper()
    locks.remembered(ROOT, STACK, process.pid).__enter__()
    process.kill()
    process.wait()
    made.owner = process.pid
    return made


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


@pytest.fixture
def engines() -> Iterator[Callable[[], int]]:
    """Start processes that stand for Pulumi's; the tests get their ids."""
    with ExitStack() as stack:

        def start() -> int:
            process = stack.enter_context(sleeper())
            stack.callback(process.kill)
            return process.pid

        yield start


def go(run: Callable[[], None], patience: float = WAIT_SECONDS) -> None:
    Locks(root=ROOT, stack=STACK, patience=patience, progress=lambda line: None).run(run)


def test_the_slower_of_two_commands_does_not_cancel_the_lock_that_the_faster_took(
    backend: Backend, engines: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower has seen that the owner is dead; only then does the faster cancel, take the lock and work."""
    killed, faster, slower = backend.owner, engines(), engines()
    seen, taken, asked_again = Event(), Event(), Event()
    real = locks.holder

    def holder(root: Path, stack: str, message: str) -> Holder:
        found = real(root, stack, message)
        if current_thread().name.startswith("slower") and not seen.is_set():
            assert found is Holder.KILLED
            seen.set()
            assert taken.wait(WAIT_SECONDS)
        return found

    def run_faster() -> None:
        assert seen.wait(WAIT_SECONDS)
        backend.take(faster)
        taken.set()
        assert asked_again.wait(WAIT_SECONDS)
        backend.leave(faster)

    def run_slower() -> None:
        try:
            backend.take(slower)
        finally:
            if taken.is_set():
                asked_again.set()
        backend.leave(slower)

    monkeypatch.setattr(locks, "holder", holder)
    with (
        locks.remembered(ROOT, STACK, faster),
        locks.remembered(ROOT, STACK, slower),
        ThreadPoolExecutor(thread_name_prefix="faster") as first,
        ThreadPoolExecutor(thread_name_prefix="slower") as second,
    ):
        both = [first.submit(go, run_faster), second.submit(go, run_slower)]
        for future in both:
            future.result()
    assert (backend.cancelled, backend.owner) == ([killed], None)


def test_a_command_that_hears_of_the_killed_owner_too_late_asks_again(
    backend: Backend, engines: Callable[[], int]
) -> None:
    """The note is gone with the lock: that alone does not make it somebody else's."""
    slower = engines()
    heard: list[int | None] = []

    def run_slower() -> None:
        heard.append(backend.owner)
        try:
            backend.take(slower)
        except StackLocked:
            backend.cancel(ROOT, STACK)  # the faster command, meanwhile
            locks.forget_killed(ROOT, STACK)
            raise
        backend.leave(slower)

    go(run_slower)
    assert len(heard) == 2


def test_a_lock_that_is_a_moment_older_than_its_note_is_waited_for(
    backend: Backend, engines: Callable[[], int]
) -> None:
    backend.owner = working = engines()
    asked: list[int | None] = []

    def run() -> None:
        asked.append(backend.owner)
        if len(asked) == 2:
            locks.remembered(ROOT, STACK, working).__enter__()
        if len(asked) == 3:
            backend.leave(working)
        backend.take(os.getpid())

    go(run)
    assert asked == [working] * 3
    assert backend.cancelled == []


def test_the_lock_of_somebody_else_is_left_alone(backend: Backend, engines: Callable[[], int]) -> None:
    backend.owner = engines()
    with pytest.raises(EngineError, match=r"me@.* holds the stack's lock.*`gpuprov unlock`"):
        go(lambda: backend.take(os.getpid()))
    assert backend.cancelled == []


def test_a_run_that_works_longer_than_the_patience_is_told(backend: Backend, engines: Callable[[], int]) -> None:
    backend.owner = working = engines()
    with (
        locks.remembered(ROOT, STACK, working),
        pytest.raises(EngineError, match=r"since 2026-03-01T09:00:00\+09:00\) holds the stack's lock"),
    ):
        go(lambda: backend.take(os.getpid()), patience=0)
    assert backend.cancelled == []


def test_many_commands_at_once_remove_the_lock_once_and_all_do_their_work(
    backend: Backend, engines: Callable[[], int]
) -> None:
    killed, done = backend.owner, []

    def work(pid: int) -> None:
        def run() -> None:
            backend.take(pid)
            time.sleep(0.05)
            done.append(pid)
            backend.leave(pid)

        with locks.remembered(ROOT, STACK, pid):
            go(run)

    pids = [engines() for _ in range(6)]
    with ThreadPoolExecutor(max_workers=len(pids)) as pool:
        list(pool.map(work, pids))
    assert sorted(done) == sorted(pids)
    assert backend.cancelled == [killed]
