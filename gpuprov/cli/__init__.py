"""The command line: one file a command. Commands are imported only when they are called."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "validate": "gpuprov.cli.validate",
    "plan": "gpuprov.cli.plan",
    "up": "gpuprov.cli.up",
    "forfeit": "gpuprov.cli.forfeit",
    "reduce": "gpuprov.cli.reduce",
    "expire": "gpuprov.cli.expire",
    "status": "gpuprov.cli.status",
    "sandbox": "gpuprov.cli.sandbox",
    "toolchain": "gpuprov.cli.toolchain",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs; each has ``command``.

    The Kubernetes and Pulumi packages take over a second to import: `gpuprov --help` must not pay it.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order in which an operator meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)  # noqa: S101 (a programming error, not input)
        return command


@click.group(cls=LazyGroup)
@click.version_option(package_name="gpuprov")
def main() -> None:
    """Turn a GPU award list into quotas on the providers' clusters, and take them back in time."""
