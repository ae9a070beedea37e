"""Who holds a turn: the identity of this process, and whether another one of this user on this machine was killed."""

from __future__ import annotations

import getpass
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_state_path


def user() -> str:
    """Return the name of the user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "unknown"


def words() -> str:
    """Return user and machine, as others are told who holds a turn."""
    return f"{user()}@{socket.gethostname()}"


def _folder() -> Path:
    return user_state_path("gpuprov") / "turns"


@contextmanager
def present() -> Iterator[str]:
    """Yield this process's identity, and keep a file locked whose name is part of it; remove the file at the end.

    Whoever finds the file unlocked knows that this process was killed.
    """
    token = secrets.token_hex(8)
    _folder().mkdir(parents=True, exist_ok=True)
    lock = FileLock(_folder() / token)
    with lock:
        try:
            yield f"{words()}/{token}"
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)


def has_ended(identity: str) -> bool:
    """Tell whether the holder was one of this user's processes on this machine and was killed."""
    note = _folder() / identity.rpartition("/")[2]
    if not note.is_file():
        return False
    try:
        with FileLock(note).acquire(timeout=0):
            note.unlink(missing_ok=True)
            return True
    except Timeout:
        return False
