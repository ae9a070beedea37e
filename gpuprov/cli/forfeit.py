"""`gpuprov forfeit`: an awardee gives up; record it, then reclaim the GPUs and prove that they are free."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli import completion
from gpuprov.cli.common import event_options
from gpuprov.cli.events import by_option, reason_option, record_and_apply
from gpuprov.i18n import tr
from gpuprov.run.clock import now

if TYPE_CHECKING:
    from gpuprov.core.decisions import Decision
    from gpuprov.load.project import Project
    from gpuprov.run.loading import Loaded


@click.command("forfeit")
@event_options
@click.argument("awards", metavar="AWARD...", nargs=-1, required=True, shell_complete=completion.awards)
@reason_option
@by_option
def command(
    project: Project,
    awards: tuple[str, ...],
    at: datetime | None,
    reason: str,
    by: str,
    *,
    as_json: bool,
    yes: bool,
    timeout: float,
) -> None:
    """Record that awards are forfeited, and reclaim their GPUs.

    The event is written to the ledger first: if a cluster fails, the same command, or `gpuprov expire`, finishes the
    teardown. An award that is already forfeited gets no second event. With an --at in the future the event is only
    recorded, and `gpuprov up` or `expire` carries it out from then on.
    """
    from gpuprov.core.decisions import forfeit

    def decide(loaded: Loaded, effect: datetime) -> Decision:
        return forfeit(
            loaded.histories,
            awards,
            at=effect,
            by=by,
            reason=reason,
            recorded=now(project.programme.zone),
            unlisted=loaded.unlisted,
        )

    record_and_apply(
        project,
        decide,
        at,
        purpose="forfeit",
        carried_out_by=tr("`gpuprov up` or `gpuprov expire`"),
        yes=yes,
        as_json=as_json,
        timeout=timeout,
    )
