"""Writes Pulumi's state through Pulumi's command line, and handles the locks on it.

Separate from `stacks`, which only reads: a command that finds nothing to do does not load this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gpuprov.engine.locks import Locks, remembered
from gpuprov.engine.stacks import StackLocked, answer, read_deployment, start
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


def locked(root: Path, stack: str) -> StackLocked | None:
    """Return what Pulumi says of the locks on a stack; None where there is none, or no such stack.

    The only way to ask every backend is to write: the state that is there is written once more. So nobody else may act
    on the stack's cluster meanwhile. Raises EngineError.
    """
    deployment = read_deployment(root, stack)
    if deployment is None:
        return None
    try:
        _run(root, stack, "stack", "import", given=json.dumps(deployment, ensure_ascii=False))
    except StackLocked as error:
        return error
    return None


def _write(locks: Locks, *command: str, given: str | None = None) -> None:
    """Run a command that takes the stack's lock, as soon as nobody has it."""
    locks.run(partial(_run, locks.root, locks.stack, *command, given=given))


def _run(root: Path, stack: str, *command: str, given: str | None = None) -> None:
    """Run a command that takes the stack's lock. If it is killed, the lock stays, and the note that identifies it."""
    with start(root, stack, command, given) as process, remembered(root, stack, process.pid):
        answer(process, stack, command, given)
