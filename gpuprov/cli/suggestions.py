"""What a mistyped name may have meant, for the command line: `did_you_mean`, and the same for commands.

The function is the core's, because a decision on an unknown award says the same. Click does it for options by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import click

from gpuprov.cli.language import wrong_usage
from gpuprov.core.suggestions import did_you_mean
from gpuprov.i18n import tr

__all__ = ["did_you_mean", "no_such_command"]


def no_such_command(ctx: click.Context, typed: str, known: Iterable[str]) -> NoReturn:
    """End the command as wrong usage, with the commands that are like what was typed."""
    alike = did_you_mean(typed, known) or "."
    raise wrong_usage(tr("No such command {command!r}{alike}", command=typed, alike=alike), ctx)
