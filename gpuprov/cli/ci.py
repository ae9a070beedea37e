"""`gpuprov ci`: the steps of a pipeline that deploys changes of award lists."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import click

from gpuprov.cli.common import at_option, directory_option, provider_option
from gpuprov.cli.errors import F, reports_errors


@click.group()
def command() -> None:
    """Check a change in CI, and say on GitHub or GitLab what it does."""


@command.command("check")
@reports_errors
@directory_option
@at_option
@provider_option
@click.option("--since", metavar="REV", help="The commit that the ledger may only have grown from.")
@click.option("--files", "files_only", is_flag=True, help="Check the files only; access no cluster.")
@click.option("--preflight", is_flag=True, help="Also check whether the clusters are fit for awards.")
@click.option("--exit-code", "exit_code", is_flag=True, help="Exit with 3 if changes are pending.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what was found to this file, for `ci comment` and `ci issue`; its folder is made.",
)
def check(
    directory: Path | None,
    at: datetime | None,
    providers: tuple[str, ...],
    *,
    since: str | None,
    files_only: bool,
    preflight: bool,
    exit_code: bool,
    report: Path | None,
) -> None:
    """Check lists and ledger, then plan on the clusters under the guard and its rules. Changes nothing.

    Everything that is wrong is told at once, as Markdown on standard output.
    """
    from gpuprov.cli.checking import Wanted, run_check

    wanted = Wanted(since=since, files_only=files_only, preflight=preflight, exit_code=exit_code)
    run_check(directory, at, providers, wanted, report)


class _Name(click.ParamType[str]):
    """A name that can stand in a hidden line of Markdown."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name. Raises click.BadParameter."""
        if re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", value) is None or "--" in value:
            self.fail("write letters, digits, dots, underscores and single hyphens", param, ctx)
        return value


def _notes(command: F) -> F:
    """Add what both commands that write notes take."""
    reports = click.argument("reports", type=click.Path(path_type=Path, file_okay=False))
    name = click.option(
        "--name",
        default="gpuprov",
        type=_Name(),
        show_default=True,
        help="Tells this project's note from others of the same repository.",
    )
    return reports(name(command))


@command.command("comment")
@reports_errors
@_notes
def comment(reports: Path, name: str) -> None:
    """Show on the pull request what the REPORTS in a folder found, in one comment that is edited in place."""
    from gpuprov.cli.telling import tell_change

    tell_change(reports, name)


@command.command("issue")
@reports_errors
@_notes
def issue(reports: Path, name: str) -> None:
    """Open an issue if the REPORTS in a folder found something wrong, edit it while that lasts, then close it."""
    from gpuprov.cli.telling import tell_drift

    tell_drift(reports, name)
