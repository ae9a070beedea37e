"""The story of every command that changes clusters: decide, show, guard, confirm, record, release, apply, prove.

A decision is bound to what it was made on. Whoever has waited, for a person or for a turn on a cluster, looks again:
where files, stacks or tenants are not any more what they were, everything is decided, guarded and asked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from gpuprov.core.guard import Confirmed
from gpuprov.core.ledger import Event
from gpuprov.core.plan import Change, Op
from gpuprov.errors import GpuprovError, Stale
from gpuprov.load.ledgerfile import append_events
from gpuprov.run.apply import carry_out, make_jobs, merged
from gpuprov.run.files import digests
from gpuprov.run.job import Job, Outcome
from gpuprov.run.loading import Loaded
from gpuprov.run.pipeline import PlanContext, Progress, check

MOST_ROUNDS = 6
"""How often a command decides anew before it gives up on a project where others are at work all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a command is about to do: the situation with its plan, the events to write first, and to which awards alone
    it applies (None: all). ``known`` is how many events the ledger had, ``notes`` are worth telling.
    """

    planned: PlanContext
    known: int
    notes: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    only: frozenset[str] | None = None


def ended(loaded: Loaded, planned: PlanContext) -> Intent:
    """Return what the end of terms asks for, and forfeitures: what is explained comes back, nothing is granted."""
    plan = planned.plan.where(lambda change: change.op is Op.RECLAIM and change.expected)
    remembered = {award_id for outputs in planned.outputs.values() for award_id in outputs.tenants}
    absent = {absence.award_id for absence in planned.desired.absences} & remembered
    going = {change.award_id for change in plan.changes}
    others = {change.award_id for change in planned.plan.changes} - going
    return Intent(
        planned=replace(planned, plan=plan),
        known=len(loaded.events),
        notes=tuple(f"warning: {line}" for line in loaded.warnings),
        only=frozenset((going | absent) - others),
    )


class Operator(Protocol):
    """Whoever gave the command: is shown plans, told what happens, and asked."""

    def show(self, planned: PlanContext, jobs: Sequence[Job]) -> None:
        """Show what would change, on the clusters and in Pulumi's state."""

    def tell(self, line: str) -> None:
        """Say what happens."""

    def confirm(self, intent: Intent, busy: Sequence[Job]) -> bool:
        """Ask whether to go on; return whether anybody was asked, who may have taken time. Ends the command on "no"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done on each provider, and which could not be reached or read."""

    outcomes: tuple[Outcome, ...]
    failed: Mapping[str, GpuprovError] = field(default_factory=dict)


def act(
    decide: Callable[[], Intent],
    operator: Operator,
    progress: Progress,
    *,
    confirmed: Confirmed,
    timeout: float,
    purpose: str,
) -> Report:
    """Carry out what ``decide`` decides; it is called again whenever the decision may not hold any more.

    Raises PlanRefused, InputError, Stale and whatever ``decide`` raises, as long as nothing was changed. What ends the
    command after that is the error of each cluster on which it left something undone: what was done is reported.
    """
    rounds: list[tuple[PlanContext, Mapping[str, Outcome]]] = []
    try:
        _act(rounds, decide, operator, progress, confirmed, timeout, purpose)
    except GpuprovError as error:
        if not any(outcome.did_something for _, outcomes in rounds for outcome in outcomes.values()):
            raise
        done = [
            one.model_copy(update={"error": f"not finished: {error}"}) if one.stale else one for one in _merged(rounds)
        ]
    else:
        done = _merged(rounds)
    planned, _ = rounds[-1]
    return Report(outcomes=tuple(done), failed={**planned.failed, **planned.unread})


def _merged(rounds: Sequence[tuple[PlanContext, Mapping[str, Outcome]]]) -> list[Outcome]:
    return merged([outcomes for _, outcomes in rounds])


def _act(  # noqa: PLR0917 (the parts of `act`)
    rounds: list[tuple[PlanContext, Mapping[str, Outcome]]],
    decide: Callable[[], Intent],
    operator: Operator,
    progress: Progress,
    confirmed: Confirmed,
    timeout: float,
    purpose: str,
) -> None:
    """Decide and carry out until a round was not overtaken; each is added to ``rounds`` when it is done."""
    intent, changed = decide(), True
    for note in intent.notes:
        operator.tell(note)
    for _ in range(MOST_ROUNDS):
        jobs = _jobs(intent, confirmed, timeout, purpose)
        if changed:
            operator.show(intent.planned, jobs)
        check(intent.planned, confirmed)
        busy = [job for job in jobs if not job.empty]
        if (intent.events or busy) and operator.confirm(intent, busy):
            intent, changed = _again(decide, intent, operator)
            if changed:
                continue
            check(intent.planned, confirmed)
            jobs = _jobs(intent, confirmed, timeout, purpose)
        try:
            jobs = _record(intent, jobs, operator)
        except Stale as stale:
            operator.tell(f"{stale}; deciding again")
            intent, changed = _again(decide, intent, operator)
            continue
        outcomes = carry_out(jobs, progress)
        rounds.append((intent.planned, outcomes))
        overtaken = [f"{name}: {outcome.stale}" for name, outcome in outcomes.items() if outcome.stale]
        if not overtaken:
            return
        for line in overtaken:
            operator.tell(f"{line} since this was decided; deciding again")
        intent, changed = _again(decide, intent, operator)
    raise Stale(f"decided {MOST_ROUNDS} times and overtaken each time; rerun the command when the others have ended")


def _jobs(intent: Intent, confirmed: Confirmed, timeout: float, purpose: str) -> list[Job]:
    return make_jobs(intent.planned, timeout=timeout, only=intent.only, accept=confirmed.clusters, purpose=purpose)


def _again(decide: Callable[[], Intent], before: Intent, operator: Operator) -> tuple[Intent, bool]:
    """Decide again, and tell whether anything else is to be done now."""
    intent = decide()
    return intent, _tell_differences(before, intent, operator)


def _record(intent: Intent, jobs: list[Job], operator: Operator) -> list[Job]:
    """Write the events, and let the jobs know the ledger as it is then. Raises Stale where it has grown meanwhile."""
    if not intent.events:
        return jobs
    ledger = intent.planned.project.ledger
    append_events(ledger, intent.events, intent.known)
    for event in intent.events:
        operator.tell(f"recorded in {ledger.name}: {event.event} {event.award}")
    written = digests([ledger])
    origin = intent.planned.origin_with(intent.events)
    return [job.model_copy(update={"files": job.files | written, "origin": origin}) for job in jobs]


def _tell_differences(before: Intent, now: Intent, operator: Operator) -> bool:
    """Tell what a second look found otherwise; False where what is to be done is the same."""
    old, new = _what(before.planned.plan.changes), _what(now.planned.plan.changes)
    lines = [f"no longer: {line}" for line in old if line not in new]
    lines += [f"now also: {line}" for line in new if line not in old]
    if not lines and not _same(before, now):
        lines.append("what the stacks remember is not any more what this was decided on")
    files = now.planned.files
    changed = [path for path, digest in before.planned.files.items() if files.get(path) != digest]
    if lines and changed:
        operator.tell(f"changed meanwhile: {', '.join(changed)}")
    turns = {seen.provider: seen.turn for seen in before.planned.observed}
    for seen in now.planned.observed if lines else ():
        if seen.turn != turns.get(seen.provider):
            operator.tell(f"{seen.provider}: {seen.actor} has acted meanwhile")
    for line in lines[:_MOST_LINES]:
        operator.tell(line)
    if len(lines) > _MOST_LINES:
        operator.tell(f"and {len(lines) - _MOST_LINES} more differences")
    return bool(lines)


_MOST_LINES = 20


def _what(changes: Collection[Change]) -> list[str]:
    return [
        f"{change.op} {change.award_id} at {change.provider}, {change.before} → {change.after} {change.model}"
        for change in changes
    ]


def _same(before: Intent, now: Intent) -> bool:
    """True where the same would be done. How often others acted, and what they wrote to the ledger, shows in that."""

    def bare(intent: Intent) -> list[dict[str, Any]]:
        jobs = make_jobs(intent.planned, timeout=1.0, only=intent.only)
        return [job.model_dump(exclude={"turn", "files", "origin", "over"}) for job in jobs]

    return bare(before) == bare(now) and [e.award for e in before.events] == [e.award for e in now.events]
