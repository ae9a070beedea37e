"""How the commands that change clusters talk to the operator: show, ask, tell, report, exit code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from gpuprov.cli.asking import Declined, ask, nothing_changed
from gpuprov.cli.errors import Exit, fail, print_json
from gpuprov.cli.language import unprefixed
from gpuprov.cli.live import Progress
from gpuprov.cli.output import print_outcomes, print_plan
from gpuprov.cli.screen import say
from gpuprov.core.guard import Confirmed
from gpuprov.core.plan import Change, Op
from gpuprov.i18n import joined, tr, trn
from gpuprov.run.apply import restored
from gpuprov.run.intents import Intent
from gpuprov.run.job import Job
from gpuprov.run.pipeline import PlanContext
from gpuprov.run.story import Report, Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The operator at a terminal; with ``yes`` nobody is asked. Whatever is printed goes below ``progress``."""

    yes: bool
    progress: Progress

    def show(self, planned: PlanContext, jobs: Sequence[Job]) -> None:
        """Print the plan on standard error."""
        self.progress.close()
        print_plan(planned.plan, unread=planned.failed, restored=restored(planned, jobs), err=True)

    def tell(self, line: str) -> None:
        """Print a line on standard error."""
        self.progress.close()
        say(line, err=True)

    def confirm(self, intent: Intent, busy: Sequence[Job]) -> bool:
        """Ask for confirmation, with the consequences of a "yes". Raises Declined."""
        self.progress.close()
        names = sorted(intent.only) if intent.events and intent.only else [job.cluster.provider for job in busy]
        if not self.yes:
            changes = [change for change in intent.planned.plan.changes if _concerns(change, intent.only)]
            for line in consequences(changes):
                say(line, err=True)
        return ask(_question(", ".join(names), recording=bool(intent.events)), yes=self.yes)


def _question(names: str, *, recording: bool) -> str:
    if recording:
        return tr("Record this and apply it to {awards}?", awards=names)
    return tr("Apply this to {providers}?", providers=names)


def _concerns(change: Change, only: Collection[str] | None) -> bool:
    return only is None or change.award_id in only


_MOST_NAMES = 6


def consequences(changes: Sequence[Change]) -> list[str]:
    """Return who loses how many GPUs, how many of these pods use now, and who gets GPUs; by provider and model."""
    lines: list[str] = []
    for provider, model in sorted({(change.provider, change.model) for change in changes}):
        of_pool = [change for change in changes if (change.provider, change.model) == (provider, model)]
        losing = [change for change in of_pool if change.op is Op.RECLAIM or change.after < change.before]
        getting = [change for change in of_pool if change.grows]
        if losing:
            lines.append(
                tr(
                    "{provider}: {gpus} {model} taken from {awards}; pods use {used} of their GPUs now",
                    provider=provider,
                    gpus=sum(change.before - change.after for change in losing),
                    model=model,
                    awards=_who(losing),
                    used=sum(change.used for change in losing),
                )
            )
        if getting:
            lines.append(
                tr(
                    "{provider}: {gpus} {model} given to {awards}",
                    provider=provider,
                    gpus=sum(change.after - change.before for change in getting),
                    model=model,
                    awards=_who(getting),
                )
            )
    return lines


def _who(changes: Sequence[Change]) -> str:
    organizations = list(dict.fromkeys(change.organization or change.award_id for change in changes))
    names: str = ", ".join(organizations[:_MOST_NAMES])
    if len(organizations) > _MOST_NAMES:
        names = tr("{names} and {more} more", names=names, more=len(organizations) - _MOST_NAMES)
    return trn("{number} award ({names})", "{number} awards ({names})", len(changes), names=names)


def act(
    decide: Callable[[], Intent], *, confirmed: Confirmed, purpose: str, yes: bool, as_json: bool, timeout: float
) -> None:
    """Carry out the decision, print what was done, and end the command with its exit code.

    Raises PlanRefused, InputError and Stale.
    """
    progress = Progress()
    story = Story(
        decide=decide,
        operator=Terminal(yes=yes, progress=progress),
        progress=progress.show,
        confirmed=confirmed,
        timeout=timeout,
        purpose=f"gpuprov {purpose}",
    )
    try:
        done = story.run()
    except Declined as declined:
        if not story.recorded:
            nothing_changed(declined.code)
        say(
            tr("no cluster was changed; what was recorded in the ledger stays there: rerun the command to apply it"),
            err=True,
        )
        fail(declined.code)
    report(done, as_json=as_json)


def report(done: Report, *, as_json: bool) -> None:
    """Print what was done. Ends the command with an exit code if a cluster failed or was not read."""
    failed = {outcome.provider: outcome.error for outcome in done.outcomes if outcome.error}
    unread = {provider: error.message_text for provider, error in done.failed.items() if provider not in failed}
    if as_json:
        providers = [outcome.model_dump(mode="json", exclude={"stale"}) for outcome in done.outcomes]
        print_json({"providers": providers, "failed": failed | unread})
    else:
        print_outcomes(done.outcomes)
    if failed or unread:
        done_on = [outcome.provider for outcome in done.outcomes if outcome.provider not in failed | unread]
        _tell_failures(failed, unread, done_on)
        fail(Exit.SOME_CLUSTERS_FAILED)


def _tell_failures(failed: Mapping[str, str], unread: Mapping[str, str], done_on: Sequence[str]) -> None:
    """Say what went wrong on each cluster, and what to do about all of them."""
    for provider, message in failed.items():
        say(tr("\n{provider} failed: {message}", provider=provider, message=unprefixed(provider, message)), err=True)
    for provider, message in unread.items():
        say(
            tr("\n{provider} was not read: {message}", provider=provider, message=unprefixed(provider, message)),
            err=True,
        )
    facts: list[str] = []
    if failed:
        facts.append(tr("failed on {providers}", providers=", ".join(failed)))
    if unread:
        facts.append(tr("not read: {providers}", providers=", ".join(unread)))
    if done_on:
        facts.append(tr("{providers} done", providers=", ".join(done_on)))
    say(
        tr(
            "\n{facts}. When the cause is fixed, rerun the same command: it does only what is left.",
            facts=joined("; ", facts),
        ),
        err=True,
    )
