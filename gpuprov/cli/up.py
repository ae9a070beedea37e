"""`gpuprov up`: bring all providers' clusters to what the award list says."""

from __future__ import annotations

from datetime import datetime

import click

from gpuprov.cli.acting import act
from gpuprov.cli.common import acting_options, provider_option, use_toolchain, warn
from gpuprov.guard import Confirmed
from gpuprov.project import Project
from gpuprov.run.clock import now
from gpuprov.run.pipeline import load, look, select


@click.command("up")
@acting_options
@provider_option
@click.option(
    "--allow-teardown", type=click.IntRange(min=0), default=0, help="Confirm this many unexplained teardowns."
)
@click.option("--accept-cluster", multiple=True, help="Confirm that this provider's cluster was replaced; repeatable.")
def command(
    project: Project,
    at: datetime | None,
    providers: tuple[str, ...],
    *,
    as_json: bool,
    yes: bool,
    timeout: float,
    allow_teardown: int,
    accept_cluster: tuple[str, ...],
) -> None:
    """Bring the providers' clusters, side by side, to what the award list and the ledger say.

    What is given back is proven free before anything is granted.
    """
    use_toolchain()
    loaded = load(project)
    warn(loaded.warnings)
    desired = loaded.desired(at or now())
    accepted = frozenset(select(project.clusters, accept_cluster)) if accept_cluster else frozenset()
    situation = look(project, desired, select(project.clusters, providers))
    confirmed = Confirmed(teardown=allow_teardown, clusters=accepted)
    act(situation, confirmed=confirmed, yes=yes, as_json=as_json, timeout=timeout)
