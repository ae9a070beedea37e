"""What the commands on a project share: options, warnings, and what clusters did not tell."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gpuprov.cli import completion
from gpuprov.cli.errors import Exit, F, fail, reports_errors
from gpuprov.cli.screen import emphasised, fitted, say
from gpuprov.errors import GpuprovError, InputError, Problem
from gpuprov.i18n import shown, tr
from gpuprov.run.clock import AT_VARIABLE, as_written, in_zone, not_now, now

if TYPE_CHECKING:
    from gpuprov.load.project import Project


class Instant(click.ParamType[datetime]):
    """An ISO 8601 timestamp; without an offset it is in the programme's time zone, which the project tells later."""

    name = "timestamp"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the timestamp as it was written, or fail as a usage error."""
        if isinstance(value, datetime):
            return value
        try:
            return as_written(value)
        except InputError:
            message = tr("{value!r} is not a timestamp; write it as 2026-06-30T23:59:59+09:00", value=value)
            self.fail(shown(message), param, ctx)


def project_option(command: F) -> F:
    """Add ``-C``, and hand the opened project to the command as ``project``, with ``at`` as an aware instant."""

    @functools.wraps(command)
    def with_project(*args: Any, directory: Path | None, **kwargs: Any) -> Any:  # noqa: ANN401 (click's own signature)
        project, at = opened(directory, kwargs.get("at"))
        return command(*args, project=project, **kwargs | ({"at": at} if "at" in kwargs else {}))

    return directory_option(with_project)  # type: ignore[return-value]


def opened(directory: Path | None, at: datetime | None) -> tuple[Project, datetime | None]:
    """Open the project of a folder, or of the one around this; return ``at`` as an aware instant. Raises InputError."""
    from gpuprov.load.project import find_root, open_project

    project = open_project(find_root(Path.cwd()) if directory is None else directory.resolve())
    if at is not None:
        at = in_zone(at, project.programme.zone)
        _tell_instant(at, project.programme.zone)
    return project, at


directory_option = click.option(
    "-C",
    "--project",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The project's folder; by default the current one or its nearest parent with a Pulumi.yaml.",
)


_DECIDES = "gpuprov.decides"


def _decides(ctx: click.Context, param: click.Parameter, at: datetime | None) -> datetime | None:
    """Remember where the instant to decide for comes from; an event's ``at`` is none."""
    if at is not None:
        typed = ctx.get_parameter_source(str(param.name)) is not ParameterSource.ENVIRONMENT
        ctx.meta[_DECIDES] = "--at" if typed else AT_VARIABLE
    return at


def _tell_instant(at: datetime, zone: tzinfo) -> None:
    """Say where the instant comes from whenever it is not now: a variable that was left set is easily forgotten."""
    source = click.get_current_context().meta.get(_DECIDES)
    if source is not None:
        say(not_now(at, source, zone), err=True)


at_option = click.option(
    "--at",
    type=Instant(),
    envvar=AT_VARIABLE,
    callback=_decides,
    help=f"Decide for this timestamp instead of now (also {AT_VARIABLE}).",
)
effect_option = click.option(
    "--at", type=Instant(), help="When the event takes effect, instead of now; a future event is only recorded."
)
provider_option = click.option(
    "--provider",
    "providers",
    multiple=True,
    shell_complete=completion.providers,
    help="Only this provider; repeatable.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print data as JSON on standard output.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask before changing anything.")
timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds to wait for pods to end, and again for the next namespace to be gone.",
)


def acting_options(command: F) -> F:
    """Add the options of commands that change clusters: ``-C``, ``--at``, ``--json``, ``--yes``, ``--timeout``."""
    return _acting(at_option(command))


def event_options(command: F) -> F:
    """Add the same options to a command that writes an event, where ``--at`` is the time when it takes effect."""
    return _acting(effect_option(command))


def _acting(command: F) -> F:
    return reports_errors(project_option(json_option(yes_option(timeout_option(command)))))


def event_instants(typed: datetime | None, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return when an event takes effect, and the instant to decide for: GPUPROV_AT's where it is set, or now.

    ``typed`` is what --at says, ``zone`` is the programme's. Raises InputError where there is only GPUPROV_AT: a
    rehearsal that forgot to unset it must not back-date the ledger. A GPUPROV_AT that is not a timestamp is a usage
    error.
    """
    variable = os.environ.get(AT_VARIABLE)
    if not variable:
        present = now(zone)
        return typed or present, present
    if typed is None:
        problem = Problem(
            argument=AT_VARIABLE,
            value=variable,
            message=tr("a rehearsal's clock does not go into the ledger by itself"),
            remedy=tr("type --at {at}, or unset {variable}", at=variable, variable=AT_VARIABLE),
        )
        raise InputError([problem])
    present = in_zone(Instant().convert(variable, None, None), zone)
    say(not_now(present, AT_VARIABLE, zone), err=True)
    return typed, present


def use_toolchain() -> None:
    """Put the installed toolchain at the front of PATH, so that the engine finds Pulumi. Raises ToolchainError.

    Installs nothing: that can take many minutes, so the operator has to start it.
    """
    from gpuprov import toolchain

    path = toolchain.require().path_for_cli()
    os.environ["PATH"] = os.pathsep.join([path, os.environ.get("PATH", os.defpath)])


def warn(warnings: Iterable[str]) -> None:
    """Print warnings on standard error."""
    word = shown(tr("warning"))
    for warning in warnings:
        text = fitted(f"{word}: {shown(warning)}", sys.stderr)
        click.echo(text.replace(word, emphasised(word, sys.stderr), 1), err=True)


def end_unread(failed: Mapping[str, GpuprovError]) -> None:
    """Say which clusters were not read; end the command with exit code 5 if there are any."""
    for error in failed.values():
        say(tr("not read: {error}", error=error.message_text), err=True)
    if failed:
        fail(Exit.SOME_CLUSTERS_FAILED)
