"""`gpuprov forfeit`: an awardee gives up; record it, then reclaim the GPUs and prove that they are free."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli import completion
from gpuprov.cli.common import event_options
from gpuprov.cli.events import by_option, reason_option

if TYPE_CHECKING:
    from gpuprov.load.project import Project


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
    from gpuprov.cli.changing import forfeit

    forfeit(project, awards, at, by=by, reason=reason, yes=yes, as_json=as_json, timeout=timeout)
