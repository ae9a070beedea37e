"""`gpuprov show`: everything about one award."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import at_option, json_option, project_option
from gpuprov.cli.errors import reports_errors

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("show")
@reports_errors
@project_option
@at_option
@json_option
@click.argument("award")
def command(project: Project, award: str, at: datetime | None, *, as_json: bool) -> None:
    """Show everything about one award: list, ledger, clusters, pods, and what would change next and when.

    Changes nothing. What is on clusters is read now; the rest is decided for --at.
    """
    from gpuprov.cli.awardpage import print_award

    print_award(project, award, at, as_json=as_json)
