"""Child processes: each reads one message from standard input and answers in JSON lines on standard output.

A line is ``{"progress": text}`` or, at the end, ``{"outcome": data}``; messages in it are whole (`gpuprov.run.told`). A
process that dies without an outcome becomes an error in the report; the others go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

from pydantic import BaseModel

from gpuprov.errors import GpuprovError
from gpuprov.i18n import packed, tr, unpacked
from gpuprov.load.files import full_disk
from gpuprov.run import log
from gpuprov.run.garbage import collect_rarely
from gpuprov.run.told import BETWEEN_PROCESSES

SAME_INTERRUPT_SECONDS = 1.0
"""A Ctrl-C reaches a child from the terminal and from its parent: within this time the second is the same one."""

Progress = Callable[[str], None]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A module to run, its message, and a callback for its progress."""

    module: str
    message: BaseModel
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A process's outcome, None if it ended without one, and its exit code."""

    outcome: dict[str, Any] | None
    code: int

    def read(self, kind: type[M], **identity: str) -> M:
        """Return the outcome; if there is none, one with the fields ``identity`` and an error that says so."""
        if self.outcome is not None:
            return kind.model_validate(self.outcome)
        error = tr("its process ended with code {code} and no answer; rerun the same command", code=self.code)
        return kind.model_validate({**identity, "error": error})


def run_all(errands: Sequence[Errand], *, at_once: int | None = None) -> list[Answer]:
    """Run all errands in parallel and return their answers in order. An interrupt is passed on to all of them.

    ``at_once`` limits how many processes run at the same time; by default all do.
    """
    running: set[subprocess.Popen[str]] = set()
    stopped = Event()

    def run(errand: Errand) -> Answer:
        if stopped.is_set():
            return Answer(outcome=None, code=-signal.SIGINT)
        process = _start(errand)
        running.add(process)
        try:
            return _follow(errand, process)
        finally:
            process.wait()
            running.discard(process)

    with ThreadPoolExecutor(max_workers=max(1, at_once or len(errands))) as pool:
        futures = [pool.submit(run, errand) for errand in errands]
        try:
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            stopped.set()
            for process in tuple(running):
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            raise


def say(kind: str, value: object) -> None:
    """Write one line of an answer. If the reader is gone, the work goes on all the same."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps({kind: value}) + "\n")
        sys.stdout.flush()


def tell(line: str) -> None:
    """Report progress to the parent."""
    say("progress", packed(line))


_PARENT = os.getppid()
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def listen() -> str:
    """Return the message. From here on SIGTERM acts as an interrupt, so that Pulumi saves its state before we exit."""
    collect_rarely()
    log.configure_as_parent()
    _interrupt_once()
    return sys.stdin.read()


def _interrupt_once() -> None:
    """Let an interrupt that comes twice interrupt once: the second would break off what is put in order at the end."""
    last = -SAME_INTERRUPT_SECONDS

    def interrupt(*_: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= SAME_INTERRUPT_SECONDS:
            raise KeyboardInterrupt

    for number in _INTERRUPTS:
        signal.signal(number, interrupt)


def answer(work: Callable[[], BaseModel], failed: Callable[[str], BaseModel]) -> None:
    """Do the work and write its outcome. Errors are part of the outcome, not of the exit code."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
        outcome = work()
    except GpuprovError as error:
        outcome = failed(error.message_text)
    except KeyboardInterrupt:
        outcome = failed(tr("interrupted; rerun the same command"))
    except Exception as error:  # noqa: BLE001 (a bug in one process must not hide what the others did)
        full = full_disk(error) if isinstance(error, OSError) else None
        outcome = failed(full or tr("a bug in gpuprov:\n{traceback}", traceback=traceback.format_exc()))
    say("outcome", outcome.model_dump(mode="json", context=BETWEEN_PROCESSES))


def require_live_parent() -> None:
    """Raise GpuprovError if the process that started us was killed: its decision may be out of date."""
    if os.getppid() != _PARENT:
        raise GpuprovError(tr("the command that started this was killed; rerun it"))


def _start(errand: Errand) -> subprocess.Popen[str]:
    """Start the process. An interrupt waits until it can end in order: while it imports, it would print a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", errand.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(errand: Errand, process: subprocess.Popen[str]) -> Answer:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(errand.message.model_dump_json(by_alias=True, context=BETWEEN_PROCESSES))
    outcome = None
    for line in process.stdout:
        message = json.loads(line)
        if "progress" in message:
            errand.progress(unpacked(message["progress"]))
        if "outcome" in message:
            outcome = message["outcome"]
    return Answer(outcome=outcome, code=process.wait())
