"""What each command is about to do: load, decide, observe and plan. The commands differ in nothing else.

An intent is computed again whenever it may be out of date, so each of these functions reads everything afresh and
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gpuprov.core.decisions import Decision
from gpuprov.core.ledger import Event, histories, unlisted
from gpuprov.core.plan import Op
from gpuprov.core.tenant import desired_state
from gpuprov.i18n import tr
from gpuprov.load.ledgerfile import append_events, event_word
from gpuprov.load.project import Project
from gpuprov.run import audit
from gpuprov.run.loading import Loaded
from gpuprov.run.pipeline import PlanContext, living, observe_and_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a command is about to do: a plan, and the events to write first.

    ``only`` are the awards that it applies to; None means all. ``known`` is how many events the ledger had, ``notes``
    are lines for the operator.
    """

    planned: PlanContext
    known: int
    notes: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    only: frozenset[str] | None = None


def bring_to_list(loaded: Loaded, at: datetime, providers: Collection[str]) -> Intent:
    """Return the intent of `up`: what the list and the ledger ask for.

    Raises PlanRefused if a pool's capacity is exceeded at that time or later.
    """
    planned = observe_and_plan(loaded, loaded.desired(at), providers)
    return Intent(planned=planned, known=len(loaded.events), notes=_warnings(loaded))


def end_terms(loaded: Loaded, at: datetime, providers: Collection[str]) -> Intent:
    """Return the intent of `expire`: tenants whose teardown the list or the ledger explains are reclaimed, nothing is
    granted. An exceeded pool does not hold this up.
    """
    return ending(loaded, observe_and_plan(loaded, loaded.wanted(at), providers))


def ending(loaded: Loaded, full: PlanContext) -> Intent:
    """Return the same of a plan that was made already."""
    plan = full.plan.where(lambda change: change.op is Op.RECLAIM and change.expected)
    recorded = {award_id for outputs in full.outputs.values() for award_id in outputs.tenants}
    absent = {absence.award_id for absence in full.desired.absences} & recorded
    ending = {change.award_id for change in plan.changes}
    others = {change.award_id for change in full.plan.changes} - ending
    return Intent(
        planned=replace(full, plan=plan),
        known=len(loaded.events),
        notes=_warnings(loaded, *full.warnings),
        only=frozenset((ending | absent) - others),
    )


def record_and_apply(loaded: Loaded, decision: Decision, at: datetime) -> Intent:
    """Return the intent of `forfeit` and `reduce`: a decision's effect on its own awards only, on the clusters where
    the list has them and where they still exist. The events are recorded even if a cluster cannot be reached.
    """
    award_ids = frozenset(decision.award_ids)
    events = [*loaded.events, *decision.events]
    zone = loaded.project.programme.zone
    after = histories([history.award for history in loaded.histories], events, zone)
    gone = unlisted({history.award.id for history in after}, events, zone)
    desired = desired_state(after, loaded.project.clusters, at, gone)
    homes = {history.award.provider for history in after if history.award.id in award_ids}
    elsewhere, failed = living(loaded.project.clusters, homes, award_ids)
    full = observe_and_plan(loaded, desired, homes | elsewhere)
    planned = replace(
        full,
        plan=full.plan.where(lambda change: change.award_id in award_ids),
        failed={**full.failed, **failed},
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
    """Write events that take effect in the future; no cluster is read or changed.

    ``confirm`` ends the command on "no". Raises Stale if the ledger has grown since, and InputError.
    """
    for note in (*_warnings(loaded), *decision.notes):
        tell(note)
    if decision.events:
        confirm(decision.events)
        record(loaded.project, decision.events, len(loaded.events), tell)


def record(project: Project, events: Sequence[Event], known: int, tell: Callable[[str], None]) -> None:
    """Write events to the ledger; tell the operator of each, and log it.

    ``known`` is how many events the ledger had. Raises Stale if it has grown since, and InputError.
    """
    append_events(project.ledger, events, known)
    for event in events:
        recorded = {"file": project.ledger.name, "event": event_word(event), "award": event.award}
        tell(tr("recorded in {file}: {event} {award}", **recorded))
        audit.recorded(event)


def _warnings(loaded: Loaded, *others: str) -> tuple[str, ...]:
    return tuple(tr("warning: {warning}", warning=warning) for warning in (*loaded.warnings, *others))
