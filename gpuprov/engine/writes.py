"""Writes Pulumi's state through Pulumi's own command line, past the locks on it.

Apart from `stacks`, which only reads: what finds nothing to do needs none of this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gpuprov.engine.locks import Locks, remembered
from gpuprov.engine.stacks import answer, start
from gpuprov.errors import EngineError


def create(locks: Locks) -> None:
    """Make an empty stack, where there is none; the one that the user has selected stays. Raises EngineError."""
    try:
        _write(locks, "stack", "init", "--no-select")
    except EngineError as error:
        if "already exists" not in str(error):
            raise


def remove(locks: Locks) -> None:
    """Remove a stack whose state holds no object any more, and its configuration file. Raises EngineError."""
    _write(locks, "stack", "rm", "--yes")


def write_deployment(locks: Locks, deployment: Mapping[str, Any]) -> None:
    """Replace the stack's whole state by what `state.read_deployment` returns. Raises EngineError."""
    _write(locks, "stack", "import", given=json.dumps(deployment, ensure_ascii=False))


def _write(locks: Locks, *command: str, given: str | None = None) -> None:
    """Run a command that takes the stack's lock. Killed at work it leaves that, and the note by which it is known."""

    def write() -> None:
        process = start(locks.root, locks.stack, command, given)
        with process, remembered(locks.root, locks.stack, process.pid):
            answer(process, locks.stack, command, given)

    locks.run(write)
