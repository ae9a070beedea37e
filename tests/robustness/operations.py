"""What operators type, as real processes, and who is left of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from history import Entry, History
from projects import signalled, timed
from script import Script, Typed
from world import World

from gpuprov.core.naming import namespace

MARK = "ROBUSTNESS_OPERATION"
"""Environment variable of every process of an operation, also of those that have lost their parent."""

LONGEST_SECONDS = 150.0
WATCH_SECONDS = 4.0
_KEPT = 6000
"""How many characters of an output are kept: its end says what went wrong."""


@dataclass
class Operation:
    """A command that an operator has typed. ``clock_hours`` is by how much the machine's clock is wrong."""

    world: World
    script: Script
    typed: Typed
    name: str
    clock_hours: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    entry: Entry = field(default_factory=dict)

    @property
    def words(self) -> tuple[str, ...]:
        return self.typed.words

    def run(self, history: History) -> None:
        """Run it to its end, and write down how it ended."""
        time.sleep(self.typed.after)
        begun = time.time()
        out, err = self._files
        with out.open("wb") as output, err.open("wb") as errors:
            self.process = subprocess.Popen(
                self._command(),
                cwd=self.world.folder.root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        code = self._wait()
        about = {"namespace": namespace(self.words[1])} if self.words[0] in ("forfeit", "reduce") else {}
        self.entry = history.add(
            "operation",
            name=self.name,
            words=list(self.words),
            machine=self.typed.machine,
            start=begun,
            end=time.time(),
            code=code,
            out=_tail(out),
            err=_tail(err),
            **about,
        )

    def family(self) -> list[psutil.Process]:
        """Return the processes of this operation that run, with those that have lost their parent."""
        return family(self.name)

    def has_told(self, words: str) -> bool:
        """Tell whether it has printed this by now. Pulumi, typed by hand, says it in its own way, and is not asked."""
        err = self._files[1]
        return self.words[0] == "pulumi" or (
            err.exists() and words in err.read_text(encoding="utf-8", errors="replace")
        )

    @property
    def _files(self) -> tuple[Path, Path]:
        """Where its output and its errors go."""
        return self.world.root / f"{self.name}.out", self.world.root / f"{self.name}.err"

    def interrupt(self) -> list[str]:
        """Send what a terminal sends on Ctrl-C: SIGINT to everybody in the foreground."""
        names = [name_of(process) for process in self.family()]
        return names if self.process is not None and signalled(self.process, signal.SIGINT) else []

    def _command(self) -> list[str]:
        if self.words[0] == "pulumi":
            return [*self.words]
        words = list(self.words)
        if self.clock_hours:
            # An event is written with the instant that the clock says.
            return [sys.executable, "-m", "gpuprov", *words]
        if words[0] == "watch":
            words += ["--at", self.script.at.isoformat()]
        return [sys.executable, "-m", "gpuprov", *timed(words, self.script.at.isoformat())]

    def _environment(self) -> Mapping[str, str]:
        variables = {**self.world.folder.environment, MARK: self.name}
        if self.typed.machine:
            variables["XDG_STATE_HOME"] = str(self.world.disk / f"state-home-{self.typed.machine}")
        if self.clock_hours:
            wrong = self.script.at + timedelta(hours=self.clock_hours)
            ahead = (wrong - datetime.now(UTC)) // timedelta(microseconds=1)
            return variables | {"GPUPROV_CLOCK_AHEAD": str(ahead)}
        return variables if self.words[0] == "watch" else variables | {"GPUPROV_AT": self.script.at.isoformat()}

    def _wait(self) -> int | None:
        """Return the exit code, None where it did not end. A service is ended after some seconds, in order."""
        assert self.process is not None
        if self.words[0] == "watch":
            try:
                return self.process.wait(WATCH_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            for process in self.family():
                process.kill()
            self.process.wait()
            return None


def begin(operations: list[Operation], history: History) -> list[threading.Thread]:
    """Start the operations, each after its seconds."""
    threads = [threading.Thread(target=operation.run, args=(history,), daemon=True) for operation in operations]
    for thread in threads:
        thread.start()
    return threads


def family(name: str) -> list[psutil.Process]:
    """Return the running processes that an operation has started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == name and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def left(name: str, patience: float) -> list[str]:
    """Wait until an operation has no process any more; return those that are left, and end them."""
    deadline = time.monotonic() + patience
    while (found := family(name)) and time.monotonic() < deadline:
        time.sleep(0.1)
    names = [name_of(process) for process in found]
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return names


def name_of(process: psutil.Process) -> str:
    """Return which part a process plays: ``gpuprov``, its worker, Pulumi, or one of Pulumi's plugins."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return "?"
    text = " ".join(words)
    for sign, name in _PARTS.items():
        if sign in text:
            return name
    return Path(words[0]).name if words else "?"


_PARTS = {
    "gpuprov.run.worker": "worker",
    "gpuprov.run.stack": "stack process",
    "gpuprov.engine.keeper": "keeper",
    "pulumi-language": "language host",
    "pulumi-resource-kubernetes": "Kubernetes provider",
    "-m gpuprov": "gpuprov",
    "pulumi": "pulumi",
}


def _tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-_KEPT:]
