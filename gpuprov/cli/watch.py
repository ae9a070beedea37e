"""`gpuprov watch`: the service that ends terms by itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import at_option, project_option, provider_option, timeout_option
from gpuprov.cli.errors import reports_errors
from gpuprov.cli.serving import interval_option, listen_option

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("watch")
@reports_errors
@project_option
@at_option
@provider_option
@timeout_option
@click.option("--apply", is_flag=True, help="Grant too: do what `up` does, and not only what `expire` does.")
@click.option("--git", is_flag=True, help="Follow the upstream of the branch that is checked out, forward only.")
@interval_option
@listen_option
def command(
    project: Project,
    at: datetime | None,
    providers: tuple[str, ...],
    *,
    timeout: float,
    apply: bool,
    git: bool,
    interval: float,
    listen: str,
) -> None:
    """Run as a service: tear down what has ended, at the instant at which it ends.

    With --at the service's clock goes on from that instant, to rehearse a night.
    """
    from gpuprov.cli.watching import watch

    watch(project, at, providers, timeout=timeout, apply=apply, git=git, interval=interval, listen=listen)
