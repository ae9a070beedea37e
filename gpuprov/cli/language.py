"""The language of messages on the command line: ``--lang``, before a command or after it, and wrong usage told in it.

Names and help stay English. So does what click says of a value by itself; its sentence around it does not.
"""

from __future__ import annotations

import os
from typing import IO, Any

import click
from click.core import ParameterSource

from gpuprov import i18n
from gpuprov.i18n import shown, tr


def _use(ctx: click.Context, param: click.Parameter, language: str | None) -> None:
    """Choose the language before anything else is parsed: what is typed counts, the last of it, else the locale."""
    typed = ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
    if typed or ctx.parent is None:
        i18n.use(language or i18n.of_environment(os.environ))


language_option = click.option(
    "--lang",
    type=click.Choice(i18n.LANGUAGES),
    envvar=i18n.LANGUAGE_VARIABLE,
    is_eager=True,
    expose_value=False,
    callback=_use,
    help="Language of messages for people; by default that of the locale, or English.",
)


def wrong_usage(message: str, ctx: click.Context | None = None) -> click.UsageError:
    """Return the error of a command that was typed wrong, with a message in the language in use."""
    return click.UsageError(shown(message), ctx)


def unprefixed(provider: str, message: str) -> str:
    """Return what is said of a provider without its name in front, for where the name stands already."""
    if isinstance(message, i18n.Message) and message.arguments.keys() == {"provider", "message"}:
        inner = message.arguments["message"]
        return inner if isinstance(inner, str) else str(inner)
    name = f"{provider}: "
    return message.removeprefix(name) if message.startswith(name) else message


def in_language(error: click.UsageError) -> click.UsageError:
    """Return an error of click's that is shown in the language in use; in English as it is."""
    return error if i18n.language() == i18n.SOURCE else _Told(error)


class _Told(click.UsageError):
    """Wrong usage, shown in another language than click's."""

    def __init__(self, error: click.UsageError) -> None:
        super().__init__(shown(_sentence(error)), error.ctx)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print usage, where help is, and what is wrong, as click does."""
        lines = []
        if self.ctx is not None:
            help_command = f"{self.ctx.command_path} --help"
            lines += [self.ctx.get_usage(), shown(tr("Try '{command}' for help.", command=help_command)), ""]
        lines.append(shown(tr("Error: {message}", message=self.message)))
        click.echo("\n".join(lines), file=file, err=file is None)


def _sentence(error: click.UsageError) -> str:
    """Return what is wrong; what click says of an option's value stays as it says it."""
    if isinstance(error, click.NoSuchOption):
        alike = ", ".join(error.possibilities or ())
        if alike:
            return tr("no such option: {option}; did you mean {alike}?", option=error.option_name, alike=alike)
        return tr("no such option: {option}", option=error.option_name)
    if isinstance(error, click.BadParameter) and error.param is not None:
        name = error.param.get_error_hint(error.ctx)
        if isinstance(error, click.MissingParameter):
            return tr("missing: {name}", name=name)
        return tr("wrong value for {name}: {message}", name=name, message=error.message)
    return error.format_message()
