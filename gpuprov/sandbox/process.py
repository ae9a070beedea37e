"""Start, find and end the sandbox's processes, and no others.

A process is ours if its environment has the sandbox's random id (128 bits, known only to the private state file and to
the processes that we started). The id is written to the state file before the first process starts, and a process has
it from its first instruction on. There is no pid file on purpose: an `up` that is killed between starting a process and
writing its pid would lose the process, and by the time a pid is read it may belong to another process. Processes are
identified by pid and start time (as psutil does), and get a signal only while both still match.
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

from gpuprov.processes import carrying, runs
from gpuprov.sandbox.files import private_folder

ID_VARIABLE = "GPUPROV_SANDBOX_ID"
PART_VARIABLE = "GPUPROV_SANDBOX_PART"
POLL_SECONDS = 0.02

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes that this interpreter started: it has to reap them, or they become zombies."""


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
        """The file with the component's output; kept over restarts."""
        return self.folder / "logs" / f"{self.component}.log"


def environment(sandbox_id: str, launch: Launch) -> dict[str, str]:
    """Return the whole environment of a component, with nothing of the caller's (proxies, home, credentials)."""
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
    """Return every running process of the sandbox. A process whose environment cannot be read is not ours."""
    parts = []
    for process, values in carrying(ID_VARIABLE, sandbox_id):
        cluster, _, component = values.get(PART_VARIABLE, "").partition("/")
        if alive(process):
            parts.append(Part(cluster=cluster, component=component, process=process))
    return parts


def alive(process: psutil.Process) -> bool:
    """Tell whether this very process is running: not another process with its pid, and not a zombie."""
    child = _children.get(process.pid)
    if child is not None and child.poll() is not None:
        _children.pop(process.pid, None)
        return False
    return runs(process)


def end(processes: Iterable[psutil.Process], *, grace: float) -> None:
    """Send SIGTERM, wait up to ``grace`` seconds for all processes together, then kill those that still run.

    psutil compares start times before it sends a signal, so another process with a reused pid gets none.
    """
    remaining = [process for process in processes if alive(process)]
    if grace > 0:
        _signal(remaining, signal.SIGTERM)
        remaining = _wait(remaining, grace)
    while remaining:
        _signal(remaining, signal.SIGKILL)
        remaining = _wait(remaining, 1.0)


def end_all(sandbox_id: str, *, clusters: Sequence[str] | None = None, grace: float = 0.0) -> None:
    """End the processes of the sandbox, or of some of its clusters, until two searches in a row find none.

    The second search is for a process that a killed `up` had forked and that had not called exec yet.
    """
    quiet = 0
    while quiet < 2:  # noqa: PLR2004 (a first and a second search)
        parts = [part for part in find(sandbox_id) if clusters is None or part.cluster in clusters]
        end([part.process for part in parts], grace=grace)
        quiet = 0 if parts else quiet + 1
        time.sleep(POLL_SECONDS)


def tail(log: Path, lines: int = 8, start: int = 0) -> str:
    """Return the last ``lines`` of a log after byte ``start``: a component's output before it died."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(line[:400] for line in text.splitlines()[-lines:])


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    # psutil's own wait never returns for a zombie whose parent does not reap it (pid 1 of many containers).
    deadline = time.monotonic() + seconds
    remaining = [process for process in processes if alive(process)]
    while remaining and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        remaining = [process for process in remaining if alive(process)]
    return remaining
