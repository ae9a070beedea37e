"""The work of `gpuprov ci check`: what is wrong with a change, and what it would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from gpuprov.cli.common import opened, use_toolchain
from gpuprov.cli.errors import Exit, fail
from gpuprov.cli.reportpage import page
from gpuprov.cli.screen import say
from gpuprov.errors import InputError, ToolchainError
from gpuprov.i18n import tr
from gpuprov.run.ci.check import check_clusters, check_files, check_fitness, reason, wrong
from gpuprov.run.ci.report import Report, merged, write_report
from gpuprov.run.clock import now
from gpuprov.run.loading import Loaded
from gpuprov.run.pipeline import select

_MOST_CHARACTERS = 1_000_000
"""A log, or a step's summary, takes as many; a comment has its platform's own limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be checked, and how it ends."""

    since: str | None
    files_only: bool
    preflight: bool
    exit_code: bool


def run_check(
    directory: Path | None, at: datetime | None, providers: Sequence[str], wanted: Wanted, path: Path | None
) -> None:
    """Check, print what was found, write it to a file, and end the command with the exit code of the worst."""
    try:
        found = _found(directory, at, providers, wanted)
    except InputError as error:  # a project that cannot be opened has its report too
        found = Report(problems=tuple(map(wrong, error.problems)), stopped=True)
    if path is not None:
        write_report(path, found)
    click.echo(page(found, limit=_MOST_CHARACTERS), nl=False)
    _end(found, exit_code=wanted.exit_code)


def _found(directory: Path | None, at: datetime | None, providers: Sequence[str], wanted: Wanted) -> Report:
    project, at = opened(directory, at)
    at = at or now(project.programme.zone)
    chosen = select(project.clusters, providers)
    report, loaded = check_files(project, at, wanted.since)
    if wanted.files_only or report.stopped or loaded is None:
        return report
    return merged([report, *_on_clusters(loaded, chosen, at, preflight=wanted.preflight)], only=chosen)


def _on_clusters(loaded: Loaded, chosen: Sequence[str], at: datetime, *, preflight: bool) -> list[Report]:
    try:
        use_toolchain()
    except ToolchainError as error:
        return [Report(failed=dict.fromkeys(chosen, reason(error)))]
    planned = check_clusters(loaded, chosen, at)
    return [planned, check_fitness(loaded, chosen, at)] if preflight else [planned]


def _end(report: Report, *, exit_code: bool) -> None:
    if report.problems:
        say(tr("problems in the files; nothing was planned"), err=True)
        fail(Exit.FAILURE)
    if report.failed:
        fail(Exit.SOME_CLUSTERS_FAILED)
    if report.refused:
        fail(Exit.REFUSED)
    if report.unfit:
        fail(Exit.FAILURE)
    if exit_code and report.pending:
        fail(Exit.CHANGES_PENDING)
