"""Proves against git that the ledger only grew: what `gpuprov ledger verify` and CI ask."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gpuprov.core.ledger import Event
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.growth import not_grown
from gpuprov.load.ledgerfile import read_content, read_ledger
from gpuprov.load.project import Project, open_project
from gpuprov.run.git import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A ledger that only grew since a commit, where it had ``kept`` events; ``appended`` are those that are new."""

    commit: str
    file: str
    kept: int
    appended: tuple[Event, ...]


def verify(project: Project, since: str) -> Growth:
    """Compare the project's ledger with the one that the project had at a commit, wherever its settings had it then.

    Raises InputError with every line that was changed, removed or put before others, and where ``since`` names no
    commit, or one whose ledger cannot be read; GitError where git fails otherwise.
    """
    repository = Repository(project.root)
    commit = _commit(repository, since)
    with repository.unpacked(commit) as folder:
        before, kept = _as_it_was(folder, since)
    file = project.ledger.name
    problems = not_grown(file, before, read_content(project.ledger), commit[:12])
    if problems:
        raise InputError(problems)
    return Growth(commit=commit, file=file, kept=kept, appended=read_ledger(project.ledger)[kept:])


def _as_it_was(folder: Path, since: str) -> tuple[bytes, int]:
    """Return the ledger of a project as a commit has it, and how many events it has: none where there is no project."""
    if not (folder / "Pulumi.yaml").is_file():
        return b"", 0
    try:
        ledger = open_project(folder).ledger
        return read_content(ledger), len(read_ledger(ledger))
    except InputError as error:
        reason = str(error).replace(f"{folder}{os.sep}", "").replace("\n", "; ")
        message = tr("has a project that cannot be read ({reason})", reason=reason)
        remedy = tr("name a commit whose project is valid")
        raise InputError([Problem(argument="--since", value=since, message=message, remedy=remedy)]) from error


def _commit(repository: Repository, since: str) -> str:
    """Return the commit's hash. Raises InputError where there is none, and GitError where git cannot tell."""
    quietly = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{since}^{{commit}}")
    if commit := repository.run(*quietly, no=True):
        return commit
    message = tr("is no commit that git knows here")
    remedy = tr("name a commit, a branch or a tag; in CI fetch the whole history first (`fetch-depth: 0`)")
    raise InputError([Problem(argument="--since", value=since, message=message, remedy=remedy)])
