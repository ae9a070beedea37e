"""`gpuprov expire`: what the end of terms asks for, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import click

from gpuprov.cli.acting import act
from gpuprov.cli.common import acting_options, provider_option, use_toolchain, warn
from gpuprov.guard import Confirmed
from gpuprov.plan import Op
from gpuprov.project import Project
from gpuprov.run.clock import now
from gpuprov.run.pipeline import load, look, select
from gpuprov.tenant import desired_state


@click.command("expire")
@acting_options
@provider_option
def command(
    project: Project,
    at: datetime | None,
    providers: tuple[str, ...],
    *,
    as_json: bool,
    yes: bool,
    timeout: float,
) -> None:
    """Tear down the awards whose term has ended or that were forfeited. Grants nothing.

    Meant to run unattended (with --yes), as often as wanted: late, or twice, it does only what is left.
    """
    use_toolchain()
    loaded = load(project)
    warn(loaded.warnings)
    desired = desired_state(loaded.histories, project.clusters, at or now(), loaded.unlisted)
    situation = look(project, desired, select(project.clusters, providers))
    plan = situation.plan.where(lambda change: change.op is Op.RECLAIM and change.expected)
    ended = {absence.award_id for absence in desired.absences} & (
        {change.award_id for change in plan.changes}
        | {award_id for said in situation.outputs.values() for award_id in said.tenants}
    )
    skipped = {change.award_id for change in situation.plan.changes} - {change.award_id for change in plan.changes}
    act(
        replace(situation, plan=plan),
        confirmed=Confirmed(),
        yes=yes,
        as_json=as_json,
        timeout=timeout,
        only=ended - skipped,
    )
