"""The work of `gpuprov plan`: what would change, and why, as a table, JSON or Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import click

from gpuprov.cli.common import use_toolchain, warn
from gpuprov.cli.errors import Exit, error_text, fail, print_json
from gpuprov.cli.output import print_plan
from gpuprov.cli.screen import say
from gpuprov.core.guard import Confirmed
from gpuprov.errors import GpuprovError, PlanRefused
from gpuprov.i18n import tr
from gpuprov.load.project import Project
from gpuprov.run.apply import make_jobs, restored
from gpuprov.run.clock import now
from gpuprov.run.loading import load
from gpuprov.run.pipeline import PlanContext, observe_and_plan, refusals, select


def show_plan(
    project: Project,
    at: datetime | None,
    providers: Sequence[str],
    *,
    as_json: bool,
    markdown: bool,
    exit_code: bool,
    full: bool,
) -> None:
    """Print the plan, and end the command with its exit code. Raises GpuprovError where there can be none."""
    planned = _planned(project, at, providers, markdown=markdown)
    to_state = restored(planned, make_jobs(planned, timeout=1.0))
    refused = refusals(planned, Confirmed())
    warnings = list(planned.warnings)
    warn(warnings)
    failed = {provider: error.message_text for provider, error in {**planned.failed, **planned.unread}.items()}
    if as_json:
        data = {"restored": to_state, "failed": failed, "refused": refused, "warnings": warnings}
        print_json(planned.plan.to_json() | data)
    elif markdown:
        from gpuprov.cli.markdown import plan_markdown  # jinja2 takes a while to load

        click.echo(plan_markdown(planned.plan, failed, refused, warnings))
    else:
        print_plan(planned.plan, unread=planned.failed, restored=to_state, full=full)
    _end(failed, refused, pending=exit_code and bool(planned.plan.changes or to_state))


def _end(failed: Mapping[str, str], refused: Sequence[str], *, pending: bool) -> None:
    """Say what was not planned and what is refused, and end with the exit code of the worst."""
    for message in failed.values():
        say(tr("not planned: {error}", error=message), err=True)
    if refused:
        click.echo(error_text(PlanRefused(refused)), err=True)
    if failed:
        fail(Exit.SOME_CLUSTERS_FAILED)
    if refused:
        fail(Exit.REFUSED)
    if pending:
        fail(Exit.CHANGES_PENDING)


def _planned(project: Project, at: datetime | None, providers: Sequence[str], *, markdown: bool) -> PlanContext:
    """Return the plan. Where there can be none the pull request says why, and not nothing: raises GpuprovError."""
    try:
        use_toolchain()
        loaded = load(project)
        warn(loaded.warnings)
        desired = loaded.desired(at or now(project.programme.zone))
        return observe_and_plan(loaded, desired, select(project.clusters, providers))
    except GpuprovError as error:
        if markdown:
            from gpuprov.cli.markdown import error_markdown

            click.echo(error_markdown(error), nl=False)
        raise
