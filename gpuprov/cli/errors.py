"""How every command ends: exit codes, and the one place that turns errors into messages, JSON and exit codes.

Apart from `common`, whose options need a project: what needs none loads nothing of it.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NoReturn, TypeVar

import click

from gpuprov.cli.language import language_option
from gpuprov.cli.screen import say
from gpuprov.errors import ClusterError, GpuprovError, InputError, PlanRefused, Problem
from gpuprov.i18n import shown, tr, visible_json
from gpuprov.load.files import full_disk
from gpuprov.run import log

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
            _end(error, as_json=bool(kwargs.get("as_json")))
        except OSError as error:
            full = full_disk(error)
            if full is None:
                raise
            _end(GpuprovError(full), as_json=bool(kwargs.get("as_json")))

    return language_option(_log_options(guarded))  # type: ignore[return-value]


def _end(error: GpuprovError, *, as_json: bool) -> NoReturn:
    if as_json:
        print_json(error_json(error))
    say(error_text(error), err=True)
    fail(exit_code(error))


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
        title = shown(tr("refused, nothing was changed:"))
        return "\n".join([title, *(f"  - {shown(reason)}" for reason in error.reasons)])
    if isinstance(error, InputError) and len(error.problems) > 1:
        total = shown(tr("{number} problems, nothing was changed", number=len(error.problems)))
        return f"{shown(error.message_text)}\n{total}"
    return shown(tr("error: {error}", error=error.message_text))


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
    click.echo(visible_json(json.dumps(data, ensure_ascii=False, indent=2, default=str)))
