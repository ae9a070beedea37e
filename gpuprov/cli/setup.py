"""`gpuprov setup`: prepare providers' clusters for awards, once, as a cluster administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gpuprov.cli.asking import confirm
from gpuprov.cli.common import json_option, project_option, provider_option, use_toolchain, yes_option
from gpuprov.cli.errors import Exit, fail, print_json, reports_errors
from gpuprov.cli.live import Progress
from gpuprov.cli.screen import table

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("setup")
@reports_errors
@project_option
@provider_option
@json_option
@yes_option
def command(project: Project, providers: tuple[str, ...], *, as_json: bool, yes: bool) -> None:
    """Install charts/gpu-cluster on the providers' clusters, or update it.

    Needs a cluster administrator: uses the context `adminContext` of each stack's configuration, else `context`.
    """
    from gpuprov.run.pipeline import select
    from gpuprov.run.setup import chart_now, set_up

    use_toolchain()
    chosen = select(project.clusters, providers)
    if not yes:
        table(["provider", "the chart on its cluster now"], list(chart_now(project, chosen).items()), err=True)
    confirm(f"Install charts/gpu-cluster on {', '.join(chosen)}?", yes=yes)
    done = set_up(project, chosen, Progress().show)
    failed = {provider: outcome.error for provider, outcome in done.items() if outcome.error}
    if as_json:
        ready = [
            {"provider": provider, "operations": outcome.operations}
            for provider, outcome in done.items()
            if not outcome.error
        ]
        print_json({"providers": ready, "failed": failed})
    else:
        table(
            ["provider", "objects of the chart"],
            [(provider, _counts(outcome.operations)) for provider, outcome in done.items() if not outcome.error],
        )
    for provider, message in failed.items():
        click.echo(f"\n{provider} failed: {message.removeprefix(f'{provider}: ')}", err=True)
    if failed:
        fail(Exit.SOME_CLUSTERS_FAILED)


def _counts(operations: dict[str, int]) -> str:
    return ", ".join(f"{count} {operation}" for operation, count in operations.items()) or "nothing to change"
