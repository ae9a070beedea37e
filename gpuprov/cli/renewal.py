"""`gpuprov init --renew`: brings the files of a project that are gpuprov's own up to date, and says what it did."""

from __future__ import annotations

from pathlib import Path

from gpuprov.cli.errors import print_json
from gpuprov.cli.screen import say
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.project import PROJECT_FILE
from gpuprov.run.newproject import renewable
from gpuprov.run.renewing import Renewal, renew


def renew_project(folder: Path, *, as_json: bool) -> None:
    """Renew the project in the folder. Raises InputError where there is none, and for what cannot be written."""
    if not (folder / PROJECT_FILE).is_file():
        message = tr("has no {file}", file=PROJECT_FILE)
        remedy = tr("name the project's folder, or make a project there without --renew")
        raise InputError([Problem(argument="FOLDER", value=str(folder), message=message, remedy=remedy)])
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
        say(tr("renewed {file}", file=path))
    if not done.renewed:
        say(tr("nothing to renew"))
    if done.own:
        say()
        say(tr("These differ from gpuprov's, and are left as you have them. Compare them:"))
        for own in done.own:
            say(f"  {own.compare}")
        say(tr("To take gpuprov's instead, delete the file and rerun the same command."))
