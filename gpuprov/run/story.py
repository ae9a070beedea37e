"""The story of every command that changes clusters: decide, show, guard, confirm, record, release, apply, prove.

A decision is bound to what it was made on. Whoever has waited, for a person or for a turn on a cluster, looks again:
where files, stacks or tenants are not any more what they were, everything is decided, guarded and asked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gpuprov.errors import GpuprovError, Stale
from gpuprov.guard import Confirmed
from gpuprov.ledger import Event
from gpuprov.ledgerfile import append_events
from gpuprov.plan import Change, Plan
from gpuprov.run.apply import carry_out, make_jobs, merged
from gpuprov.run.files import digests
from gpuprov.run.job import Job, Outcome
from gpuprov.run.pipeline import Progress, Situation, check

MOST_ROUNDS = 6
"""How often a command decides anew before it gives up on a project where others are at work all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a command is about to do: the situation with its plan, the events to write first, and to which awards alone
    it applies (None: all). ``known`` is how many events the ledger had.
    """

    situation: Situation
    known: int
    events: tuple[Event, ...] = ()
    only: frozenset[str] | None = None


class Operator(Protocol):
    """Whoever gave the command: is shown plans, told what happens, and asked."""

    def show(self, plan: Plan) -> None:
        """Show what would change."""

    def tell(self, line: str) -> None:
        """Say what happens."""

    def confirm(self, intent: Intent, busy: Sequence[Job]) -> bool:
        """Ask whether to go on; return whether anybody was asked and may have taken his time. Ends the command on no."""


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

    Raises PlanRefused, InputError and whatever ``decide`` raises; nothing more is changed then.
    """
    rounds: list[Mapping[str, Outcome]] = []
    decision, changed = decide(), True
    for _ in range(MOST_ROUNDS):
        if changed:
            operator.show(decision.situation.plan)
        check(decision.situation, confirmed)
        jobs = _jobs(decision, confirmed, timeout, purpose)
        busy = [job for job in jobs if not job.empty]
        if (decision.events or busy) and operator.confirm(decision, busy):
            before, decision = decision, decide()
            changed = _tell_differences(before, decision, operator)
            if changed:
                continue
            check(decision.situation, confirmed)
            jobs = _jobs(decision, confirmed, timeout, purpose)
        try:
            jobs = _record(decision, jobs, operator)
        except Stale as stale:
            operator.tell(f"{stale}; deciding again")
            decision, changed = decide(), True
            continue
        rounds.append(carry_out(jobs, progress))
        overtaken = {name: outcome.stale for name, outcome in rounds[-1].items() if outcome.stale}
        if not overtaken:
            break
        for name, what in overtaken.items():
            operator.tell(f"{name}: {what} since this was decided; deciding again")
        before, decision = decision, decide()
        changed = _tell_differences(before, decision, operator)
    else:
        raise Stale(f"decided {MOST_ROUNDS} times and overtaken each time; rerun the command when others have ended")
    return Report(outcomes=tuple(merged(rounds)), failed={**decision.situation.failed, **decision.situation.unread})


def _jobs(intent: Intent, confirmed: Confirmed, timeout: float, purpose: str) -> list[Job]:
    return make_jobs(
        decision.situation, timeout=timeout, only=decision.only, accept=confirmed.clusters, purpose=purpose
    )


def _record(intent: Intent, jobs: Sequence[Job], operator: Operator) -> Sequence[Job]:
    """Write the events, and let the jobs know the ledger as it is then. Raises Stale where it has grown meanwhile."""
    if not decision.events:
        return jobs
    ledger = decision.situation.project.ledger
    append_events(ledger, decision.events, decision.known)
    for event in decision.events:
        operator.tell(f"recorded in {ledger.name}: {event.event} {event.award}")
    written = digests([ledger])
    return [job.model_copy(update={"files": job.files | written}) for job in jobs]


def _tell_differences(before: Intent, now: Intent, operator: Operator) -> bool:
    """Tell what a second look found otherwise; False where what is to be done is the same."""
    old, new = _what(before.situation.plan.changes), _what(now.situation.plan.changes)
    lines = [f"no longer: {line}" for line in old if line not in new]
    lines += [f"now also: {line}" for line in new if line not in old]
    if not lines and not _same(before, now):
        lines.append("what the stacks remember is not any more what this was decided on")
    files = now.situation.files
    changed = [path for path, digest in before.situation.files.items() if files.get(path) != digest]
    if lines and changed:
        operator.tell(f"changed meanwhile: {', '.join(changed)}")
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
    """True where the same jobs would be done; how many turns there were does not count by itself."""

    def bare(intent: Intent) -> list[Job]:
        situation = replace(decision.situation, files={})
        jobs = make_jobs(situation, timeout=1.0, only=decision.only)
        return [job.model_copy(update={"turn": None, "over": {}}) for job in jobs]

    return bare(before) == bare(now) and [e.award for e in before.events] == [e.award for e in now.events]
