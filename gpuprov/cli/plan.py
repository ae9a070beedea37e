"""`gpuprov plan`: what would change, and why."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import at_option, json_option, project_option, provider_option
from gpuprov.cli.errors import reports_errors

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("plan")
@reports_errors
@project_option
@at_option
@provider_option
@json_option
@click.option("--markdown", is_flag=True, help="Print a Markdown table on standard output, for a pull request.")
@click.option("--exit-code", "exit_code", is_flag=True, help="Exit with 3 if changes are pending.")
@click.option("--full", is_flag=True, help="Show every award of a long plan.")
def command(
    project: Project,
    at: datetime | None,
    providers: tuple[str, ...],
    *,
    as_json: bool,
    markdown: bool,
    exit_code: bool,
    full: bool,
) -> None:
    """Show what would change on the clusters, and why. Changes nothing."""
    from gpuprov.cli.planning import show_plan

    show_plan(project, at, providers, as_json=as_json, markdown=markdown, exit_code=exit_code, full=full)
