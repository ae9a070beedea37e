"""Processes of our own: each is given one message on standard input and answers in JSON lines on standard output.

A line is ``{"progress": text}`` or, at the end, ``{"outcome": data}``. One that dies without an outcome is one line in
a report; it never takes the others with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

from pydantic import BaseModel

from gpuprov.errors import GpuprovError
from gpuprov.run import log
from gpuprov.run.garbage import collect_rarely

Progress = Callable[[str], None]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A module to run with a message, and whoever wants to hear of its progress."""

    module: str
    message: BaseModel
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a process said last: None where it ended without a word, with the code that it ended with."""

    outcome: dict[str, Any] | None
    code: int

    def read(self, kind: type[M], **identity: str) -> M:
        """Return the outcome; of a process that ended without one, its ``identity`` with that as its error."""
        if self.outcome is not None:
            return kind.model_validate(self.outcome)
        error = f"its process ended with code {self.code} and no answer; rerun the same command"
        return kind.model_validate({**identity, "error": error})


def run_all(errands: Sequence[Errand], *, at_once: int | None = None) -> list[Answer]:
    """Run all errands side by side and return their answers in order. Interrupting it interrupts all of them.

    ``at_once`` bounds how many have a process at the same time; without it all have.
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
        waiting = [pool.submit(run, errand) for errand in errands]
        try:
            return [one.result() for one in waiting]
        except KeyboardInterrupt:
            stopped.set()
            for process in tuple(running):
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            raise


def say(kind: str, value: object) -> None:
    """Write one line of an answer. Where nobody reads any more, the work is finished all the same."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps({kind: value}) + "\n")
        sys.stdout.flush()


def tell(line: str) -> None:
    """Tell the parent what is going on."""
    say("progress", line)


_PARENT = os.getppid()


def listen() -> str:
    """Return the message; from here on SIGTERM is an interrupt, which lets Pulumi save its state before we go."""
    collect_rarely()
    log.configure_as_parent()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return sys.stdin.read()


def answer(work: Callable[[], BaseModel], failed: Callable[[str], BaseModel]) -> None:
    """Do the work and say what became of it. The exit code says nothing: whatever goes wrong is in the outcome."""
    try:
        outcome = work()
    except GpuprovError as error:
        outcome = failed(str(error))
    except KeyboardInterrupt:
        outcome = failed("interrupted; rerun the same command")
    except Exception:  # noqa: BLE001 (a bug in one process must not hide what the others did)
        outcome = failed(f"a bug in gpuprov:\n{traceback.format_exc()}")
    say("outcome", outcome.model_dump(mode="json"))


def require_live_parent() -> None:
    """Raise GpuprovError where the process that sent us was killed: what it decided may not be wanted any more."""
    if os.getppid() != _PARENT:
        raise GpuprovError("the command that started this was killed; rerun it")


def _start(errand: Errand) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", errand.module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def _follow(errand: Errand, process: subprocess.Popen[str]) -> Answer:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(errand.message.model_dump_json(by_alias=True))
    outcome = None
    for line in process.stdout:
        said = json.loads(line)
        if "progress" in said:
            errand.progress(said["progress"])
        if "outcome" in said:
            outcome = said["outcome"]
    return Answer(outcome=outcome, code=process.wait())
