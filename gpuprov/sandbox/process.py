"""Starting, finding and ending the sandbox's processes, and none but those.

A process is ours when its environment holds the sandbox's random id (128 bits, known only to the private state file
and to what we started). The id is written to the state file before the first process starts, and the process has it
from its first instruction on. No file of pids is kept, on purpose: a `up` that is killed between starting a process
and noting its pid would lose the process, and a noted pid may be a stranger's by the time it is read. What is found is
held as pid and start time together (psutil's identity), and a signal is sent only while both still agree.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from gpuprov.sandbox.files import private_folder

ID_VARIABLE = "GPUPROV_SANDBOX_ID"
PART_VARIABLE = "GPUPROV_SANDBOX_PART"
POLL_SECONDS = 0.02
YOUNG_SECONDS = 2.0
"""A process of this age or less may still be between its fork and its program."""

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes that this very interpreter started: a parent has to collect the dead, or they stay as zombies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One running program of one cluster."""

    cluster: str
    component: str
    process: psutil.Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to start: one component of one cluster, and the folder for its log."""

    cluster: str
    component: str
    argv: tuple[str, ...]
    folder: Path
    extra_environment: tuple[tuple[str, str], ...] = ()

    @property
    def log(self) -> Path:
        """File of all that the component prints; kept over restarts."""
        return self.folder / "logs" / f"{self.component}.log"


def environment(sandbox_id: str, launch: Launch) -> dict[str, str]:
    """Build the whole environment of a component: nothing of the caller's (proxies, home, credentials) leaks in."""
    return {
        "PATH": os.defpath,
        "HOME": str(launch.folder),
        **dict(launch.extra_environment),
        ID_VARIABLE: sandbox_id,
        PART_VARIABLE: f"{launch.cluster}/{launch.component}",
    }


def spawn(sandbox_id: str, launch: Launch) -> psutil.Process:
    """Start a component in a session of its own, so that it outlives this command and the terminal."""
    private_folder(launch.log.parent)
    log = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            launch.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=launch.folder,
            env=environment(sandbox_id, launch),
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(log)
    _children[child.pid] = child
    return psutil.Process(child.pid)


def find(sandbox_id: str) -> list[Part]:
    """Find every living process of the sandbox, recorded or not. A process that cannot be read is not ours."""
    found = []
    for process in psutil.process_iter():
        part = _part_of(process, sandbox_id)
        if part is not None:
            found.append(part)
    return found


def alive(process: psutil.Process) -> bool:
    """Tell whether the very process lives: not its pid in other hands, and not a zombie."""
    child = _children.get(process.pid)
    if child is not None and child.poll() is not None:
        _children.pop(process.pid, None)
        return False
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end(processes: Iterable[psutil.Process], *, grace: float) -> None:
    """Ask processes to end, wait up to ``grace`` seconds for all of them together, then kill what is left.

    psutil compares start times before it sends a signal, so a pid in other hands since is left alone.
    """
    left = [process for process in processes if alive(process)]
    if grace > 0:
        _signal(left, signal.SIGTERM)
        left = _wait(left, grace)
    while left:
        _signal(left, signal.SIGKILL)
        left = _wait(left, 1.0)


def end_all(sandbox_id: str, *, clusters: Sequence[str] | None = None, grace: float = 0.0) -> None:
    """End the processes of the sandbox, or of some of its clusters, until a second look finds none.

    The second look is for a process that a killed `up` had forked but that had not yet become its program.
    """
    quiet = 0
    while quiet < 2:  # noqa: PLR2004 (a first and a second look)
        parts = [part for part in find(sandbox_id) if clusters is None or part.cluster in clusters]
        end([part.process for part in parts], grace=grace)
        quiet = 0 if parts else quiet + 1
        time.sleep(POLL_SECONDS)


def tail(log: Path, lines: int = 8, start: int = 0) -> str:
    """Return the last ``lines`` of a log from byte ``start`` on: what a component said before it died."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(line[:400] for line in text.splitlines()[-lines:])


def _part_of(process: psutil.Process, sandbox_id: str) -> Part | None:
    values = _environment_of(process)
    if values.get(ID_VARIABLE) != sandbox_id or not alive(process):
        return None
    cluster, _, component = values.get(PART_VARIABLE, "").partition("/")
    return Part(cluster=cluster, component=component, process=process)


def _environment_of(process: psutil.Process) -> dict[str, str]:
    """Read a process's environment; empty for one that is not ours to read.

    In the middle of `execve` it reads as empty for a moment: a young process is asked again. Not so the kernel's
    own threads, which have no executable and never an environment.
    """
    try:
        while not (values := process.environ()):
            age = time.time() - process.create_time()
            if age > YOUNG_SECONDS or not process.exe() or not alive(process):
                break
            time.sleep(POLL_SECONDS)
    except (psutil.Error, OSError):
        return {}
    return values


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    # psutil's own wait would wait for ever for a zombie whose parent never collects it (pid 1 of many containers).
    deadline = time.monotonic() + seconds
    left = [process for process in processes if alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = [process for process in left if alive(process)]
    return left
