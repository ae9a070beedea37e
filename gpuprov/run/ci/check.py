"""The check of a change: are the files valid, has the ledger only grown, and what would change on the clusters?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from gpuprov.core.ahead import ahead
from gpuprov.core.capacity import lines, not_over
from gpuprov.core.guard import Confirmed
from gpuprov.core.impact import effect
from gpuprov.core.ledger import Event
from gpuprov.core.plan import Change
from gpuprov.errors import GpuprovError, InputError, Problem
from gpuprov.i18n import joined, shown, tr
from gpuprov.load.ledgerfile import event_word
from gpuprov.load.project import PROJECT_FILE, Project, open_project
from gpuprov.preflight import Result
from gpuprov.run.apply import make_jobs, restored
from gpuprov.run.ci.report import Grown, Later, Look, Report, Row, Unfit, Wrong
from gpuprov.run.git import Repository
from gpuprov.run.ledgercheck import Growth, verify
from gpuprov.run.loading import Loaded, load
from gpuprov.run.pipeline import PlanContext, observe_and_plan, refusals
from gpuprov.run.preflight import run_preflight


def check_files(project: Project, at: datetime, since: str | None) -> tuple[Report, Loaded | None]:
    """Check lists and ledger, and against a commit that the ledger only grew: all problems of both at once.

    Also return what was loaded, if it is valid. Raises GitError where git itself fails.
    """
    problems: list[Problem] = []
    loaded = growth = None
    try:
        loaded = load(project)
    except InputError as error:
        problems += error.problems
    try:
        growth = None if since is None else verify(project, since)
    except InputError as error:
        problems += [problem for problem in error.problems if problem not in problems]
    later = () if loaded is None or growth is None else tuple(_later(project, growth.commit, loaded, at))
    exceeded = lines(not_over(loaded.excesses, at)) if loaded else []
    report = Report(
        at=at,
        expected=tuple(cluster.provider for cluster in project.clusters),
        awards=len(loaded.histories) if loaded else None,
        ledger=None if growth is None else _grown(growth),
        later=later,
        problems=tuple(map(wrong, problems)),
        refused=tuple(map(told, exceeded)),
        warnings=tuple(map(told, loaded.warnings)) if loaded else (),
        stopped=bool(problems or exceeded),
    )
    return report, loaded


def _later(project: Project, commit: str, loaded: Loaded, at: datetime) -> Iterator[Later]:
    """Yield what the change makes different after ``at``; nothing where the lists of the commit are not valid."""
    with Repository(project.root).unpacked(commit) as folder:
        try:
            before = load(open_project(folder)) if (folder / PROJECT_FILE).is_file() else None
        except InputError:
            return
    histories = [*(before.histories if before else ()), *loaded.histories]
    names = {history.award.id: history.award.organization for history in histories}
    for one in ahead(before.allocations if before else [], loaded.allocations, at):
        yield Later(
            at=one.at,
            provider=one.provider,
            award=one.award_id,
            organization=told(names[one.award_id]),
            model=one.model,
            before=one.before,
            after=one.after,
        )


def check_clusters(loaded: Loaded, providers: Collection[str], at: datetime) -> Report:
    """Plan against the providers' clusters, and let the guard and the rules judge the plan.

    Raises PlanRefused where the lists exceed a capacity.
    """
    planned = observe_and_plan(loaded, loaded.desired(at), providers)
    to_state = {job.cluster.provider: restored(planned, [job]) for job in make_jobs(planned, timeout=1.0)}
    failed = {**planned.failed, **planned.unread}
    return Report(
        refused=tuple(map(told, refusals(planned, Confirmed()))),
        warnings=tuple(map(told, planned.warnings)),
        looks=tuple(_look(planned, name, to_state.get(name, 0)) for name in planned.plan.providers),
        failed={name: reason(error) for name, error in failed.items()},
    )


def check_fitness(loaded: Loaded, providers: Collection[str], at: datetime) -> Report:
    """Return which checks of the preflight fail on the providers' clusters."""
    reports, failed = run_preflight(loaded, providers, at)
    unfit = [
        Unfit(provider=report.provider, check=finding.check, seen=told(finding.seen), remedy=told(finding.remedy))
        for report in reports
        for finding in report.findings
        if finding.result is Result.FAILED
    ]
    return Report(
        unfit=tuple(unfit),
        failed={name: reason(error) for name, error in failed.items()},
    )


def wrong(problem: Problem) -> Wrong:
    """Return a problem as a report has it."""
    return Wrong(
        where=told(problem.file or problem.argument or ""),
        row=problem.row,
        column=problem.column,
        value=None if problem.value is None else told(problem.value),
        message=told(problem.message),
        remedy=told(problem.remedy),
    )


_LONGEST = 500


def told(text: str) -> str:
    """Return a text as a report has it: in the language in use, and not endless."""
    words = shown(text)
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def reason(error: GpuprovError) -> str:
    """Return why a provider could not be looked at."""
    return told(error.message_text)


def _grown(growth: Growth) -> Grown:
    appended = tuple(told(_event(event)) for event in growth.appended)
    return Grown(file=growth.file, commit=growth.commit, kept=growth.kept, appended=appended)


def _event(event: Event) -> str:
    return tr(
        "{award}: {event} at {at} by {by}: {reason}",
        award=event.award,
        event=event_word(event),
        at=event.at.isoformat(timespec="minutes"),
        by=event.by,
        reason=event.reason,
    )


def _look(planned: PlanContext, provider: str, to_state: int) -> Look:
    changes = planned.plan.on(provider)
    unchanged = {tenant.award_id for tenant in planned.desired.on(provider)} - {change.award_id for change in changes}
    return Look(provider=provider, rows=tuple(map(_row, changes)), unchanged=len(unchanged), restored=to_state)


def _row(change: Change) -> Row:
    return Row(
        effect=effect(change),
        award=change.award_id,
        organization=told(change.organization),
        model=change.model,
        before=change.before,
        after=change.after,
        explained=change.expected,
        why=told(joined("; ", change.reasons)),
    )
