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
from contextlib import contextmanager, suppress
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import psutil
from platformdirs import user_state_path

_LOCK = re.compile(r"created by \S+@(?P<host>\S+) \(pid (?P<pid>\d+)\)")


class Holder(StrEnum):
    """Who holds the lock on a stack: somebody else, a process of ours that runs, or one that was killed."""

    OTHER = "other"
    RUNNING = "running"
    KILLED = "killed"


@contextmanager
def remembered(root: Path, stack: str, pid: int) -> Iterator[None]:
    """Keep a note of the process while it runs. It outlives us where we are killed."""
    path = _path(root, stack)
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(psutil.NoSuchProcess):
        note = {"pid": pid, "created": psutil.Process(pid).create_time()}
        fresh = path.with_suffix(f".{pid}")
        fresh.write_text(json.dumps(note), encoding="utf-8")
        fresh.replace(path)
    yield
    path.unlink(missing_ok=True)


def holder(root: Path, stack: str, said: str) -> Holder:
    """Return who holds the stack's locks, from what Pulumi said of them."""
    locks = [(found["host"], int(found["pid"])) for found in _LOCK.finditer(said)]
    try:
        note = json.loads(_path(root, stack).read_text(encoding="utf-8"))
        pid, created = int(note["pid"]), float(note["created"])
    except (OSError, ValueError, KeyError):
        return Holder.OTHER
    if not locks or any(lock != (socket.gethostname(), pid) for lock in locks):
        return Holder.OTHER
    return Holder.RUNNING if _runs(pid, created) else Holder.KILLED


def _runs(pid: int, created: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _path(root: Path, stack: str) -> Path:
    about = "\0".join([os.environ.get("PULUMI_BACKEND_URL", ""), str(root.resolve()), stack])
    return user_state_path("gpuprov") / "runs" / f"{sha256(about.encode()).hexdigest()[:32]}.json"
