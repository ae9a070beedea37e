"""What `forfeit` and `reduce` share: find the awards, write the events, apply them to these awards alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import click

from gpuprov.cli.acting import act
from gpuprov.cli.common import confirm, print_json, use_toolchain
from gpuprov.core.decisions import Decision
from gpuprov.core.guard import Confirmed
from gpuprov.core.ledger import histories, unlisted
from gpuprov.core.tenant import desired_state
from gpuprov.kube import holders
from gpuprov.load.ledgerfile import append_events
from gpuprov.load.project import Project
from gpuprov.run.loading import Loaded, load, loader
from gpuprov.run.pipeline import living, observe_and_plan
from gpuprov.run.story import Intent


def _not_empty(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("must not be empty", ctx, param)
    return value


reason_option = click.option(
    "--reason", required=True, callback=_not_empty, help="Why, in words that an auditor understands."
)


by_option = click.option(
    "--by", default=holders.user, callback=_not_empty, show_default="your user name", help="Who decided."
)


def record_for_later(
    project: Project,
    decide: Callable[[Loaded], Decision],
    effect: datetime,
    carried_out_by: str,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Ask, and write events whose time is still to come; no cluster is read or changed. Raises Stale, InputError.

    ``carried_out_by`` names the commands that do once the time has come.
    """
    loaded = load(project)
    decision = decide(loaded)
    for line in (*_warnings(loaded), *decision.notes):
        click.echo(line, err=True)
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


def _warnings(loaded: Loaded) -> tuple[str, ...]:
    return tuple(f"warning: {line}" for line in loaded.warnings)


def record_and_apply(
    project: Project,
    decide: Callable[[Loaded], Decision],
    at: datetime,
    *,
    purpose: str,
    yes: bool,
    as_json: bool,
    timeout: float,
) -> None:
    """Guard and ask, write the events, then apply what they mean at ``at`` for these awards alone.

    The decision counts even where a cluster cannot be reached: the event is written all the same. Raises PlanRefused,
    InputError and Stale.
    """
    fresh = loader(project)

    def intent() -> Intent:
        loaded = fresh()
        decided = decide(loaded)
        use_toolchain()
        return _intent(loaded, decided, at)

    act(intent, confirmed=Confirmed(), purpose=purpose, yes=yes, as_json=as_json, timeout=timeout)


def _intent(loaded: Loaded, decided: Decision, at: datetime) -> Intent:
    """Return what a decision on some awards means: on the clusters where the list has them, and where they live on."""
    ids = frozenset(decided.award_ids)
    events = [*loaded.events, *decided.events]
    zone = loaded.project.programme.zone
    after = histories([told.award for told in loaded.histories], events, zone)
    gone = unlisted({told.award.id for told in after}, events, zone)
    desired = desired_state(after, loaded.project.clusters, at, gone)
    homes = {told.award.provider for told in after if told.award.id in ids}
    elsewhere, failed = living(loaded.project.clusters, homes, ids)
    whole = observe_and_plan(loaded, desired, homes | elsewhere)
    planned = replace(
        whole,
        plan=whole.plan.where(lambda change: change.award_id in ids),
        failed={**whole.failed, **failed},
    )
    return Intent(
        planned=planned,
        known=len(loaded.events),
        notes=(*_warnings(loaded), *decided.notes),
        events=decided.events,
        only=ids,
    )
