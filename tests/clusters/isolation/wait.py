"""Waiting for what a controller does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

WAIT_SECONDS = 120.0

T = TypeVar("T")


def until(what: Callable[[], T], seconds: float = WAIT_SECONDS) -> T:
    """Return the first true answer of ``what``; the deadline is for a hang, not a measure."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found
