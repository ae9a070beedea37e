"""`gpuprov doctor`: what disagrees, and which command mends it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import at_option, json_option, project_option, provider_option
from gpuprov.cli.errors import reports_errors

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("doctor")
@reports_errors
@project_option
@at_option
@provider_option
@json_option
def command(project: Project, at: datetime | None, providers: tuple[str, ...], *, as_json: bool) -> None:
    """Say what disagrees between list, ledger, leases, state and clusters, and the one command that mends each.

    Changes nothing. Exits with 1 if anything disagrees, with 5 if a cluster or its state could not be read.
    """
    from gpuprov.cli.diagnosing import print_diagnosis

    print_diagnosis(project, at, providers, as_json=as_json)
