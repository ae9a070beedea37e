"""`gpuprov expire`: tear down awards that have ended, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import acting_options, provider_option

if TYPE_CHECKING:
    from gpuprov.load.project import Project


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
    from gpuprov.cli.changing import end_terms

    end_terms(project, at, providers, yes=yes, as_json=as_json, timeout=timeout)
