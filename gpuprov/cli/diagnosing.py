"""The work of `gpuprov doctor`: print each finding with what it is about and the command that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from gpuprov.cli.common import use_toolchain
from gpuprov.cli.errors import Exit, fail, print_json
from gpuprov.cli.screen import say
from gpuprov.core.diagnosis import Finding, Item
from gpuprov.i18n import shown, tr, trn, visible
from gpuprov.load.project import Project
from gpuprov.run.clock import now
from gpuprov.run.doctor import examine
from gpuprov.run.pipeline import select

_MOST_ITEMS = 5
"""How much of what a finding is about is printed: of 400 awards nobody reads more. ``--json`` has all."""


def print_diagnosis(project: Project, at: datetime | None, providers: Sequence[str], *, as_json: bool) -> None:
    """Print what disagrees, and end the command with its exit code. Raises InputError and ToolchainError."""
    use_toolchain()
    diagnosis = examine(project, select(project.clusters, providers), at or now(project.programme.zone))
    for note in diagnosis.notes:
        say(note, err=True)
    if as_json:
        findings = [finding.to_json() for finding in diagnosis.findings]
        print_json({"findings": findings, "failed": {name: str(error) for name, error in diagnosis.unread.items()}})
    else:
        _print(diagnosis.findings)
    for provider, message in diagnosis.unread.items():
        error = tr("{provider}: {message}", provider=provider, message=message)
        say(tr("not read: {error}", error=error), err=True)
    if diagnosis.unread:
        fail(Exit.SOME_CLUSTERS_FAILED)
    if diagnosis.findings:
        fail(Exit.FAILURE)


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        first, second = finding.kind.sources
        where = tr("the project") if finding.provider is None else finding.provider
        say(tr("{where}: {code} ({first} ≠ {second})", where=where, code=str(finding.kind), first=first, second=second))
        say(tr("  {sentence}", sentence=finding.sentence))
        for item in finding.items[:_MOST_ITEMS]:
            say(_line(item))
        if (more := len(finding.items) - _MOST_ITEMS) > 0:
            say(tr("    and {number} more (--json has all)", number=more))
        if finding.command is not None:  # in one line, however narrow the terminal: it is to be pasted
            label = shown(tr("mend it with"))
            click.echo(f"  {label}: {visible(finding.command)}")
        say()
    number = len(findings)
    say(trn("{number} finding", "{number} findings", number) if number else tr("nothing disagrees"))


def _line(item: Item) -> str:
    if item.name and item.detail:
        return tr("    {name}: {detail}", name=item.name, detail=item.detail)
    return tr("    {text}", text=item.name or item.detail)
