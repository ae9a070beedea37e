"""`gpuprov init --renew`: brings the files of a project that are gpuprov's own up to date, and says what it did."""

from __future__ import annotations

from pathlib import Path

import click

from gpuprov.cli.errors import print_json
from gpuprov.errors import InputError, Problem
from gpuprov.load.project import PROJECT_FILE
from gpuprov.run.newproject import renewable
from gpuprov.run.renewing import Renewal, renew


def renew_project(folder: Path, *, as_json: bool) -> None:
    """Renew the project in the folder. Raises InputError where there is none, and for what cannot be written."""
    if not (folder / PROJECT_FILE).is_file():
        remedy = "name the project's folder, or make a project there without --renew"
        raise InputError(
            [Problem(argument="FOLDER", value=str(folder), message=f"has no {PROJECT_FILE}", remedy=remedy)]
        )
    done = renew(folder, renewable())
    if as_json:
        own = [{"file": own.path, "compare": own.compare} for own in done.own]
        print_json(
            {"folder": str(folder), "renewed": list(done.renewed), "current": list(done.current), "changed": own}
        )
    else:
        _tell(done)


def _tell(done: Renewal) -> None:
    for path in done.renewed:
        click.echo(f"renewed {path}")
    if not done.renewed:
        click.echo("nothing to renew")
    if done.own:
        click.echo("\nThese differ from gpuprov's, and are left as you have them. Compare them:")
        for own in done.own:
            click.echo(f"  {own.compare}")
        click.echo("To take gpuprov's instead, delete the file and rerun the same command.")
