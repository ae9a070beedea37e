"""The second half of every command that changes clusters: guard, ask, carry out, report, exit code."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import click

from gpuprov.cli.common import Exit, confirm, fail, print_json, progress
from gpuprov.cli.output import print_outcomes, print_plan
from gpuprov.errors import GpuprovError
from gpuprov.guard import Confirmed
from gpuprov.run.apply import carry_out, make_jobs
from gpuprov.run.job import Outcome
from gpuprov.run.pipeline import Situation, check


def act(
    situation: Situation,
    *,
    confirmed: Confirmed,
    yes: bool,
    as_json: bool,
    timeout: float,
    only: Collection[str] | None = None,
) -> None:
    """Carry a situation's plan out and end the command with the right exit code. Raises PlanRefused."""
    print_plan(situation.plan, unread=situation.failed, err=True)
    check(situation, confirmed)
    jobs = make_jobs(situation, timeout=timeout, only=only, accept=confirmed.clusters)
    if any(not job.empty for job in jobs):
        confirm(f"Apply this to {', '.join(job.cluster.provider for job in jobs if not job.empty)}?", yes=yes)
    report(carry_out(jobs, progress), situation.failed, as_json=as_json)


def report(outcomes: Sequence[Outcome], unreached: Mapping[str, GpuprovError], *, as_json: bool) -> None:
    """Print what was done. Ends the command where a cluster failed."""
    failed = {one.provider: one.error for one in outcomes if one.error} | {
        provider: str(error) for provider, error in unreached.items()
    }
    if as_json:
        print_json({"providers": [one.model_dump(mode="json") for one in outcomes], "failed": failed})
    else:
        print_outcomes(outcomes)
    for provider, message in failed.items():
        click.echo(f"\n{provider} failed: {message.removeprefix(f'{provider}: ')}", err=True)
    if failed:
        done = [one.provider for one in outcomes if not one.error]
        others = f"; {', '.join(done)} done" if done else ""
        click.echo(
            f"\nfailed on {', '.join(failed)}{others}. When the cause is gone, give the same command again: "
            "it does only what is left.",
            err=True,
        )
        fail(Exit.SOME_CLUSTERS_FAILED)
