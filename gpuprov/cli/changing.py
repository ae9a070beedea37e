"""The work of the commands that change clusters: `up`, `expire`, `forfeit` and `reduce`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from gpuprov.cli.acting import act
from gpuprov.cli.asking import confirm
from gpuprov.cli.common import event_instants, use_toolchain
from gpuprov.cli.errors import print_json
from gpuprov.cli.screen import say
from gpuprov.core import decisions
from gpuprov.core.decisions import Decision
from gpuprov.core.guard import Confirmed
from gpuprov.core.ledger import Event
from gpuprov.i18n import tr
from gpuprov.load.project import Project
from gpuprov.run import intents
from gpuprov.run.clock import now
from gpuprov.run.intents import Intent
from gpuprov.run.loading import Loaded, load, loader
from gpuprov.run.pipeline import select

Decide = Callable[[Loaded, datetime], Decision]
"""Returns the events that a command records, given the time when they take effect."""


def bring_to_list(
    project: Project,
    at: datetime | None,
    providers: Sequence[str],
    *,
    teardown: int,
    change: int,
    ledger: bool,
    replaced: Sequence[str],
    yes: bool,
    as_json: bool,
    timeout: float,
) -> None:
    """Do what `up` does. ``teardown``, ``change``, ``ledger`` and ``replaced`` are what the operator confirms.

    Raises PlanRefused, InputError, Stale and ToolchainError.
    """
    use_toolchain()
    clusters = frozenset(select(project.clusters, replaced)) if replaced else frozenset()
    chosen = select(project.clusters, providers)
    fresh = loader(project)

    def intent() -> Intent:
        return intents.bring_to_list(fresh(), at or now(project.programme.zone), chosen)

    confirmed = Confirmed(teardown=teardown, change=change, clusters=clusters, ledger=ledger)
    act(intent, confirmed=confirmed, purpose="up", yes=yes, as_json=as_json, timeout=timeout)


def end_terms(
    project: Project, at: datetime | None, providers: Sequence[str], *, yes: bool, as_json: bool, timeout: float
) -> None:
    """Do what `expire` does. Raises PlanRefused, InputError, Stale and ToolchainError."""
    use_toolchain()
    chosen = select(project.clusters, providers)
    fresh = loader(project)

    def intent() -> Intent:
        return intents.end_terms(fresh(), at or now(project.programme.zone), chosen)

    act(intent, confirmed=Confirmed(), purpose="expire", yes=yes, as_json=as_json, timeout=timeout)


def forfeit(
    project: Project,
    awards: Sequence[str],
    at: datetime | None,
    *,
    by: str,
    reason: str,
    yes: bool,
    as_json: bool,
    timeout: float,
) -> None:
    """Record that awards are forfeited, and reclaim their GPUs. Raises as `bring_to_list` does."""

    def decide(loaded: Loaded, effect: datetime) -> Decision:
        return decisions.forfeit(
            loaded.histories,
            awards,
            at=effect,
            by=by,
            reason=reason,
            recorded=now(project.programme.zone),
            unlisted=loaded.unlisted,
        )

    later = tr("`gpuprov up` or `gpuprov expire`")
    _record_and_apply(project, decide, at, "forfeit", later, yes=yes, as_json=as_json, timeout=timeout)


def reduce(
    project: Project,
    award: str,
    gpus: int,
    at: datetime | None,
    *,
    by: str,
    reason: str,
    yes: bool,
    as_json: bool,
    timeout: float,
) -> None:
    """Record that an award keeps fewer GPUs, and lower its quota. Raises as `bring_to_list` does."""

    def decide(loaded: Loaded, effect: datetime) -> Decision:
        recorded = now(project.programme.zone)
        return decisions.reduce(loaded.histories, award, gpus, at=effect, by=by, reason=reason, recorded=recorded)

    _record_and_apply(project, decide, at, "reduce", "`gpuprov up`", yes=yes, as_json=as_json, timeout=timeout)


def _record_and_apply(
    project: Project,
    decide: Decide,
    at: datetime | None,
    purpose: str,
    carried_out_by: str,
    *,
    yes: bool,
    as_json: bool,
    timeout: float,
) -> None:
    """Guard and ask, write the events, then apply them to these awards only.

    If ``at`` is in the future, the events are only written; ``carried_out_by`` names the commands that carry them out
    later.
    """
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
