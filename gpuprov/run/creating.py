"""Writes the files of a new project: all of them or none, and never over what is there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.files import system_reason
from gpuprov.load.project import PROJECT_FILE
from gpuprov.run.newfile import NewFile


def in_the_way(folder: Path, paths: Iterable[str]) -> list[Problem]:
    """Return a problem for each of these files, below the folder, that exists or has a file for a folder above it."""
    message, remedy = tr("exists already"), tr("move it away, or name another folder")
    present = {path for name in paths for path in _above(folder, name) if _taken(path, is_last=path == folder / name)}
    return [Problem(file=str(path), message=message, remedy=remedy) for path in sorted(present)]


def create(folder: Path, files: Mapping[str, NewFile], environment: Path | None, link: str) -> None:
    """Write the files below the folder, and a link to the environment, unless something has its name.

    A folder that does not exist yet appears with everything in it. In one that exists, the project's own file comes
    last, and what was written is removed again if something fails. Raises InputError.
    """
    if problems := in_the_way(folder, files):
        raise InputError(problems)
    try:
        if folder.exists():
            _fill(folder, files, environment, link)
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = folder.with_name(f".{folder.name}.{os.getpid()}")
        beside.mkdir()
        try:
            _fill(beside, files, environment, link)
            beside.rename(folder)
        except BaseException:
            _remove(beside.rglob("*"))
            beside.rmdir()
            raise
    except OSError as error:
        message = tr("cannot be written ({reason}); nothing was left there", reason=system_reason(error))
        remedy = tr("correct that, then rerun the command")
        raise InputError([Problem(file=str(error.filename or folder), message=message, remedy=remedy)]) from error


def _above(folder: Path, name: str) -> list[Path]:
    """Return the path of a file and of the folders around it, up to the project's, which is not among them."""
    path = folder / name
    return [path, *(above for above in path.parents if folder in above.parents)]


def _taken(path: Path, *, is_last: bool) -> bool:
    """Tell whether something is there that a new file, or a folder around one, cannot share the name with."""
    return os.path.lexists(path) and (is_last or not path.is_dir())


def _fill(folder: Path, files: Mapping[str, NewFile], environment: Path | None, link: str) -> None:
    """Write everything, and remove it again if something fails, also an interrupt."""
    made: list[Path] = []
    try:
        if environment is not None and not os.path.lexists(folder / link):
            made.append(folder / link)
            (folder / link).symlink_to(environment, target_is_directory=True)
        for name, file in sorted(files.items(), key=lambda item: item[0] == PROJECT_FILE):
            for path in reversed(_above(folder, name)[1:]):
                if not path.exists():
                    made.append(path)
                    path.mkdir()
            with (folder / name).open("x", encoding="utf-8", newline="") as stream:
                made.append(folder / name)
                stream.write(file.text)
            if file.executable:
                (folder / name).chmod(0o755)
    except BaseException:
        _remove(made)
        raise


def _remove(paths: Iterable[Path]) -> None:
    """Remove what was made, the innermost first; a folder that somebody else has put something into stays."""
    for path in sorted(paths, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
