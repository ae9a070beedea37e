"""Makes Python's garbage collector run rarely: by default it scans new objects again and again."""

from __future__ import annotations

import gc

_ALLOCATIONS = 200_000
"""How many new objects trigger a collection; with the default of 700, reading 1000 tenants takes twice the time.
Reference counting frees almost everything without it."""


def collect_rarely() -> None:
    """Set the threshold for this process: a command or one of its children, which ends in seconds or minutes."""
    gc.set_threshold(_ALLOCATIONS)


def collect_now() -> None:
    """Collect what a look of a service leaves: the kubeconfig's loader refers to itself, with all that it has read.

    A service never ends, so what is collected rarely would pile up to some ten MiB, again and again.
    """
    gc.collect()
