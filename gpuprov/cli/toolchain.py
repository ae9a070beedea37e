"""`gpuprov toolchain`: the pinned programs that gpuprov starts. Standard output carries data only."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys

import click

from gpuprov.cli.errors import reports_errors
from gpuprov.toolchain import KNOWN_NAMES, TOOL_NAMES, Event, Found, Settings, ensure, locate, require
from gpuprov.toolchain.pins import unit_of

BEAT_SECONDS = 15.0
"""Seconds between two lines of progress if standard error is not a terminal."""


@click.group()
def command() -> None:
    """List, install and locate the pinned programs: pulumi, etcd, the Kubernetes servers, kwok, helm."""


@command.command("list")
@reports_errors
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_tools(as_json: bool) -> None:
    """List every tool with its pinned version and where it was found; installs nothing."""
    settings = Settings.load()
    rows = [_row(name, locate(name, settings)) for name in TOOL_NAMES]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = [("TOOL", "VERSION", "FOUND", "PATH"), *(tuple(value or "-" for value in row.values()) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for cells in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


@command.command()
@reports_errors
@click.argument("tools", nargs=-1, type=click.Choice(KNOWN_NAMES), metavar="[TOOL]...")
@click.option("--json", "as_json", is_flag=True, help="Print the installed tools as JSON.")
def install(tools: tuple[str, ...], as_json: bool) -> None:
    """Provide the TOOLs, or all if none is named: from PATH, the cache, the vendor's release, or Go modules.

    GPUPROV_TOOLCHAIN_SOURCES (path,cache,download,build) selects among these, GPUPROV_TOOLCHAIN_MIRROR is the base
    URL of a mirror of the vendors' releases.
    """
    settings = Settings.load()
    printer = _Printer()
    # Like Ctrl-C: a running build must end with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        installed = ensure(tools or None, printer.show, settings)
    finally:
        printer.clear()
    if as_json:
        click.echo(json.dumps([_row(tool.tool, tool) for tool in installed], indent=2))
    else:
        for tool in installed:
            click.echo(f"{tool.tool}\t{tool.version}\t{tool.path}")


@command.command("path")
@reports_errors
@click.option("--hand", is_flag=True, help="With the Python language host, for `pulumi up` by hand.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of folders.")
def path_prefix(hand: bool, as_json: bool) -> None:
    """Print the folders to put before PATH for pulumi and its plugin; installs nothing.

    PATH="$(gpuprov toolchain path --hand):$PATH" pulumi up
    """
    installed = require()
    prefix = installed.path_for_hand() if hand else installed.path_for_cli()
    click.echo(json.dumps(prefix.split(os.pathsep)) if as_json else prefix)


def _row(name: str, tool: Found | None) -> dict[str, str | None]:
    return {
        "tool": name,
        "version": tool.version if tool else unit_of(name).version,
        "found": {"path": "PATH", "cache": "cache"}[tool.source] if tool else "missing",
        "path": str(tool.path) if tool else None,
    }


class _Printer:
    """Shows events on standard error: on a terminal as one updated line, elsewhere as a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = 0.0
        self._dirty = False

    def show(self, event: Event) -> None:
        """Show one event."""
        if event.kind != "beat":
            self.clear()
            self._last = 0.0
            click.echo(event.text, err=True)
        elif self._terminal:
            width = shutil.get_terminal_size().columns
            click.echo(f"\r\x1b[K{event.text[: width - 1]}", nl=False, err=True)
            self._dirty = True
        elif event.seconds - self._last >= BEAT_SECONDS:
            self._last = event.seconds
            click.echo(event.text, err=True)

    def clear(self) -> None:
        """Clear the updated line, if there is one."""
        if self._dirty:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._dirty = False
