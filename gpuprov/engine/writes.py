"""Writes Pulumi's state through Pulumi's command line, and handles the locks on it.

Separate from `stacks`, which only reads: a command that finds nothing to do does not load this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gpuprov.engine.locks import Locks, remembered
from gpuprov.engine.stacks import answer, start
from gpuprov.errors import EngineError


def create(locks: Locks) -> None:
    """Create an empty stack if there is none; the user's selected stack stays selected. Raises EngineError."""
    try:
        _write(locks, "stack", "init", "--no-select")
    except EngineError as error:
        if "already exists" not in str(error):
            raise


def remove(locks: Locks) -> None:
    """Remove a stack whose state is empty, and its configuration file. Raises EngineError."""
    _write(locks, "stack", "rm", "--yes")


def write_deployment(locks: Locks, deployment: Mapping[str, Any]) -> None:
    """Replace the stack's whole state by ``deployment``, as `stacks.read_deployment` returns it. Raises EngineError."""
    _write(locks, "stack", "import", given=json.dumps(deployment, ensure_ascii=False))


def _write(locks: Locks, *command: str, given: str | None = None) -> None:
    """Run a command that takes the stack's lock. If it is killed, the lock stays, and the note that identifies it."""

    def write() -> None:
        process = start(locks.root, locks.stack, command, given)
        with process, remembered(locks.root, locks.stack, process.pid):
            answer(process, locks.stack, command, given)

    locks.run(write)
