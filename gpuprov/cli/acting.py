"""How the commands that change clusters talk to the operator: show, ask, tell, report, exit code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import click

from gpuprov.cli.common import confirm
from gpuprov.cli.errors import Exit, fail, print_json
from gpuprov.cli.live import Progress
from gpuprov.cli.output import print_outcomes, print_plan
from gpuprov.core.guard import Confirmed
from gpuprov.core.plan import Change, Op
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
        click.echo(line, err=True)

    def confirm(self, intent: Intent, busy: Sequence[Job]) -> bool:
        """Ask for confirmation, with the consequences of a "yes"; ends the command on "no"."""
        self.progress.close()
        names = sorted(intent.only) if intent.events and intent.only else [job.cluster.provider for job in busy]
        action = "Record this and apply it" if intent.events else "Apply this"
        if not self.yes:
            changes = [change for change in intent.planned.plan.changes if _concerns(change, intent.only)]
            for line in consequences(changes):
                click.echo(line, err=True)
        return confirm(f"{action} to {', '.join(names)}?", yes=self.yes)


def _concerns(change: Change, only: Collection[str] | None) -> bool:
    return only is None or change.award_id in only


_MOST_NAMES = 6


def consequences(changes: Sequence[Change]) -> list[str]:
    """Return who loses how many GPUs, how many of these pods use now, and who gets GPUs; by provider and model."""
    lines = []
    for provider, model in sorted({(change.provider, change.model) for change in changes}):
        of_pool = [change for change in changes if (change.provider, change.model) == (provider, model)]
        losing = [change for change in of_pool if change.op is Op.RECLAIM or change.after < change.before]
        getting = [change for change in of_pool if change.grows]
        if losing:
            gpus = sum(change.before - change.after for change in losing)
            used = sum(change.used for change in losing)
            lines.append(f"{provider}: {gpus} {model} taken from {_who(losing)}; pods use {used} of their GPUs now")
        if getting:
            gpus = sum(change.after - change.before for change in getting)
            lines.append(f"{provider}: {gpus} {model} given to {_who(getting)}")
    return lines


def _who(changes: Sequence[Change]) -> str:
    names = list(dict.fromkeys(change.organization or change.award_id for change in changes))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    awards = "1 award" if len(changes) == 1 else f"{len(changes)} awards"
    return f"{awards} ({', '.join(names[:_MOST_NAMES])}{more})"


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
    report(story.run(), as_json=as_json)


def report(done: Report, *, as_json: bool) -> None:
    """Print what was done. Ends the command with an exit code if a cluster failed."""
    failed = {outcome.provider: outcome.error for outcome in done.outcomes if outcome.error}
    failed |= {provider: str(error) for provider, error in done.failed.items() if provider not in failed}
    if as_json:
        providers = [outcome.model_dump(mode="json", exclude={"stale"}) for outcome in done.outcomes]
        print_json({"providers": providers, "failed": failed})
    else:
        print_outcomes(done.outcomes)
    for provider, message in failed.items():
        click.echo(f"\n{provider} failed: {message.removeprefix(f'{provider}: ')}", err=True)
    if failed:
        finished = [outcome.provider for outcome in done.outcomes if outcome.provider not in failed]
        others = f"; {', '.join(finished)} done" if finished else ""
        click.echo(
            f"\nfailed on {', '.join(failed)}{others}. When the cause is fixed, rerun the same command: "
            "it does only what is left.",
            err=True,
        )
        fail(Exit.SOME_CLUSTERS_FAILED)
