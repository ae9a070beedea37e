"""Reads several clusters in parallel: one that fails is set aside and never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gpuprov.errors import GpuprovError

T = TypeVar("T")
E = TypeVar("E", bound=GpuprovError)


def read_all(reads: Mapping[str, Callable[[], T]], setting_aside: type[E]) -> tuple[dict[str, T], dict[str, E]]:
    """Do all reads in parallel; return the results and the errors, both by the names in ``reads``.

    Errors other than ``setting_aside`` are raised.
    """
    values: dict[str, T] = {}
    failed: dict[str, E] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(reads))) as pool:
        reading = {name: pool.submit(read) for name, read in reads.items()}
    for name, future in reading.items():
        try:
            values[name] = future.result()
        except setting_aside as error:
            failed[name] = error
    return values, failed
