"""`gpuprov unlock`: break the locks that a run which is gone has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import json_option, project_option, provider_option, yes_option
from gpuprov.cli.errors import reports_errors

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("unlock")
@reports_errors
@project_option
@provider_option
@json_option
@yes_option
def command(project: Project, providers: tuple[str, ...], *, as_json: bool, yes: bool) -> None:
    """Show who holds Pulumi's locks on the providers' stacks, and since when; remove them once that is confirmed.

    For a run on another machine that is gone for good. Where somebody is at work on a cluster, nothing is removed.
    """
    from gpuprov.cli.unlocking import unlock_stacks

    unlock_stacks(project, providers, as_json=as_json, yes=yes)
