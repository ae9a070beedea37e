"""Writes Pulumi's state through Pulumi's command line, and handles the locks on it.

Separate from `stacks`, which only reads: a command that finds nothing to do does not load this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gpuprov.engine.folder import backend_url, path_of
from gpuprov.engine.locks import Locks, remembered
from gpuprov.engine.stacks import StackLocked, StateDamaged, answer, read_outputs, start
from gpuprov.errors import EngineError


def create(locks: Locks) -> None:
    """Create an empty stack if there is none; the user's selected stack stays selected. Raises EngineError."""
    try:
        _write(locks, "stack", "init", "--no-select")
    except EngineError as error:
        if _EXISTS not in str(error):
            raise


def remove(locks: Locks) -> None:
    """Remove a stack whose state is empty, and its configuration file. Raises EngineError."""
    _write(locks, "stack", "rm", "--yes")


def write_deployment(locks: Locks, deployment: Mapping[str, Any]) -> None:
    """Replace the stack's whole state by ``deployment``, as `stacks.read_deployment` returns it. Raises EngineError."""
    _write(locks, "stack", "import", given=json.dumps(deployment, ensure_ascii=False))


def locked(root: Path, project: str, stack: str) -> StackLocked | None:
    """Return what Pulumi says of the locks on a stack; None where there is none.

    Of a stack that does not exist only locks that were cut off are found, and only in a folder. Raises EngineError.
    """
    try:
        if read_outputs(root, stack) is None:
            return _cut_off(root, project, stack)
    except StateDamaged:
        pass  # it is there, and may be locked
    return lock_on(root, stack)


def _cut_off(root: Path, project: str, stack: str) -> StackLocked | None:
    """Return the locks of a stack that does not exist which nobody can read, as a full disk leaves them.

    Pulumi would stumble over them when it makes the stack; asked to make it where there are none, it would make it.
    """
    folder = path_of(backend_url(root))
    locks = () if folder is None else (folder / ".pulumi/locks/organization" / project / stack).glob("*")
    files = tuple(sorted(file for file in locks if not _is_json(file)))
    return StackLocked(f"{stack}: {len(files)} locks were cut off while they were written", files) if files else None


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except FileNotFoundError:
        return True  # it was given back meanwhile
    except (OSError, ValueError):
        return False
    return True


def lock_on(root: Path, stack: str) -> StackLocked | None:
    """Return the same of a stack that exists.

    No command of Pulumi's only looks for locks. Asked to make a stack that there is, it first looks, then takes the
    lock itself, for the moment that it needs to see that there is nothing to make. Raises EngineError.
    """
    try:
        _run(root, stack, "stack", "init", "--no-select")
    except StackLocked as error:
        return error
    except EngineError as error:
        if _EXISTS not in str(error):
            raise
    return None


_EXISTS = "already exists"


def _write(locks: Locks, *command: str, given: str | None = None) -> None:
    """Run a command that takes the stack's lock, as soon as nobody has it."""
    locks.run(partial(_run, locks.root, locks.stack, *command, given=given))


def _run(root: Path, stack: str, *command: str, given: str | None = None) -> None:
    """Run a command that takes the stack's lock. If it is killed, the lock stays, and the note that identifies it."""
    with start(root, stack, command, given) as process, remembered(root, stack, process.pid):
        answer(process, stack, command, given)
