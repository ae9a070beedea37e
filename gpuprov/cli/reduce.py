"""`gpuprov reduce`: an award keeps fewer GPUs."""

from __future__ import annotations

from datetime import datetime

import click

from gpuprov.cli.common import acting_options
from gpuprov.cli.events import by_option, find_awards, reason_option, record_and_apply
from gpuprov.errors import InputError, Problem
from gpuprov.ledger import Reduced
from gpuprov.project import Project
from gpuprov.run.clock import now
from gpuprov.run.pipeline import load


@click.command("reduce")
@acting_options
@click.argument("award")
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

    No running pod is ended: `gpuprov status` shows GPUs that pods still hold beyond the quota, and nobody else is
    granted them until they are free.
    """
    loaded = load(project)
    (found,) = find_awards(loaded, (award,))
    moment = at or now()
    held = found.at(moment)
    if held is None or gpus > held.gpus:
        has = "nothing" if held is None else f"{held.gpus} {held.model}"
        problem = Problem(
            file="AWARD", value=award, message=f"has {has} at that instant", remedy="reduce to less, or forfeit it"
        )
        raise InputError([problem])
    events = [Reduced(award=award, at=moment, by=by, reason=reason, quantity=gpus, recorded=now())]
    if gpus == held.gpus:
        click.echo(f"{award} has {gpus} {held.model} already", err=True)
        events = []
    record_and_apply(loaded, [found], events, moment, yes=yes, as_json=as_json, timeout=timeout)
