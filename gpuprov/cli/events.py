"""What `forfeit` and `reduce` share: find the awards, write the events, apply them to these awards alone."""

from __future__ import annotations

import getpass
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import click

from gpuprov.cli.acting import report
from gpuprov.cli.common import confirm, progress, use_toolchain
from gpuprov.cli.output import print_plan
from gpuprov.errors import InputError, Problem
from gpuprov.guard import Confirmed
from gpuprov.ledger import Forfeited, History, Reduced, histories
from gpuprov.project import append_event
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
    known = {one.award.id: one for one in loaded.histories}
    missing = [award_id for award_id in award_ids if award_id not in known]
    if missing:
        files = ", ".join(path.name for path in loaded.project.awards)
        raise InputError(
            [
                Problem(file="AWARD", value=award_id, message=f"is in none of {files}", remedy="check the award id")
                for award_id in missing
            ]
        )
    return [known[award_id] for award_id in dict.fromkeys(award_ids)]


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
    print_plan(situation.plan, unread=situation.failed, err=True)
    check(situation, Confirmed())
    jobs = make_jobs(situation, timeout=timeout, only=ids)
    if events or any(not job.empty for job in jobs):
        confirm(f"Record this and apply it to {', '.join(sorted(ids))}?", yes=yes)
    for event in events:
        append_event(project.ledger, event)
        click.echo(f"recorded in {project.ledger.name}: {event.event} {event.award}", err=True)
    report(carry_out(jobs, progress), situation.failed, as_json=as_json)
