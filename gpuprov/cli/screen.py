"""What is known of the terminal: its width, and whether it takes colours. Tables are printed for it.

Colour only repeats what the words say. A pipe, NO_COLOR and a dumb terminal get no escape sequence at all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from gpuprov.cli.layout import Paints, folded, layout
from gpuprov.i18n import shown, tr

PIPE_COLUMNS = 160
"""The width of what is not a terminal: tables in files and logs are read without one."""

_UNKNOWN_COLUMNS = 80


def columns(stream: TextIO) -> int:
    """Return the width to write for: COLUMNS where it is set, else the terminal's, else `PIPE_COLUMNS`."""
    if (typed := os.environ.get("COLUMNS", "")).isdecimal() and int(typed) > 0:
        return int(typed)
    if not stream.isatty():
        return PIPE_COLUMNS
    try:
        return os.get_terminal_size(stream.fileno()).columns or _UNKNOWN_COLUMNS
    except OSError:  # a terminal that does not tell its size
        return _UNKNOWN_COLUMNS


def coloured(stream: TextIO) -> bool:
    """Tell whether the stream takes escape sequences (https://no-color.org: NO_COLOR counts unless it is empty)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def emphasised(word: str, stream: TextIO) -> str:
    """Return ``failed`` in red and ``warning`` in yellow, in the language in use, where the stream takes colours; any
    other text as it is.
    """
    colours = {shown(tr("failed")): "red", shown(tr("warning")): "yellow"} if coloured(stream) else {}
    colour = colours.get(word)
    return click.style(word, fg=colour) if colour else word


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, err: bool = False) -> None:
    """Print rows under headers, as wide as the terminal is; where that is too narrow a block for each row."""
    stream = sys.stderr if err else sys.stdout
    paints = Paints(
        header=lambda text: click.style(text, bold=True) if coloured(stream) else text,
        cell=lambda text: emphasised(text, stream),
    )
    titles = [shown(header) for header in headers]
    cells = [[shown(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    click.echo(layout(titles, cells, columns(stream), paints), err=err)


def say(message: object = "", *, err: bool = False) -> None:
    """Print a message for a person, in the language in use; on a terminal no word is broken at its edge."""
    click.echo(fitted(shown(message), sys.stderr if err else sys.stdout), err=err)


def fitted(text: str, stream: TextIO) -> str:
    """Return a text as a terminal shows it best: broken between words. A pipe gets lines as they are.

    COLUMNS says that somebody reads along, so it counts as a terminal.
    """
    return folded(text, columns(stream)) if stream.isatty() or "COLUMNS" in os.environ else text
