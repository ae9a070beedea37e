"""What `forfeit` and `reduce` share: find the awards, write the events, apply them to these awards only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

import click

from gpuprov.cli.asking import confirm
from gpuprov.cli.common import event_instants, use_toolchain
from gpuprov.cli.errors import print_json
from gpuprov.cli.screen import say
from gpuprov.i18n import shown, tr

if TYPE_CHECKING:
    from gpuprov.core.decisions import Decision
    from gpuprov.core.ledger import Event
    from gpuprov.load.project import Project
    from gpuprov.run.intents import Intent
    from gpuprov.run.loading import Loaded


def _not_empty(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter(shown(tr("must not be empty")), ctx, param)
    return value


reason_option = click.option(
    "--reason", required=True, callback=_not_empty, help="The reason, in words that an auditor understands."
)


def _user() -> str:
    from gpuprov.kube import holders

    return holders.user()


by_option = click.option("--by", default=_user, callback=_not_empty, show_default="your user name", help="Who decided.")


Decide: TypeAlias = "Callable[[Loaded, datetime], Decision]"
"""Returns the events that a command records, given the time when they take effect."""


def record_and_apply(
    project: Project,
    decide: Decide,
    at: datetime | None,
    *,
    purpose: str,
    carried_out_by: str,
    yes: bool,
    as_json: bool,
    timeout: float,
) -> None:
    """Guard and ask, write the events, then apply them to these awards only.

    If ``at`` is in the future, the events are only written; ``carried_out_by`` names the commands that carry them out
    later. Raises PlanRefused, InputError and Stale.
    """
    from gpuprov.cli.acting import act
    from gpuprov.core.guard import Confirmed
    from gpuprov.run import intents
    from gpuprov.run.loading import loader

    effect, present = event_instants(at, project.programme.zone)
    if effect > present:
        _record_for_later(project, decide, effect, carried_out_by, yes=yes)
        if as_json:
            print_json({"providers": [], "failed": {}})
        return
    fresh = loader(project)

    def intent() -> Intent:
        loaded = fresh()
        decision = decide(loaded, effect)
        use_toolchain()
        return intents.record_and_apply(loaded, decision, present)

    act(intent, confirmed=Confirmed(), purpose=purpose, yes=yes, as_json=as_json, timeout=timeout)


def _record_for_later(project: Project, decide: Decide, effect: datetime, carried_out_by: str, *, yes: bool) -> None:
    from gpuprov.run import intents
    from gpuprov.run.loading import load

    def ask(events: Sequence[Event]) -> None:
        names = ", ".join(sorted(event.award for event in events))
        confirm(tr("Record this for {awards} from {at} on?", awards=names, at=effect.isoformat()), yes=yes)

    loaded = load(project)
    decision = decide(loaded, effect)
    intents.record_for_later(loaded, decision, lambda line: say(line, err=True), ask)
    then = (
        tr("{commands} carries it out from then on", commands=carried_out_by)
        if decision.events
        else tr("there was nothing to record")
    )
    at = effect.isoformat()
    say(tr("{at} is in the future: no cluster was changed; {then}", at=at, then=then), err=True)
