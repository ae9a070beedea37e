"""The steps of every command that changes clusters: load, decide, observe, plan (`intents`), show, guard, confirm, look
again, record, then on each cluster release, apply, prove (`worker`), and report.

A decision only holds for the input that it is based on. After every wait, for a person or for a turn on a cluster, the
input is read again: if files, stacks or tenants have changed, everything is decided, guarded and confirmed again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gpuprov.core.guard import Confirmed
from gpuprov.core.plan import Change
from gpuprov.errors import GpuprovError, PlanRefused, Stale
from gpuprov.i18n import tr
from gpuprov.run import audit
from gpuprov.run.apply import carry_out, make_jobs, merged
from gpuprov.run.files import digests
from gpuprov.run.intents import Intent, record
from gpuprov.run.job import Job, Outcome
from gpuprov.run.pipeline import PlanContext, Progress, check

MOST_ROUNDS = 6
"""How often a command decides before it gives up on a project where others act all the time."""


class Operator(Protocol):
    """The person who gave the command: sees plans and progress, and confirms."""

    def show(self, planned: PlanContext, jobs: Sequence[Job]) -> None:
        """Show what would change, on the clusters and in Pulumi's state."""

    def tell(self, line: str) -> None:
        """Print a line of progress."""

    def confirm(self, intent: Intent, busy: Sequence[Job]) -> bool:
        """Ask whether to go on; return True if a person was asked, and so time has passed. Ends the command on "no"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done on each provider, and which providers could not be reached or read."""

    outcomes: tuple[Outcome, ...]
    failed: Mapping[str, GpuprovError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One decision that was carried out, up to the point where others overtook it, if any did."""

    planned: PlanContext
    outcomes: Mapping[str, Outcome]


@dataclass(kw_only=True)
class Story:
    """One command. ``decide`` returns its intent, and is called again whenever the last one may be out of date.

    ``timeout`` is how many seconds to wait for pods and for a turn; ``purpose`` tells other users what the command is.
    """

    decide: Callable[[], Intent]
    operator: Operator
    progress: Progress
    confirmed: Confirmed
    timeout: float
    purpose: str
    _rounds: list[_Round] = field(default_factory=list, init=False)

    def run(self) -> Report:
        """Decide, carry it out and return the report.

        Raises PlanRefused, InputError, Stale and whatever ``decide`` raises, if nothing was changed. Later errors are
        reported as errors of each cluster on which something was left undone, beside what was done.
        """
        try:
            self._run_rounds()
        except GpuprovError as error:
            if not any(outcome.did_something for completed in self._rounds for outcome in completed.outcomes.values()):
                raise
            unfinished = {"error": tr("not finished: {error}", error=error.message_text)}
            outcomes = [
                outcome.model_copy(update=unfinished) if outcome.stale else outcome for outcome in self._outcomes()
            ]
        else:
            outcomes = self._outcomes()
        last = self._rounds[-1].planned
        return Report(outcomes=tuple(outcomes), failed={**last.failed, **last.unread})

    @property
    def recorded(self) -> bool:
        """True once a decision was recorded, and carried out as far as nobody had overtaken it."""
        return bool(self._rounds)

    def _outcomes(self) -> list[Outcome]:
        return merged([completed.outcomes for completed in self._rounds])

    def _run_rounds(self) -> None:
        """Decide and carry out, until no round is overtaken by others."""
        intent, changed = self.decide(), True
        for note in intent.notes:
            self.operator.tell(note)
        for _ in range(MOST_ROUNDS):
            jobs = self._jobs(intent)
            if changed:
                self.operator.show(intent.planned, jobs)
            self._guard(intent)
            if self._asked(intent, jobs):
                intent, changed = self._decide_again(intent)
                if changed:
                    continue
                self._guard(intent)
                jobs = self._jobs(intent)
            overtaken = self._record_and_carry_out(intent, jobs)
            if not overtaken:
                return
            for line in overtaken:
                self.operator.tell(tr("{what}; deciding again", what=line))
            intent, changed = self._decide_again(intent)
        raise Stale(
            tr(
                "decided {number} times and overtaken each time; rerun the command when the others have ended",
                number=MOST_ROUNDS,
            )
        )

    def _guard(self, intent: Intent) -> None:
        """Check the plan with the guard, and log a refusal. Raises PlanRefused, before anything is changed."""
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

    def _asked(self, intent: Intent, jobs: Sequence[Job]) -> bool:
        """Ask if there is anything to do; return whether a person was asked."""
        busy = [job for job in jobs if not job.empty]
        return bool(intent.events or busy) and self.operator.confirm(intent, busy)

    def _decide_again(self, before: Intent) -> tuple[Intent, bool]:
        """Decide again; return the new intent, and whether it differs."""
        intent = self.decide()
        return intent, _tell_differences(before, intent, self.operator)

    def _record_and_carry_out(self, intent: Intent, jobs: list[Job]) -> list[str]:
        """Write the events, then run each cluster's job; return who or what has overtaken the decision.

        If the ledger has grown meanwhile, nothing is recorded or done.
        """
        try:
            jobs = self._record(intent, jobs)
        except Stale as stale:
            return [stale.message_text]
        audit.decided(self.purpose, intent.planned, intent.only)
        outcomes = carry_out(jobs, self.progress)
        for outcome in outcomes.values():
            audit.done(outcome)
        self._rounds.append(_Round(planned=intent.planned, outcomes=outcomes))
        return [
            tr("{provider}: {what} since this was decided", provider=provider, what=outcome.stale)
            for provider, outcome in outcomes.items()
            if outcome.stale
        ]

    def _record(self, intent: Intent, jobs: list[Job]) -> list[Job]:
        """Write the events, and return jobs that expect the ledger with them. Raises Stale if it has grown."""
        if not intent.events:
            return jobs
        project = intent.planned.project
        record(project, intent.events, intent.known, self.operator.tell)
        written = digests([project.ledger])
        origin = intent.planned.origin_with(intent.events)
        return [job.model_copy(update={"files": job.files | written, "origin": origin}) for job in jobs]


def _tell_differences(before: Intent, now: Intent, operator: Operator) -> bool:
    """Tell the operator what differs from the first decision; return False if nothing does."""
    old, new = _what(before.planned.plan.changes), _what(now.planned.plan.changes)
    lines: list[str] = [tr("no longer: {change}", change=change) for change in old if change not in new]
    lines += [tr("now also: {change}", change=change) for change in new if change not in old]
    if not lines and not _same(before, now):
        lines.append(tr("the stacks' outputs have changed since this was decided"))
    files = now.planned.files
    changed = [path for path, digest in before.planned.files.items() if files.get(path) != digest]
    if lines and changed:
        operator.tell(tr("changed meanwhile: {files}", files=", ".join(changed)))
    turns = {seen.provider: seen.turn for seen in before.planned.observed}
    for seen in now.planned.observed if lines else ():
        if seen.turn != turns.get(seen.provider):
            operator.tell(tr("{provider}: {actor} has acted meanwhile", provider=seen.provider, actor=seen.actor))
    for line in lines[:_MOST_LINES]:
        operator.tell(line)
    if len(lines) > _MOST_LINES:
        operator.tell(tr("and {number} more differences", number=len(lines) - _MOST_LINES))
    return bool(lines)


_MOST_LINES = 20


def _what(changes: Collection[Change]) -> list[str]:
    return [
        tr(
            "{operation} {award} at {provider}, {before} → {after} {model}",
            operation=change.op,
            award=change.award_id,
            provider=change.provider,
            before=change.before,
            after=change.after,
            model=change.model,
        )
        for change in changes
    ]


def _same(before: Intent, now: Intent) -> bool:
    """True if both would do the same. Others' turns and ledger events only matter by their effect on the jobs."""

    def bare(intent: Intent) -> list[dict[str, Any]]:
        jobs = make_jobs(intent.planned, timeout=1.0, only=intent.only)
        return [job.model_dump(exclude={"turn", "abandoned", "files", "origin", "over"}) for job in jobs]

    return bare(before) == bare(now) and [e.award for e in before.events] == [e.award for e in now.events]
