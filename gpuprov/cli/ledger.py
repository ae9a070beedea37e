"""`gpuprov ledger`: what concerns the ledger's file itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import json_option, project_option
from gpuprov.cli.errors import print_json, reports_errors
from gpuprov.cli.screen import say
from gpuprov.i18n import trn

if TYPE_CHECKING:
    from gpuprov.load.project import Project


@click.group()
def command() -> None:
    """Check the ledger's file."""


@command.command("verify")
@reports_errors
@project_option
@click.option("--since", metavar="REV", required=True, help="The commit that the ledger may only have grown from.")
@json_option
def verify_ledger(project: Project, since: str, *, as_json: bool) -> None:
    """Prove against git that the ledger only grew: nothing was changed, removed, or put before what was there.

    For CI, with the commit that a change is made to. Accesses no cluster.
    """
    from gpuprov.run.ledgercheck import verify

    growth = verify(project, since)
    if as_json:
        appended = [event.model_dump(mode="json") for event in growth.appended]
        print_json({"since": growth.commit, "file": growth.file, "kept": growth.kept, "appended": appended})
        return
    say(
        trn(
            "{file}: the {kept} events of {commit} are there, and {number} was appended",
            "{file}: the {kept} events of {commit} are there, and {number} were appended",
            len(growth.appended),
            file=growth.file,
            kept=growth.kept,
            commit=growth.commit[:12],
        )
    )
