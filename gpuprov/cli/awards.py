"""`gpuprov awards`: all awards in one table, chosen, sorted, and exported."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuprov.cli.common import at_option, json_option, project_option, provider_option
from gpuprov.cli.errors import reports_errors

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("awards")
@reports_errors
@project_option
@at_option
@provider_option
@json_option
@click.argument("text", default="")
@click.option("--state", "states", multiple=True, help="Only awards in this state; repeatable.")
@click.option("--ends-within", metavar="TIME", help="Only active awards that end within 14d, 2w or 36h, for example.")
@click.option("--not-accepted", is_flag=True, help="Only active and upcoming awards that are not accepted.")
@click.option("--idle", is_flag=True, help="Only active awards whose GPUs no pod holds.")
@click.option("--sort", metavar="COLUMN", default="", help="Sort by this column; -COLUMN is from the greatest down.")
@click.option("--columns", metavar="COLUMNS", help="Columns to show, with commas between.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV that Excel opens, on standard output.")
@click.option("--xlsx", type=click.Path(path_type=Path, dir_okay=False), help="Write an Excel workbook to this file.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def command(project: Project, at: datetime | None, **options: Any) -> None:  # noqa: ANN401 (what click hands over)
    """Show each award: what it has, what it uses, its state, and when it ends. Changes nothing.

    TEXT is looked for in id, organization and model. What pods hold is read now; the rest is decided for --at.
    """
    from gpuprov.cli.awardtable import print_awards

    print_awards(project, at, **options)
