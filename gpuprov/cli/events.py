"""What `forfeit` and `reduce` share: find the awards, write the events, apply them to these awards alone."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from gpuprov.cli.acting import act
from gpuprov.cli.common import use_toolchain
from gpuprov.decisions import Decision
from gpuprov.guard import Confirmed
from gpuprov.ledger import histories
from gpuprov.project import open_project
from gpuprov.run.pipeline import Loaded, living, load, look
from gpuprov.run.story import Intent
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


def record_and_apply(
    root: Path,
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
    use_toolchain()

    def intent() -> Intent:
        loaded = load(open_project(root))
        decided = decide(loaded)
        return _intent(loaded, decided, at)

    act(intent, confirmed=Confirmed(), purpose=purpose, yes=yes, as_json=as_json, timeout=timeout)


def _intent(loaded: Loaded, decided: Decision, at: datetime) -> Intent:
    """Return what a decision on some awards means: on the clusters where the list has them, and where they live on."""
    ids = frozenset(decided.award_ids)
    after = histories([told.award for told in loaded.histories], [*loaded.events, *decided.events])
    desired = desired_state(after, loaded.project.clusters, at, loaded.unlisted)
    homes = {told.award.provider for told in after if told.award.id in ids}
    elsewhere, failed = living(loaded.project.clusters, homes, ids)
    whole = look(loaded, desired, homes | elsewhere)
    situation = replace(
        whole,
        plan=whole.plan.where(lambda change: change.award_id in ids),
        failed={**whole.failed, **failed},
    )
    return Intent(situation=situation, known=len(loaded.events), events=decided.events, only=ids)
