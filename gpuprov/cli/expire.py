"""`gpuprov expire`: tear down awards that have ended, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import acting_options, provider_option, use_toolchain
from gpuprov.run.clock import now

if TYPE_CHECKING:
    from gpuprov.load.project import Project
    from gpuprov.run.intents import Intent


@click.command("expire")
@acting_options
@provider_option
def command(
    project: Project,
    at: datetime | None,
    providers: tuple[str, ...],
    *,
    as_json: bool,
    yes: bool,
    timeout: float,
) -> None:
    """Tear down the awards whose term has ended or that were forfeited. Grants nothing.

    Meant to run unattended, with --yes. It is idempotent: if it runs late or twice, it does only what is left.
    """
    from gpuprov.cli.acting import act
    from gpuprov.core.guard import Confirmed
    from gpuprov.run.intents import end_terms
    from gpuprov.run.loading import loader
    from gpuprov.run.pipeline import select

    use_toolchain()
    chosen = select(project.clusters, providers)

    fresh = loader(project)

    def intent() -> Intent:
        return end_terms(fresh(), at or now(project.programme.zone), chosen)

    act(intent, confirmed=Confirmed(), purpose="expire", yes=yes, as_json=as_json, timeout=timeout)
