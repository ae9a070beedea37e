"""Who holds a turn: the identity of this process, and whether another one of this user on this machine has ended."""

from __future__ import annotations

import getpass
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(slots=True)
class Presence:
    """A process that may hold something. ``holds_nothing`` is set once that is certain."""

    identity: str
    holds_nothing: bool = False


@contextmanager
def present() -> Iterator[Presence]:
    """Yield this process's presence, and keep a file locked whose name is part of its identity.

    Whoever finds the file unlocked knows that this process has ended and has not given back what it held. At the end it
    is removed only where nothing is held: giving back may have failed, or may have been interrupted.
    """
    token = secrets.token_hex(8)
    _folder().mkdir(parents=True, exist_ok=True)
    lock = FileLock(_folder() / token)
    with lock:
        presence = Presence(f"{words()}/{token}")
        try:
            yield presence
        finally:
            if presence.holds_nothing:
                Path(lock.lock_file).unlink(missing_ok=True)


def is_gone(identity: str) -> bool:
    """Tell whether the holder was one of this user's processes here and ended without giving back. Changes nothing."""
    note = _note(identity)
    if not note.is_file():
        return False
    try:
        with FileLock(note).acquire(timeout=0):
            return True
    except Timeout:
        return False


def has_ended(identity: str) -> bool:
    """Tell the same, and forget the process: only whoever takes its turn asks this."""
    ended = is_gone(identity)
    if ended:
        _note(identity).unlink(missing_ok=True)
    return ended


def _note(identity: str) -> Path:
    return _folder() / identity.rpartition("/")[2]
