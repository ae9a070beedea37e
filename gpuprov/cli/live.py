"""Progress of several providers at once: on a terminal one line for each that is written over, elsewhere all lines."""

from __future__ import annotations

import logging
import sys
from threading import Lock

import click
from rich.cells import cell_len

from gpuprov.cli.screen import coloured, columns
from gpuprov.i18n import shown

_UP_AND_CLEAR = "\x1b[{}A\x1b[J"


class Progress:
    """Prints progress on standard error. What else is printed there must `close` it first, as the last line stays.

    Reports come from one thread for each provider. With ``-v`` the log is on the terminal too, so all lines are kept.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._lines: dict[str, str] = {}
        self._live = coloured(sys.stderr) and not logging.getLogger("gpuprov").isEnabledFor(logging.INFO)

    def show(self, provider: str, line: str) -> None:
        """Report what is happening on a provider's cluster; an empty name stands for all."""
        text = f"  {provider + ': ' if provider else ''}{shown(line)}"
        if not self._live:
            click.echo(text, err=True)
            return
        with self._lock:
            drawn = len(self._lines)
            self._lines[provider] = text
            width = columns(sys.stderr) - 1  # a full line would make some terminals go on to the next
            lines = "\n".join(shortened(text, width) for text in self._lines.values())
            click.echo((_UP_AND_CLEAR.format(drawn) if drawn else "") + lines, err=True)

    def close(self) -> None:
        """Leave the last lines on the screen; later reports go below what is printed from now on."""
        with self._lock:
            self._lines.clear()


def shortened(text: str, width: int) -> str:
    """Return the text if it fits, else its beginning up to a blank with an ellipsis: a line that wraps cannot be
    written over. One word that is too wide is cut.
    """
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) + 2 > width:
        head, blank, _ = text.rstrip().rpartition(" ")
        text = head if blank and head.strip() else text[:-1]
    return f"{text} …"
