"""`gpuprov up`: bring all providers' clusters in line with the award list."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli import completion
from gpuprov.cli.common import acting_options, provider_option

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("up")
@acting_options
@provider_option
@click.option(
    "--allow-teardown", type=click.IntRange(min=0), default=0, help="Confirm this many unexplained teardowns."
)
@click.option(
    "--allow-change",
    type=click.IntRange(min=0),
    default=0,
    help="Confirm this many unexplained reductions and changes of groups.",
)
@click.option("--accept-ledger", is_flag=True, help="Confirm that the ledger lacks events that were applied.")
@click.option(
    "--accept-cluster",
    multiple=True,
    shell_complete=completion.providers,
    help="Confirm that this provider's cluster was replaced; repeatable.",
)
def command(
    project: Project,
    at: datetime | None,
    providers: tuple[str, ...],
    *,
    as_json: bool,
    yes: bool,
    timeout: float,
    allow_teardown: int,
    allow_change: int,
    accept_ledger: bool,
    accept_cluster: tuple[str, ...],
) -> None:
    """Bring the providers' clusters, in parallel, in line with the award list and the ledger.

    GPUs that are given back are proven free before any are granted.
    """
    from gpuprov.cli.changing import bring_to_list

    bring_to_list(
        project,
        at,
        providers,
        teardown=allow_teardown,
        change=allow_change,
        ledger=accept_ledger,
        replaced=accept_cluster,
        yes=yes,
        as_json=as_json,
        timeout=timeout,
    )
