"""Who we are to others, and whether another process of this user on this machine has ended without a word."""

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
    """Return who we are, in words: user and machine."""
    return f"{user()}@{socket.gethostname()}"


def _folder() -> Path:
    return user_state_path("gpuprov") / "turns"


@contextmanager
def present() -> Iterator[str]:
    """Keep a file locked whose name is part of our identity, and remove it at the end.

    Found unlocked, it tells that we were killed.
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
    """Tell whether the holder was one of this user's processes on this machine and ended without a word."""
    note = _folder() / identity.rpartition("/")[2]
    if not note.is_file():
        return False
    try:
        with FileLock(note).acquire(timeout=0):
            note.unlink(missing_ok=True)
            return True
    except Timeout:
        return False
