"""Limits how many Pulumi engines run on this machine at once, over all of the user's commands and providers.

An engine with its plugin and its program takes a core and several hundred MiB, so more engines than cores only fill the
memory. Each holds one of a few lock files; the kernel releases the lock of a process that dies.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from filelock import FileLock, Timeout
from platformdirs import user_state_path

ENGINES_VARIABLE = "GPUPROV_ENGINES"
"""Environment variable: how many engines at once; by default one per core, as far as there is memory."""

_ENGINE_BYTES = 700 * 2**20
"""Memory of an engine with its plugin and program on a stack of several hundred awards (docs/performance.md)."""

_POLL_SECONDS = 0.05


def engines() -> int:
    """Return how many engines may run at once: GPUPROV_ENGINES, else one per core as far as free memory allows."""
    text = os.environ.get(ENGINES_VARIABLE, "")
    if text.isdecimal():
        return max(1, int(text))
    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().available // _ENGINE_BYTES))


@contextmanager
def slot() -> Iterator[None]:
    """Wait for a free slot and hold it."""
    folder = user_state_path("gpuprov") / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    locks = [FileLock(folder / f"{number}.lock") for number in range(engines())]
    while True:
        for lock in locks:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield
            finally:
                lock.release()
            return
        time.sleep(_POLL_SECONDS)
