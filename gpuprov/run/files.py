"""Digests of the files that a decision is based on, and files that are written whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.files import system_reason


def digests(files: Collection[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by path; an empty text for a file that cannot be read.

    They are compared after every wait, before acting.
    """
    hashes = {}
    for path in files:
        try:
            hashes[str(path)] = sha256(path.read_bytes()).hexdigest()
        except (OSError, ValueError):  # ValueError: a name that no file can have
            hashes[str(path)] = ""
    return hashes


def check_new(path: Path, *, force: bool) -> None:
    """Raise InputError, before any work is done, if a file cannot be written. ``force`` allows to replace one."""
    problems = []
    if not path.parent.is_dir():
        remedy = tr("make it, or name another")
        problems.append(Problem(file=str(path.parent), message=tr("is not a folder"), remedy=remedy))
    if os.path.lexists(path) and not force:
        problems.append(_exists(path))
    if problems:
        raise InputError(problems)


_NAME_ANOTHER = tr("name another file")


def write_whole(path: Path, data: bytes, *, force: bool, mode: int = 0o666, remedy: str = _NAME_ANOTHER) -> None:
    """Write a file so that others see all of it or nothing. Raises InputError, with the remedy, if that fails.

    Without ``force`` a file that is there by now stays, whoever made it and when. The umask restricts ``mode``.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if force:
            scratch.replace(path)
        else:
            _put_new(scratch, path)
    except FileExistsError as error:
        raise InputError([_exists(path)]) from error
    except OSError as error:
        message = tr("cannot be written ({reason})", reason=system_reason(error))
        raise InputError([Problem(file=str(path), message=message, remedy=remedy)]) from error
    finally:
        with suppress(NotADirectoryError):  # what should be its folder is a file, as was told
            scratch.unlink(missing_ok=True)


def _put_new(scratch: Path, path: Path) -> None:
    """Give a file its name. Raises FileExistsError where another has it: unlike a rename, this replaces nothing."""
    try:
        os.link(scratch, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: others see an empty file for a moment
        path.touch(exist_ok=False)
        scratch.replace(path)


def _exists(path: Path) -> Problem:
    return Problem(file=str(path), message=tr("already exists"), remedy=tr("pass --force, or name another file"))
