"""Renews the files of a project that are gpuprov's own, after an update of gpuprov.

A project notes which of its files gpuprov wrote, with their digests. A file that has the digest of the note is as
gpuprov wrote it, and may be replaced by what the present gpuprov would write. Every other file that differs is
somebody's own: it stays, and whoever renews is told how to compare.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.packaged import packaged
from gpuprov.run.files import write_whole
from gpuprov.run.newfile import NewFile

NOTE = ".gpuprov.json"
"""The project's file with the digests of those that gpuprov wrote."""

_AGAIN = tr("correct that, then rerun the same command")


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A file that is somebody's own by now, and the command that compares it with gpuprov's."""

    path: str
    compare: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What a renewal does, by the files' paths in the project."""

    renewed: tuple[str, ...]
    current: tuple[str, ...]
    own: tuple[Own, ...]


def note(files: Mapping[str, str], kept: Mapping[str, str]) -> str:
    """Return the text of the note on files that gpuprov writes, by path; ``kept`` are digests of others."""
    digests = {**kept, **{path: _digest(text) for path, text in files.items()}}
    return json.dumps({"gpuprov": version("gpuprov"), "files": dict(sorted(digests.items()))}, indent=2) + "\n"


def renew(folder: Path, ours: Mapping[str, tuple[NewFile, str]]) -> Renewal:
    """Renew the project's files; ``ours`` are those that gpuprov would write now, with where each comes from.

    A file that is missing is written, unless its folder is missing too: whoever removed the policy pack has none. What
    is written last is the note, so that an interrupted renewal is finished by the next. Raises InputError.
    """
    noted = _noted(folder / NOTE)
    renewed, current, own, written = [], [], [], {}
    for path, (file, origin) in ours.items():
        found = _text(folder / path)
        if found == file.text:
            current.append(path)
        elif (found is None and _may_appear(folder / path)) or (found and noted.get(path) == _digest(found)):
            renewed.append(path)
        elif found is None and not (folder / path).parent.is_dir():
            continue
        else:
            compare = f"diff {shlex.quote(str(packaged(origin)))} {shlex.quote(str(folder / path))}"
            own.append(Own(path=path, compare=compare))
            continue
        written[path] = file
    for path in renewed:
        write_whole(folder / path, written[path].text.encode(), force=True, remedy=_AGAIN)
    for path, file in written.items():
        if file.executable:
            (folder / path).chmod(0o755)
    kept = {path: digest for path, digest in noted.items() if path not in written}
    text = note({path: file.text for path, file in written.items()}, kept)
    if text != _text(folder / NOTE):
        write_whole(folder / NOTE, text.encode(), force=True, remedy=_AGAIN)
    return Renewal(renewed=tuple(renewed), current=tuple(current), own=tuple(own))


def _may_appear(path: Path) -> bool:
    return path.parent.is_dir() and not path.is_symlink() and not path.exists()


def _noted(path: Path) -> dict[str, str]:
    """Return the digests of the note; none where a project has no note. Raises InputError for one that is damaged."""
    text = _text(path)
    if text is None:
        return {}
    try:
        return {str(name): str(digest) for name, digest in json.loads(text)["files"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        message = tr("is not gpuprov's note on its files")
        remedy = tr("restore it from git, or delete it: then files that differ from gpuprov's count as your own")
        raise InputError([Problem(file=str(path), message=message, remedy=remedy)]) from error


def _text(path: Path) -> str | None:
    """Return a file's text, with the ends of lines that gpuprov writes; None where there is no such file of text."""
    try:
        return None if path.is_symlink() else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
