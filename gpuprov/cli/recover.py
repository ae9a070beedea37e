"""`gpuprov recover`: rebuild a lost, old or damaged state from the clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import json_option, project_option, provider_option, yes_option
from gpuprov.cli.errors import reports_errors

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("recover")
@reports_errors
@project_option
@provider_option
@json_option
@yes_option
def command(project: Project, providers: tuple[str, ...], *, as_json: bool, yes: bool) -> None:
    """Rebuild Pulumi's state from the providers' clusters where it is lost, old or damaged; change no award there.

    Shows what differs and asks first. A damaged state is set aside. Where somebody is at work on a cluster, nothing is
    done.
    """
    from gpuprov.cli.recovering import recover_states

    recover_states(project, providers, as_json=as_json, yes=yes)
