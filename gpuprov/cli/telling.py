"""The work of `gpuprov ci comment` and `gpuprov ci issue`: says on the repository's platform what checks found."""

from __future__ import annotations

import os
from pathlib import Path

from gpuprov.cli.reportpage import headline, page
from gpuprov.cli.screen import say
from gpuprov.forge import Forge, open_forge, put_comment, put_issue
from gpuprov.i18n import shown, tr
from gpuprov.run.ci.report import Report, merged, read_reports

_ROOM = 200
"""Characters that the hidden marker before the text may need."""


def tell_change(folder: Path, name: str) -> None:
    """Write the comment. Raises InputError for reports or variables, and ForgeError where the platform refuses."""
    forge = open_forge(os.environ)
    report = _report(folder)
    done = put_comment(forge, name, _text(forge, report))
    say(tr("the comment is {done}: {headline}", done=done, headline=headline(report)), err=True)


def tell_drift(folder: Path, name: str) -> None:
    """Open, edit or close the issue. Raises as `tell_change`."""
    forge = open_forge(os.environ)
    report = _report(folder)
    title = shown(tr("GPU quotas: the clusters need a look ({name})", name=name))
    done = put_issue(forge, name, title, _text(forge, report), wrong=report.wrong)
    say(tr("the issue is {done}: {headline}", done=done, headline=headline(report)), err=True)


def _report(folder: Path) -> Report:
    """Return what all reports found; no report at all is a failure of its own."""
    reports = read_reports(folder)
    missing = {} if reports else {shown(tr("all")): shown(tr("there is no report: no job has left one"))}
    return merged(reports or [Report(failed=missing)])


def _text(forge: Forge, report: Report) -> str:
    return page(report, limit=forge.limit - _ROOM, run=forge.run)
