"""Reads of several clusters side by side: one that fails is set aside and never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gpuprov.errors import GpuprovError

T = TypeVar("T")
E = TypeVar("E", bound=GpuprovError)


def read_all(reads: Mapping[str, Callable[[], T]], setting_aside: type[E]) -> tuple[dict[str, T], dict[str, E]]:
    """Do all the reads at once; return what was read, and the error of each that failed, by the names of ``reads``.

    Any other error than ``setting_aside`` is raised.
    """
    found: dict[str, T] = {}
    failed: dict[str, E] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(reads))) as pool:
        reading = {name: pool.submit(read) for name, read in reads.items()}
    for name, future in reading.items():
        try:
            found[name] = future.result()
        except setting_aside as error:
            failed[name] = error
    return found, failed
