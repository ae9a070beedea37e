"""What the commands share: options, exit codes, and the one place that turns errors into messages and exit codes."""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import datetime, tzinfo
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from click.core import ParameterSource

from gpuprov import toolchain
from gpuprov.errors import ClusterError, GpuprovError, InputError, PlanRefused, Problem
from gpuprov.load.project import find_root, open_project
from gpuprov.run import log
from gpuprov.run.clock import AT_VARIABLE, as_written, in_zone, not_now, now

F = TypeVar("F", bound=Callable[..., Any])


class Exit(IntEnum):
    """Exit codes; docs/cli.md lists them, and a test compares the two."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CHANGES_PENDING = 3
    REFUSED = 4
    SOME_CLUSTERS_FAILED = 5
    INTERRUPTED = 130


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
            self.fail(f"{value!r} is not a timestamp; write it as 2026-06-30T23:59:59+09:00", param, ctx)


def project_option(command: F) -> F:
    """Add ``-C``, and hand the opened project to the command as ``project``, with ``at`` as an aware instant."""

    @functools.wraps(command)
    def opened(*args: Any, directory: Path | None, **kwargs: Any) -> Any:  # noqa: ANN401 (click's own signature)
        root = find_root(Path.cwd()) if directory is None else directory.resolve()
        project = open_project(root)
        if kwargs.get("at") is not None:
            kwargs["at"] = in_zone(kwargs["at"], project.programme.zone)
            _tell_instant(kwargs["at"], project.programme.zone)
        return command(*args, project=project, **kwargs)

    option = click.option(
        "-C",
        "--project",
        "directory",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="The project's folder; by default the current one or its nearest parent with a Pulumi.yaml.",
    )
    return option(opened)  # type: ignore[return-value]


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
        click.echo(not_now(at, source, zone), err=True)


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
provider_option = click.option("--provider", "providers", multiple=True, help="Only this provider; repeatable.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print data as JSON on standard output.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask before changing anything.")
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
            message="a rehearsal's clock does not go into the ledger by itself",
            remedy=f"type --at {variable}, or unset {AT_VARIABLE}",
        )
        raise InputError([problem])
    present = in_zone(Instant().convert(variable, None, None), zone)
    click.echo(not_now(present, AT_VARIABLE, zone), err=True)
    return typed, present


def use_toolchain() -> None:
    """Put the installed toolchain at the front of PATH, so that the engine finds Pulumi. Raises ToolchainError.

    Installs nothing: that can take many minutes, so the operator has to start it.
    """
    path = toolchain.require().path_for_cli()
    os.environ["PATH"] = os.pathsep.join([path, os.environ.get("PATH", os.defpath)])


def fail(code: Exit) -> NoReturn:
    """End the command with an exit code, after its message was printed."""
    raise SystemExit(int(code))


def reports_errors(command: F) -> F:
    """Turn gpuprov's errors into a message on standard error, JSON with ``--json``, and an exit code."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (click's own signature)
        try:
            return command(*args, **kwargs)
        except GpuprovError as error:
            if kwargs.get("as_json"):
                print_json(error_json(error))
            click.echo(error_text(error), err=True)
            fail(exit_code(error))

    return _log_options(guarded)  # type: ignore[return-value]


def _log_options(command: F) -> F:
    """Add ``-v`` and ``--log-format``."""
    verbose = click.option("-v", "--verbose", count=True, help="Log actions to standard error; -vv logs all requests.")
    form = click.option(
        "--log-format",
        type=click.Choice([form.value for form in log.Format]),
        default=log.Format.TEXT.value,
        envvar=log.FORMAT_VARIABLE,
        help="Format of the log.",
    )

    @functools.wraps(command)
    def logging_command(*args: Any, verbose: int, log_format: str, **kwargs: Any) -> Any:  # noqa: ANN401 (click's own)
        log.configure(_level(verbose), log.Format(log_format))
        return command(*args, **kwargs)

    return verbose(form(logging_command))  # type: ignore[return-value]


def _level(verbose: int) -> int:
    """Return the lowest level to log. At a terminal the output says the same; unattended runs log by default."""
    if verbose:
        return logging.DEBUG if verbose > 1 else logging.INFO
    return log.SILENT if sys.stderr.isatty() else logging.INFO


def exit_code(error: GpuprovError) -> Exit:
    """Return the exit code of an error that ended a command."""
    if isinstance(error, PlanRefused):
        return Exit.REFUSED
    if isinstance(error, ClusterError):
        return Exit.SOME_CLUSTERS_FAILED
    return Exit.FAILURE


def error_text(error: GpuprovError) -> str:
    """Return the message for a person."""
    if isinstance(error, PlanRefused):
        return "refused, nothing was changed:\n" + "\n".join(f"  - {reason}" for reason in error.reasons)
    if isinstance(error, InputError) and len(error.problems) > 1:
        return f"{error}\n{len(error.problems)} problems, nothing was changed"
    return f"error: {error}"


def error_json(error: GpuprovError) -> dict[str, Any]:
    """Return the error for a machine."""
    data: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, InputError):
        data["problems"] = [_problem_json(problem) for problem in error.problems]
    if isinstance(error, PlanRefused):
        data["reasons"] = list(error.reasons)
    return data


def _problem_json(problem: Problem) -> dict[str, Any]:
    names = ("file", "row", "column", "value", "message", "remedy")
    argument = {} if problem.argument is None else {"argument": problem.argument}
    return {name: getattr(problem, name) for name in names} | argument


def print_json(data: Any) -> None:  # noqa: ANN401 (JSON)
    """Print data, and nothing else, on standard output."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def progress(provider: str, line: str) -> None:
    """Print a line of progress on standard error."""
    click.echo(f"  {provider + ': ' if provider else ''}{line}", err=True)


def confirm(question: str, *, yes: bool) -> bool:
    """Ask on a terminal; return False if ``yes`` answers already. Raises click.UsageError without a terminal."""
    if yes:
        return False
    if not sys.stdin.isatty():
        raise click.UsageError("pass --yes: there is no terminal to ask at")
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo("\nnothing was changed", err=True)
        fail(Exit.INTERRUPTED)
    if not agreed:
        click.echo("nothing was changed", err=True)
        fail(Exit.FAILURE)
    return True


def warn(lines: tuple[str, ...]) -> None:
    """Print warnings on standard error."""
    for line in lines:
        click.echo(f"warning: {line}", err=True)
