"""`gpuprov reduce`: an award keeps fewer GPUs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli import completion
from gpuprov.cli.common import event_options
from gpuprov.cli.events import by_option, reason_option

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("reduce")
@event_options
@click.argument("award", shell_complete=completion.awards)
@click.option(
    "--to", "gpus", type=click.IntRange(min=1), required=True, help="GPUs of the allocated model that remain."
)
@reason_option
@by_option
def command(
    project: Project,
    award: str,
    *,
    gpus: int,
    at: datetime | None,
    reason: str,
    by: str,
    as_json: bool,
    yes: bool,
    timeout: float,
) -> None:
    """Record that an award is reduced, and lower its quota.

    Running pods are not ended: `gpuprov status` shows GPUs that pods still hold beyond the quota, and these are not
    granted to anybody else until they are free. With an --at in the future the event is only recorded, and
    `gpuprov up` carries it out from then on.
    """
    from gpuprov.cli.changing import reduce

    reduce(project, award, gpus, at, by=by, reason=reason, yes=yes, as_json=as_json, timeout=timeout)
