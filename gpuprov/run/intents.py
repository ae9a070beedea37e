"""What each command is about to do: load, decide, observe and plan. In this alone the commands differ.

An intent is made again whenever it may not hold any more, so each of these functions reads everything anew and changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gpuprov.core.decisions import Decision
from gpuprov.core.ledger import Event, histories, unlisted
from gpuprov.core.plan import Op
from gpuprov.core.tenant import desired_state
from gpuprov.load.ledgerfile import append_events
from gpuprov.load.project import Project
from gpuprov.run.loading import Loaded
from gpuprov.run.pipeline import PlanContext, living, observe_and_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a command is about to do: the plan with its context, the events to write first, and to which awards alone
    it applies (None: all). ``known`` is how many events the ledger had, ``notes`` are worth telling.
    """

    planned: PlanContext
    known: int
    notes: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    only: frozenset[str] | None = None


def bring_to_list(loaded: Loaded, at: datetime, providers: Collection[str]) -> Intent:
    """Return what the list and the ledger ask for (`up`). Raises PlanRefused where a pool is exceeded then or later."""
    planned = observe_and_plan(loaded, loaded.desired(at), providers)
    return Intent(planned=planned, known=len(loaded.events), notes=_warnings(loaded))


def end_terms(loaded: Loaded, at: datetime, providers: Collection[str]) -> Intent:
    """Return what the end of terms, and forfeitures, ask for (`expire`): what is explained comes back, nothing is
    granted. A pool that is exceeded does not hold that up.
    """
    desired = desired_state(loaded.histories, loaded.project.clusters, at, loaded.unlisted)
    whole = observe_and_plan(loaded, desired, providers)
    plan = whole.plan.where(lambda change: change.op is Op.RECLAIM and change.expected)
    recorded = {award_id for outputs in whole.outputs.values() for award_id in outputs.tenants}
    absent = {absence.award_id for absence in desired.absences} & recorded
    ending = {change.award_id for change in plan.changes}
    others = {change.award_id for change in whole.plan.changes} - ending
    return Intent(
        planned=replace(whole, plan=plan),
        known=len(loaded.events),
        notes=_warnings(loaded),
        only=frozenset((ending | absent) - others),
    )


def record_and_apply(loaded: Loaded, decision: Decision, at: datetime) -> Intent:
    """Return what a decision on some awards means (`forfeit`, `reduce`): for these alone, on the clusters where the
    list has them and where they live on. The events are recorded even where a cluster cannot be reached.
    """
    award_ids = frozenset(decision.award_ids)
    events = [*loaded.events, *decision.events]
    zone = loaded.project.programme.zone
    after = histories([history.award for history in loaded.histories], events, zone)
    gone = unlisted({history.award.id for history in after}, events, zone)
    desired = desired_state(after, loaded.project.clusters, at, gone)
    homes = {history.award.provider for history in after if history.award.id in award_ids}
    elsewhere, failed = living(loaded.project.clusters, homes, award_ids)
    whole = observe_and_plan(loaded, desired, homes | elsewhere)
    planned = replace(
        whole,
        plan=whole.plan.where(lambda change: change.award_id in award_ids),
        failed={**whole.failed, **failed},
    )
    return Intent(
        planned=planned,
        known=len(loaded.events),
        notes=(*_warnings(loaded), *decision.notes),
        events=decision.events,
        only=award_ids,
    )


def record_for_later(
    loaded: Loaded, decision: Decision, tell: Callable[[str], None], confirm: Callable[[Sequence[Event]], None]
) -> None:
    """Write events whose time is still to come; no cluster is read or changed.

    ``confirm`` ends the command on "no". Raises Stale where the ledger has grown since, and InputError.
    """
    for note in (*_warnings(loaded), *decision.notes):
        tell(note)
    if decision.events:
        confirm(decision.events)
        append_events(loaded.project.ledger, decision.events, known=len(loaded.events))
    for event in decision.events:
        tell(recorded(loaded.project, event))


def recorded(project: Project, event: Event) -> str:
    """Return the line that says that an event was written."""
    return f"recorded in {project.ledger.name}: {event.event} {event.award}"


def _warnings(loaded: Loaded) -> tuple[str, ...]:
    return tuple(f"warning: {line}" for line in loaded.warnings)
