"""`gpuprov setup`: prepare providers' clusters for awards, once, as a cluster administrator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from gpuprov.cli.asking import confirm
from gpuprov.cli.common import json_option, project_option, provider_option, use_toolchain, yes_option
from gpuprov.cli.errors import Exit, fail, print_json, reports_errors
from gpuprov.cli.live import Progress
from gpuprov.cli.screen import table

if TYPE_CHECKING:
    from gpuprov.load.project import Project
    from gpuprov.run.job import StackDone


@click.command("setup")
@reports_errors
@project_option
@provider_option
@json_option
@yes_option
@click.option("--preview", is_flag=True, help="Only show what the clusters have and what is to do; change nothing.")
@click.option("--refresh", is_flag=True, help="Let Pulumi compare everything, also where nothing seems to be to do.")
def command(
    project: Project, providers: tuple[str, ...], *, as_json: bool, yes: bool, preview: bool, refresh: bool
) -> None:
    """Install charts/gpu-cluster on the providers' clusters, or update it.

    Needs a cluster administrator: uses the context `adminContext` of each stack's configuration, else `context`.
    """
    from gpuprov.run.job import StackDone
    from gpuprov.run.pipeline import select
    from gpuprov.run.setup import pending, set_up

    use_toolchain()
    chosen = select(project.clusters, providers)
    reasons = dict.fromkeys(chosen, ("everything (--refresh)",)) if refresh else pending(project, chosen)
    due = [provider for provider in chosen if reasons[provider]]
    if preview:
        _preview(project, reasons, as_json=as_json)
        return
    if due and not yes:
        _show(project, reasons, err=True)
    if due:
        confirm(f"Install charts/gpu-cluster on {', '.join(due)}?", yes=yes)
    done = {provider: StackDone(stack=f"{provider}.setup") for provider in chosen}
    done |= set_up(project, due, Progress().show)
    _report(done, as_json=as_json)


def _preview(project: Project, reasons: Mapping[str, Sequence[str]], *, as_json: bool) -> None:
    if as_json:
        found = [{"provider": provider, "pending": list(phrases)} for provider, phrases in reasons.items()]
        print_json({"providers": found})
    else:
        _show(project, reasons, err=False)


def _show(project: Project, reasons: Mapping[str, Sequence[str]], *, err: bool) -> None:
    """Print what each cluster has, and why Pulumi is to look at it."""
    from gpuprov.run.setup import chart_now

    now = chart_now(project, reasons)
    rows = [(provider, now[provider], _few(phrases)) for provider, phrases in reasons.items()]
    table(["provider", "the chart on its cluster now", "what Pulumi is to look at"], rows, err=err)


def _few(phrases: Sequence[str]) -> str:
    from gpuprov.preflight.finding import some

    return some(tuple(phrases)) or "nothing: it is as the last set-up left it"


def _report(done: Mapping[str, StackDone], *, as_json: bool) -> None:
    """Print what was done for each provider; end with an exit code where some failed."""
    failed = {provider: outcome.error for provider, outcome in done.items() if outcome.error}
    if as_json:
        ready = [
            {"provider": provider, "operations": outcome.operations}
            for provider, outcome in done.items()
            if not outcome.error
        ]
        print_json({"providers": ready, "failed": failed})
    elif len(failed) < len(done):
        table(
            ["provider", "objects of the chart"],
            [(provider, _counts(outcome.operations)) for provider, outcome in done.items() if not outcome.error],
        )
    for provider, message in failed.items():
        click.echo(f"\n{provider} failed: {message.removeprefix(f'{provider}: ')}", err=True)
    if failed:
        fail(Exit.SOME_CLUSTERS_FAILED)


def _counts(operations: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {operation}" for operation, count in operations.items()) or "nothing to change"
