"""`gpuprov kubeconfig`: a credential for one awardee, which expires with the award."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpuprov.cli import completion
from gpuprov.cli.common import at_option, json_option, project_option
from gpuprov.cli.errors import reports_errors
from gpuprov.cli.language import wrong_usage
from gpuprov.i18n import tr

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.command("kubeconfig")
@reports_errors
@project_option
@at_option
@json_option
@click.argument("award", shell_complete=completion.awards)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; by default ~/.kube/gpuprov/NAMESPACE.kubeconfig.",
)
@click.option("--hours", type=click.IntRange(min=1), help="Lifetime of the token; by default until the award ends.")
@click.option("--force", is_flag=True, help="Replace an existing file; write even where git would add the file.")
@click.option("--revoke", is_flag=True, help="Revoke every token of the award instead.")
def command(
    project: Project,
    award: str,
    at: datetime | None,
    out: Path | None,
    hours: int | None,
    *,
    as_json: bool,
    force: bool,
    revoke: bool,
) -> None:
    """Write a kubeconfig for an awardee, with a token that expires no later than the award.

    Forfeiting the award removes the token's permissions at once.
    """
    from gpuprov.cli import issuing

    if not revoke:
        issuing.issue(project, award, at, out, hours, as_json=as_json, force=force)
        return
    if out is not None or hours is not None:
        raise wrong_usage(tr("--revoke takes neither --out nor --hours"))
    issuing.revoke(project, award, as_json=as_json)
