"""What `forfeit` and `reduce` share: find the awards, write the events, apply them to these awards alone."""

from __future__ import annotations

import getpass
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import click

from gpuprov.cli.acting import report
from gpuprov.cli.common import confirm, print_json, progress, use_toolchain
from gpuprov.cli.output import print_plan
from gpuprov.decisions import Decision, find
from gpuprov.guard import Confirmed
from gpuprov.ledger import Forfeited, History, Reduced, histories
from gpuprov.ledgerfile import append_events
from gpuprov.run.apply import carry_out, make_jobs
from gpuprov.run.pipeline import Loaded, Situation, check, look
from gpuprov.tenant import desired_state


def _not_empty(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("must not be empty", ctx, param)
    return value


reason_option = click.option(
    "--reason", required=True, callback=_not_empty, help="Why, in words that an auditor understands."
)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "unknown"


by_option = click.option("--by", default=_user, callback=_not_empty, show_default="your user name", help="Who decided.")


def find_awards(loaded: Loaded, award_ids: Collection[str]) -> list[History]:
    """Return the awards named, once each. Raises InputError with every one that no list has."""
    return list(find(loaded.histories, award_ids))


def record_for_later(
    loaded: Loaded, decision: Decision, effect: datetime, carried_out_by: str, *, yes: bool, as_json: bool
) -> None:
    """Ask, and write events whose time is still to come; no cluster is read or changed. Raises Stale, InputError.

    ``carried_out_by`` names the commands that do once the time has come.
    """
    if decision.events:
        names = ", ".join(sorted(event.award for event in decision.events))
        confirm(f"Record this for {names} from {effect.isoformat()} on?", yes=yes)
        append_events(loaded.project.ledger, decision.events, known=len(loaded.events))
    for event in decision.events:
        click.echo(f"recorded in {loaded.project.ledger.name}: {event.event} {event.award}", err=True)
    then = f"{carried_out_by} carries it out from then on" if decision.events else "there was nothing to record"
    click.echo(f"{effect.isoformat()} is still to come: no cluster was changed; {then}", err=True)
    if as_json:
        print_json({"providers": [], "failed": {}})


def record_and_apply(
    loaded: Loaded,
    found: Sequence[History],
    events: Sequence[Forfeited | Reduced],
    at: datetime,
    *,
    yes: bool,
    as_json: bool,
    timeout: float,
) -> None:
    """Guard and ask, write the events, then apply what they mean for these awards. Raises PlanRefused, InputError.

    The decision counts even where a cluster cannot be reached: the event is written all the same.
    """
    use_toolchain()
    project = loaded.project
    ids = {one.award.id for one in found}
    after = histories([one.award for one in loaded.histories], [*loaded.events, *events])
    desired = desired_state(after, project.clusters, at)
    whole = look(project, desired, {one.award.provider for one in found})
    situation: Situation = replace(whole, plan=whole.plan.where(lambda change: change.award_id in ids))
    print_plan(situation.plan, err=True)
    check(situation, Confirmed())
    jobs = make_jobs(situation, timeout=timeout, only=ids)
    if events or any(not job.empty for job in jobs):
        confirm(f"Record this and apply it to {', '.join(sorted(ids))}?", yes=yes)
    append_events(project.ledger, events, known=len(loaded.events))
    for event in events:
        click.echo(f"recorded in {project.ledger.name}: {event.event} {event.award}", err=True)
    report(carry_out(jobs, progress), situation.failed, as_json=as_json)
