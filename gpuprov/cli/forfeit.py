"""`gpuprov forfeit`: an awardee gives up; record it, then take the GPUs back and prove it."""

from __future__ import annotations

from datetime import datetime

import click

from gpuprov.cli.common import acting_options
from gpuprov.cli.events import by_option, find_awards, reason_option, record_and_apply
from gpuprov.ledger import Forfeited
from gpuprov.project import Project
from gpuprov.run.clock import now
from gpuprov.run.pipeline import load


@click.command("forfeit")
@acting_options
@click.argument("awards", metavar="AWARD...", nargs=-1, required=True)
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

    The event is written to the ledger first: where a cluster fails, the same command, or `gpuprov expire`, finishes
    the teardown. An award that is forfeited already gets no second event.
    """
    loaded = load(project)
    found = find_awards(loaded, awards)
    moment = at or now()
    events = [
        Forfeited(award=one.award.id, at=moment, by=by, reason=reason, recorded=now())
        for one in found
        if one.forfeited is None or one.forfeited.at > moment
    ]
    for one in found:
        if one.forfeited is not None and one.forfeited.at <= moment:
            click.echo(f"{one.award.id} was forfeited at {one.forfeited.at.isoformat()} already", err=True)
    record_and_apply(loaded, found, events, moment, yes=yes, as_json=as_json, timeout=timeout)
