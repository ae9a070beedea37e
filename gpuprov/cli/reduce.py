"""`gpuprov reduce`: an award keeps fewer GPUs."""

from __future__ import annotations

from datetime import datetime

import click

from gpuprov.cli.common import event_instants, event_options
from gpuprov.cli.events import by_option, reason_option, record_and_apply, record_for_later
from gpuprov.core.decisions import Decision, reduce
from gpuprov.load.project import Project
from gpuprov.run.clock import now
from gpuprov.run.loading import Loaded


@click.command("reduce")
@event_options
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
    granted them until they are free. With an --at that is still to come the event is recorded only, and `gpuprov up`
    carries it out from then on.
    """
    effect, present = event_instants(at, project.programme.zone)

    def decide(loaded: Loaded) -> Decision:
        return reduce(
            loaded.histories, award, gpus, at=effect, by=by, reason=reason, recorded=now(project.programme.zone)
        )

    if effect > present:
        record_for_later(project, decide, effect, "`gpuprov up`", yes=yes, as_json=as_json)
    else:
        record_and_apply(project, decide, present, purpose="reduce", yes=yes, as_json=as_json, timeout=timeout)
