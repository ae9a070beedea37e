"""Remembers which Pulumi process of ours runs on which stack, to tell a lock that is held from one that was left.

Pulumi's lock on a stack names a process and a machine. A machine's name proves nothing (two runners may share it), so
a lock counts as ours only where this user's own note, written when the process started, has the same process; and as
left only where that very process has ended.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import psutil
from filelock import FileLock
from platformdirs import user_state_path

_LOCK = re.compile(r"(?P<url>\S+): created by \S+@(?P<host>\S+) \(pid (?P<pid>\d+)\)")


class Holder(StrEnum):
    """Who holds the lock on a stack: somebody else, a process of ours that runs, or one that was killed."""

    OTHER = "other"
    RUNNING = "running"
    KILLED = "killed"


@contextmanager
def remembered(root: Path, stack: str, pid: int) -> Iterator[None]:
    """Keep a note of the process while it runs. It outlives us where we are killed."""
    folder = _folder(root, stack)
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / f"{pid}.json"
    with suppress(psutil.NoSuchProcess):
        fresh = note.with_suffix(".new")
        fresh.write_text(json.dumps({"created": psutil.Process(pid).create_time()}), encoding="utf-8")
        fresh.replace(note)
    yield
    note.unlink(missing_ok=True)


def holder(root: Path, stack: str, said: str) -> Holder:
    """Return who holds the stack's locks, from what Pulumi said of them."""
    locks = [(found["host"], int(found["pid"])) for found in _LOCK.finditer(said)]
    if not locks or any(host != socket.gethostname() for host, _ in locks):
        return Holder.OTHER
    notes = [_created(root, stack, pid) for _, pid in locks]
    if None in notes:
        return Holder.OTHER
    runs = [_runs(pid, created) for (_, pid), created in zip(locks, notes, strict=True)]
    return Holder.RUNNING if any(runs) else Holder.KILLED


def lock_urls(said: str) -> list[str]:
    """Return where the stack's locks are kept, from what Pulumi said of them."""
    return [found["url"] for found in _LOCK.finditer(said)]


def alone(root: Path, stack: str, *, timeout: float) -> AbstractContextManager[object]:
    """Wait for the right to remove locks of the stack; it is held as long as the block of the result lasts.

    The kernel takes it from a process that dies. Raises TimeoutError after ``timeout`` seconds.
    """
    folder = _folder(root, stack)
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "removing.lock").acquire(timeout=timeout)


def forget_killed(root: Path, stack: str) -> None:
    """Drop the notes of processes that have ended, once their locks are gone."""
    for note in _folder(root, stack).glob("*.json"):
        pid = int(note.stem)
        if not _runs(pid, _created(root, stack, pid)):
            note.unlink(missing_ok=True)


def _created(root: Path, stack: str, pid: int) -> float | None:
    """Return when our process with that number was started, by its note; None where there is none."""
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
    about = "\0".join([os.environ.get("PULUMI_BACKEND_URL", ""), str(root.resolve()), stack])
    return user_state_path("gpuprov") / "runs" / sha256(about.encode()).hexdigest()[:32]
