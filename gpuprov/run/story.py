"""The story of every command that changes clusters: load, decide, observe, plan (`intents`), show, guard, confirm, look
again, record, then on each cluster release, apply, prove (`worker`), and report.

A decision is bound to what it was made on. Whoever has waited, for a person or for a turn on a cluster, looks again:
where files, stacks or tenants are not any more what they were, everything is decided, guarded and asked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gpuprov.core.guard import Confirmed
from gpuprov.core.plan import Change
from gpuprov.errors import GpuprovError, PlanRefused, Stale
from gpuprov.load.ledgerfile import append_events
from gpuprov.run import audit
from gpuprov.run.apply import carry_out, make_jobs, merged
from gpuprov.run.files import digests
from gpuprov.run.intents import Intent, recorded
from gpuprov.run.job import Job, Outcome
from gpuprov.run.pipeline import PlanContext, Progress, check

MOST_ROUNDS = 6
"""How often a command decides anew before it gives up on a project where others are at work all the time."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One decision that was carried out, as far as nobody had overtaken it."""

    planned: PlanContext
    outcomes: Mapping[str, Outcome]


@dataclass(kw_only=True)
class Story:
    """One command. ``decide`` says what it is about to do, and is called again whenever that may not hold any more.

    ``timeout`` in seconds bounds the waiting for pods and for a turn; ``purpose`` tells others what we are doing.
    """

    decide: Callable[[], Intent]
    operator: Operator
    progress: Progress
    confirmed: Confirmed
    timeout: float
    purpose: str
    _rounds: list[_Round] = field(default_factory=list, init=False)

    def run(self) -> Report:
        """Carry out what is decided.

        Raises PlanRefused, InputError, Stale and whatever ``decide`` raises, as long as nothing was changed. What ends
        the command after that is the error of each cluster on which it left something undone: what was done is
        reported.
        """
        try:
            self._run_rounds()
        except GpuprovError as error:
            if not any(outcome.did_something for one in self._rounds for outcome in one.outcomes.values()):
                raise
            unfinished = {"error": f"not finished: {error}"}
            outcomes = [
                outcome.model_copy(update=unfinished) if outcome.stale else outcome for outcome in self._outcomes()
            ]
        else:
            outcomes = self._outcomes()
        last = self._rounds[-1].planned
        return Report(outcomes=tuple(outcomes), failed={**last.failed, **last.unread})

    def _outcomes(self) -> list[Outcome]:
        return merged([one.outcomes for one in self._rounds])

    def _run_rounds(self) -> None:
        """Decide and carry out until a round was not overtaken."""
        intent, changed = self.decide(), True
        for note in intent.notes:
            self.operator.tell(note)
        for _ in range(MOST_ROUNDS):
            if changed:
                self.operator.show(intent.planned, self._jobs(intent))
            self._guard(intent)
            if self._asked(intent):
                intent, changed = self._decide_again(intent)
                if changed:
                    continue
                self._guard(intent)
            overtaken = self._record_and_carry_out(intent)
            if not overtaken:
                return
            for line in overtaken:
                self.operator.tell(f"{line}; deciding again")
            intent, changed = self._decide_again(intent)
        raise Stale(
            f"decided {MOST_ROUNDS} times and overtaken each time; rerun the command when the others have ended"
        )

    def _guard(self, intent: Intent) -> None:
        """Let the guard look at the plan. Raises PlanRefused; nothing was changed then."""
        try:
            check(intent.planned, self.confirmed)
        except PlanRefused as refused:
            audit.refused(self.purpose, refused)
            raise

    def _jobs(self, intent: Intent) -> list[Job]:
        return make_jobs(
            intent.planned,
            timeout=self.timeout,
            only=intent.only,
            accept=self.confirmed.clusters,
            purpose=self.purpose,
        )

    def _asked(self, intent: Intent) -> bool:
        """Ask where there is anything to do; return whether anybody was asked."""
        busy = [job for job in self._jobs(intent) if not job.empty]
        return bool(intent.events or busy) and self.operator.confirm(intent, busy)

    def _decide_again(self, before: Intent) -> tuple[Intent, bool]:
        """Decide again, and tell whether anything else is to be done now."""
        intent = self.decide()
        return intent, _tell_differences(before, intent, self.operator)

    def _record_and_carry_out(self, intent: Intent) -> list[str]:
        """Write the events, then let each cluster's process do its job; return who or what has overtaken the decision.

        Nothing is recorded, nor done, where the ledger has grown meanwhile.
        """
        try:
            jobs = self._record(intent)
        except Stale as stale:
            return [str(stale)]
        audit.decided(self.purpose, intent)
        outcomes = carry_out(jobs, self.progress)
        for outcome in outcomes.values():
            audit.done(outcome)
        self._rounds.append(_Round(planned=intent.planned, outcomes=outcomes))
        return [
            f"{provider}: {outcome.stale} since this was decided"
            for provider, outcome in outcomes.items()
            if outcome.stale
        ]

    def _record(self, intent: Intent) -> list[Job]:
        """Write the events, and let the jobs know the ledger as it is then. Raises Stale where it has grown."""
        jobs = self._jobs(intent)
        if not intent.events:
            return jobs
        project = intent.planned.project
        append_events(project.ledger, intent.events, intent.known)
        for event in intent.events:
            self.operator.tell(recorded(project, event))
            audit.recorded(event)
        written = digests([project.ledger])
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
