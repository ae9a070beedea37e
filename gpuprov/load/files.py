"""Files to bytes; everything that the file system can answer becomes a problem."""

from __future__ import annotations

from pathlib import Path

from gpuprov.errors import InputError, Problem

MOST_BYTES = 64 * 1024 * 1024
"""The largest file that is read, in bytes: 10,000 awards are 2 MB."""


def read_bytes(path: Path, name: str | None = None) -> bytes:
    """Return the content of the file. Raises InputError where it cannot be read, is empty or is far too large.

    ``name`` is how problems call the file, if not by its path.
    """
    file = name or str(path)
    try:
        if path.is_dir():
            raise InputError([Problem(file=file, message="is a directory", remedy="name the file in it")])
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        problem = Problem(file=file, message="does not exist", remedy="check the path and the spelling")
        raise InputError([problem]) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problem = Problem(file=file, message=f"cannot be read: {reason}", remedy="check the path and its permissions")
        raise InputError([problem]) from error
    if not data:
        raise InputError([Problem(file=file, message="is empty", remedy="save the list again")])
    if len(data) > MOST_BYTES:
        message = f"is larger than {MOST_BYTES // 1024 // 1024} MiB"
        raise InputError([Problem(file=file, message=message, remedy="keep only the award list in it")])
    return data
