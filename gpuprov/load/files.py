"""Files to bytes; everything that the file system can answer becomes a problem."""

from __future__ import annotations

import errno
from pathlib import Path

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import Message, tr

MOST_BYTES = 64 * 1024 * 1024
"""The largest file that is read, in bytes: 10,000 awards are 2 MB."""


_REASONS = {
    errno.EACCES: tr("Permission denied"),
    errno.EEXIST: tr("File exists"),
    errno.EISDIR: tr("Is a directory"),
    errno.ENAMETOOLONG: tr("File name too long"),
    errno.ENOENT: tr("No such file or directory"),
    errno.ENOSPC: tr("No space left on device"),
    errno.ENOTDIR: tr("Not a directory"),
    errno.EPERM: tr("Operation not permitted"),
    errno.EROFS: tr("Read-only file system"),
}


def system_reason(error: OSError | ValueError) -> str:
    """Return why the system refused something, in a language that can be chosen where the reason is a usual one.

    A ValueError is Python's own refusal of a name that no file can have.
    """
    return str(error) if isinstance(error, ValueError) else _REASONS.get(error.errno or 0, error.strerror or str(error))


def full_disk(error: OSError) -> Message | None:
    """Return what to do where something could not be written for want of room; None for any other error.

    Every command and every process writes somewhere, so this is asked where all errors end.
    """
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    if error.filename is None:
        return tr("a disk is full; make room on it, then rerun the command")
    return tr("{file}: the disk is full; make room on it, then rerun the command", file=error.filename)


def read_bytes(path: Path, name: str | None = None) -> bytes:
    """Return the content of the file. Raises InputError where it cannot be read, is empty or is far too large.

    ``name`` is how problems call the file, if not by its path.
    """
    file = name or str(path)
    try:
        if path.is_dir():
            raise InputError([Problem(file=file, message=tr("is a directory"), remedy=tr("name the file in it"))])
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        problem = Problem(file=file, message=tr("does not exist"), remedy=tr("check the path and the spelling"))
        raise InputError([problem]) from error
    except (OSError, ValueError) as error:
        message = tr("cannot be read: {reason}", reason=system_reason(error))
        remedy = tr("check the path and its permissions")
        raise InputError([Problem(file=file, message=message, remedy=remedy)]) from error
    if not data:
        raise InputError([Problem(file=file, message=tr("is empty"), remedy=tr("save it again with its content"))])
    if len(data) > MOST_BYTES:
        message = tr("is larger than {size} MiB", size=MOST_BYTES // 1024 // 1024)
        raise InputError([Problem(file=file, message=message, remedy=tr("keep only the award list in it"))])
    return data
