"""Writes Pulumi's state past the locks on it: removes those that killed runs of ours left, waits for one that works.

A killed command does not take Pulumi with it: that ends by itself and saves its state.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gpuprov import runs, state
from gpuprov.errors import EngineError
from gpuprov.state import StackLocked

_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """The locks on one stack. ``patience`` is how many seconds to wait for an earlier run of ours to end."""

    root: Path
    stack: str
    patience: float
    progress: Callable[[str], None]

    def run(self, run: Callable[[], None]) -> None:
        """Call ``run``, which raises StackLocked where a lock does not let it, until none does.

        A lock without a note may be a moment older than its note, or than the removal of both by another command: that
        is asked about twice. Raises EngineError where somebody else holds the lock, or a run of ours for too long.
        """
        deadline = time.monotonic() + self.patience
        before: runs.Holder | None = None
        while (locked := _attempt(run)) is not None:
            holder: runs.Holder | None = self._holder(locked)
            if holder is runs.Holder.KILLED:
                holder = self._unlock(run, deadline)
                if holder is None:
                    return
            elif holder is runs.Holder.RUNNING and time.monotonic() < deadline:
                self.progress(f"waiting for an earlier run on {self.stack} to end")
                time.sleep(_AGAIN_SECONDS)
            elif holder is runs.Holder.OTHER and before is not holder:
                time.sleep(_AGAIN_SECONDS)
            else:
                raise self._locked()
            before = holder

    def _holder(self, locked: StackLocked) -> runs.Holder:
        return runs.holder(self.root, self.stack, str(locked))

    def _unlock(self, run: Callable[[], None], deadline: float) -> runs.Holder | None:
        """Try again with no other command beside us that would remove locks; remove it if it is still a killed run's.

        Pulumi cannot remove one certain lock, only whatever is there. Another command may have removed the one that we
        saw and taken its own since, so it is asked again who holds it, where nobody else removes any.
        """
        try:
            alone = runs.alone(self.root, self.stack, timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError as error:
            raise self._locked() from error
        with alone:
            locked = _attempt(run)
            if locked is None:
                return None
            holder = self._holder(locked)
            if holder is runs.Holder.KILLED:
                self.progress(f"removing the lock that a killed run left on {self.stack}")
                self._cancel(locked)
                runs.forget_killed(self.root, self.stack)
            return holder

    def _cancel(self, locked: StackLocked) -> None:
        """Remove the locks. `pulumi cancel` knows none on a stack that was never made, or is removed already."""
        try:
            state.cancel(self.root, self.stack)
        except state.NoSuchStack as error:
            for url in runs.lock_urls(str(locked)):
                if not url.startswith("file://"):
                    raise EngineError(
                        f"{self.stack}: a killed run left a lock on a stack that does not exist, and `pulumi cancel` "
                        f"cannot remove it: delete {url}, and rerun the command"
                    ) from error
                Path(unquote(urlsplit(url).path)).unlink(missing_ok=True)

    def _locked(self) -> EngineError:
        return EngineError(
            f"{self.stack}: another run holds the stack's lock; wait for it, or if it was killed, run "
            f"`pulumi cancel --stack {self.stack}` and give the command again"
        )


def _attempt(run: Callable[[], None]) -> StackLocked | None:
    try:
        run()
    except StackLocked as locked:
        return locked
    return None


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
        process = state.start(locks.root, locks.stack, command, given)
        with process, runs.remembered(locks.root, locks.stack, process.pid):
            state.answer(process, locks.stack, command, given)

    locks.run(write)
