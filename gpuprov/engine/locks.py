"""Records which of our Pulumi processes runs on which stack, tells a live lock from a stale one, and gets past locks:
it removes stale locks of our own killed runs, and waits for a run that is still at work.

Pulumi's lock on a stack names a process and a host. A host name proves nothing (two CI runners may share it), so a lock
counts as ours only if this user's own note, written when the process started, names the same process; and as stale only
if that very process has ended.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil
from filelock import FileLock
from platformdirs import user_state_path

from gpuprov.engine import stacks
from gpuprov.engine.stacks import NoSuchStack, StackLocked
from gpuprov.errors import EngineError
from gpuprov.i18n import tr

_AGAIN_SECONDS = 0.5
_LOCK = re.compile(
    r"(?P<url>\S+): created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\)(?: at (?P<since>\d{4}-\S+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock on a stack, as Pulumi tells of it: who took it, in which process of which machine, and since when."""

    url: str
    user: str
    host: str
    pid: int
    since: datetime | None

    @property
    def words(self) -> str:
        """The lock for people."""
        since = "" if self.since is None else f", since {self.since.isoformat(timespec='seconds')}"
        return f"{self.user}@{self.host} (process {self.pid}{since})"


def locks_of(message: str) -> list[Lock]:
    """Return the stack's locks from Pulumi's error message."""
    return [
        Lock(
            url=found["url"],
            user=found["user"],
            host=found["host"],
            pid=int(found["pid"]),
            since=datetime.fromisoformat(found["since"]) if found["since"] else None,
        )
        for found in _LOCK.finditer(message)
    ]


class Holder(StrEnum):
    """Who holds the lock on a stack: somebody else, a running process of ours, or a killed process of ours."""

    OTHER = "other"
    RUNNING = "running"
    KILLED = "killed"


@contextmanager
def remembered(root: Path, stack: str, pid: int) -> Iterator[None]:
    """Keep a note of the process while it runs. If we are killed, the note stays."""
    folder = _folder(root, stack)
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / f"{pid}.json"
    with suppress(psutil.NoSuchProcess):
        fresh = note.with_suffix(".new")
        fresh.write_text(json.dumps({"created": psutil.Process(pid).create_time()}), encoding="utf-8")
        fresh.replace(note)
    yield
    note.unlink(missing_ok=True)


def holder(root: Path, stack: str, message: str) -> Holder:
    """Return who holds the stack's locks, according to Pulumi's error message."""
    locks = locks_of(message)
    if not locks or any(lock.host != socket.gethostname() for lock in locks):
        return Holder.OTHER
    notes = [_created(root, stack, lock.pid) for lock in locks]
    if None in notes:
        return Holder.OTHER
    running = [_runs(lock.pid, created) for lock, created in zip(locks, notes, strict=True)]
    return Holder.RUNNING if any(running) else Holder.KILLED


def alone(root: Path, stack: str, *, timeout: float) -> AbstractContextManager[object]:
    """Wait for the exclusive right to remove locks of the stack; it is held until the returned context ends.

    The kernel releases it if the process dies. Raises TimeoutError after ``timeout`` seconds.
    """
    folder = _folder(root, stack)
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "removing.lock").acquire(timeout=timeout)


def forget_killed(root: Path, stack: str) -> None:
    """Delete the notes of processes that have ended, once their locks are removed."""
    for note in _folder(root, stack).glob("*.json"):
        pid = int(note.stem)
        if not _runs(pid, _created(root, stack, pid)):
            note.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """The locks on one stack. ``patience`` is how many seconds to wait for an earlier gpuprov run to end."""

    root: Path
    stack: str
    patience: float
    progress: Callable[[str], None]

    def run(self, run: Callable[[], None]) -> None:
        """Call ``run`` until it no longer raises StackLocked.

        A lock without a note may be seen just before its note is written, or while another command removes both; so it
        is checked a second time. Raises EngineError if somebody else holds the lock, or a run of ours for too long.
        """
        deadline = time.monotonic() + self.patience
        before: Holder | None = None
        while (locked := _attempt(run)) is not None:
            holder: Holder | None = self._holder(locked)
            if holder is Holder.KILLED:
                holder = self._unlock(run, deadline)
                if holder is None:
                    return
            elif holder is Holder.RUNNING and time.monotonic() < deadline:
                self.progress(tr("waiting for an earlier run on {stack} to end", stack=self.stack))
                time.sleep(_AGAIN_SECONDS)
            elif holder is Holder.OTHER and before is not holder:
                time.sleep(_AGAIN_SECONDS)
            else:
                raise self._locked(locked)
            before = holder

    def _holder(self, locked: StackLocked) -> Holder:
        return holder(self.root, self.stack, str(locked))

    def _unlock(self, run: Callable[[], None], deadline: float) -> Holder | None:
        """Retry while no other command may remove locks; remove the lock if it still belongs to a killed run.

        Pulumi cannot remove one specific lock, only all locks of the stack. Another command may meanwhile have removed
        the lock that we saw and taken its own, so the holder is checked again while nobody else can remove locks.
        """
        try:
            only_we = alone(self.root, self.stack, timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError as error:
            raise self._locked(None) from error
        with only_we:
            locked = _attempt(run)
            if locked is None:
                return None
            holder = self._holder(locked)
            if holder is Holder.KILLED:
                self.progress(tr("removing the lock that a killed run left on {stack}", stack=self.stack))
                remove_locks(self.root, self.stack, locked)
                forget_killed(self.root, self.stack)
            return holder

    def _locked(self, locked: StackLocked | None) -> EngineError:
        owners = " and ".join(lock.words for lock in locks_of(str(locked)))
        if locked is not None and not owners:
            return EngineError(
                f"{self.stack}: a lock on the stack was cut off while it was written, as on a full disk; when that has "
                "room again and no other run is at work, run `gpuprov unlock` and rerun the command"
            )
        owners = owners or "another run"
        return EngineError(
            f"{self.stack}: {owners} holds the stack's lock; wait for it, or if it was killed, run `gpuprov unlock` "
            "and rerun the command"
        )


def remove_locks(root: Path, stack: str, locked: StackLocked) -> None:
    """Remove a stack's locks. `pulumi cancel` finds none on a stack that does not exist (yet, or any more).

    Raises EngineError.
    """
    try:
        stacks.cancel(root, stack)
    except NoSuchStack as error:
        for lock in locks_of(str(locked)):
            if not lock.url.startswith("file://"):
                raise EngineError(
                    f"{stack}: a killed run left a lock on a stack that does not exist, and `pulumi cancel` cannot "
                    f"remove it: delete {lock.url}, and rerun the command"
                ) from error
            Path(unquote(urlsplit(lock.url).path)).unlink(missing_ok=True)
        for file in locked.files:
            file.unlink(missing_ok=True)


def _attempt(run: Callable[[], None]) -> StackLocked | None:
    try:
        run()
    except StackLocked as locked:
        return locked
    return None


def _created(root: Path, stack: str, pid: int) -> float | None:
    """Return when our process with that pid was started, according to its note; None without a note."""
    try:
        return float(json.loads((_folder(root, stack) / f"{pid}.json").read_text(encoding="utf-8"))["created"])
    except (OSError, ValueError, KeyError):
        return None


def _runs(pid: int, created: float | None) -> bool:
    try:
        process = psutil.Process(pid)
        return process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _folder(root: Path, stack: str) -> Path:
    identity = "\0".join([os.environ.get("PULUMI_BACKEND_URL", ""), str(root.resolve()), stack])
    return user_state_path("gpuprov") / "runs" / sha256(identity.encode()).hexdigest()[:32]
