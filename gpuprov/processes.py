"""Finds processes by a mark in their environment: a random value that only those have which we started, and theirs.

A process has it from its first instruction on, passes it on to those that it starts, and keeps it when its parent dies.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import psutil

YOUNG_SECONDS = 2.0
"""A process up to this age may still be between fork and exec."""

_AGAIN_SECONDS = 0.02


def carrying(variable: str, mark: str) -> Iterator[tuple[psutil.Process, Mapping[str, str]]]:
    """Find the processes that have this value in this variable, with their environments.

    A process whose environment cannot be read is not ours. A zombie has none.
    """
    for process in psutil.process_iter():
        values = _environment_of(process)
        if values.get(variable) == mark:
            yield process, values


def runs(process: psutil.Process) -> bool:
    """Tell whether this very process is running: not another process with its pid, and not a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _environment_of(process: psutil.Process) -> dict[str, str]:
    """Return a process's environment; empty if we may not read it.

    During `execve` it is empty for a moment, so a young process is read again. Kernel threads are not: they have no
    executable and no environment.
    """
    try:
        while not (values := process.environ()):
            age = time.time() - process.create_time()
            if age > YOUNG_SECONDS or not process.exe() or not runs(process):
                break
            time.sleep(_AGAIN_SECONDS)
    except (psutil.Error, OSError):
        return {}
    return values
