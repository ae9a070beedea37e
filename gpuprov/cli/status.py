"""`gpuprov status`: capacity, allocated and free, read from the clusters."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import at_option, json_option, project_option, provider_option
from gpuprov.cli.errors import reports_errors

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("status")
@reports_errors
@project_option
@at_option
@provider_option
@json_option
def command(project: Project, at: datetime | None, providers: tuple[str, ...], *, as_json: bool) -> None:
    """Show each pool's capacity, the GPUs that quotas grant and that pods hold, and the free ones.

    In GPUs of the model and in equivalents of the programme's reference; spare ones that make no whole one count as
    none.
    """
    from gpuprov.cli.poolstatus import print_pools

    print_pools(project, at, providers, as_json=as_json)
