"""Python's own garbage collector, made rare: by default it looks through all objects again and again as they come."""

from __future__ import annotations

import gc

_ALLOCATIONS = 200_000
"""How many more objects there are before it looks again; by default 700, for which reading 1000 tenants takes twice
the time. What is freed by counting references, which is almost all, does not wait for it."""


def collect_rarely() -> None:
    """Set that for this process: a command, or a child that it starts, which ends in seconds or minutes."""
    gc.set_threshold(_ALLOCATIONS)
