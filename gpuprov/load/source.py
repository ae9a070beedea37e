"""Where an award list is: a file, or one sheet of a workbook, which operators write as ``list.xlsx#sheet``."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

WORKBOOKS = (".xlsx", ".xlsm")
"""Suffixes of the files that have sheets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, and the name of the sheet where one was given."""

    file: Path
    sheet: str | None = None


def source_of(path: Path) -> Source:
    """Split a path as it was given into file and sheet. Looks at which of the possible files are there.

    A name may have more than one ``#``: the longest part of it that is a file is the file. If none is, it is the one
    that ends as a workbook does, so that the message names what is missing.
    """
    if "#" not in path.name or _is_file(path):
        return Source(file=path)
    splits = [
        Source(file=path.parent / path.name[:at], sheet=path.name[at + 1 :])
        for at, character in enumerate(path.name)
        if character == "#"
    ]
    files = [split for split in reversed(splits) if _is_file(split.file)]
    workbooks = [split for split in splits if split.file.suffix.lower() in WORKBOOKS]
    return next(iter([*files, *workbooks]), Source(file=path))


def list_names(path: Path) -> tuple[str, ...]:
    """Return the names, without folders, by which a programme's call can have a list: with its sheet, and without."""
    return tuple(unicodedata.normalize("NFC", name) for name in (path.name, source_of(path).file.name))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False
