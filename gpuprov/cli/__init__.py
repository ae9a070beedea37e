"""The command line: one file a command. Commands are imported only when they are called.

A command's file has its options. Its work, if it is more than a few lines, is in a module beside it that only the
called command imports: so `--help` needs neither clusters' nor files' packages.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from gpuprov.cli.language import in_language, language_option
from gpuprov.cli.suggestions import no_such_command
from gpuprov.i18n import shown, tr
from gpuprov.run.garbage import collect_rarely

COMMANDS = {
    "init": "Make a project of your own: settings, stacks, a sample list, an empty ledger.",
    "setup": "Prepare the clusters for awards, once, as their administrator.",
    "validate": "Check award lists and the ledger; access no cluster.",
    "plan": "Show what would change, and why.",
    "up": "Bring the clusters in line with the list and the ledger.",
    "forfeit": "Record that awards are forfeited, and reclaim their GPUs.",
    "reduce": "Record that an award is reduced, and lower its quota.",
    "expire": "Tear down awards that have ended or were forfeited.",
    "watch": "Run as a service that tears down awards when they end.",
    "kubeconfig": "Write a kubeconfig for an awardee, which ends with the award.",
    "preflight": "Check that providers' clusters are fit for awards.",
    "status": "Show capacity, allocated, in use and free GPUs.",
    "awards": "Show all awards: what they have and use, their state, when they end.",
    "show": "Show everything about one award, and what changes next.",
    "doctor": "Say what disagrees, and the command that mends it.",
    "recover": "Rebuild a lost, old or damaged state from the clusters.",
    "unlock": "Break the locks that a run which is gone has left.",
    "ledger": "Prove that the ledger only grew.",
    "ci": "Check a change in CI, and say on the pull request what it does.",
    "term-guard": "Run on a provider's cluster, and end awards where nothing else does.",
    "sandbox": "Run three real clusters on this machine.",
    "toolchain": "Provide the pinned tools.",
}
"""Each command with its line in the help; its module is ``gpuprov.cli.<name>``, without hyphens, with the attribute
``command``."""

_INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs.

    The Kubernetes and Pulumi packages take over a second to import, which `gpuprov --help` must not cost.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which an operator needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"gpuprov.cli.{cmd_name.replace('-', '')}").command
        assert isinstance(command, click.Command)  # noqa: S101 (a programming error, not input)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of one that does not exist say what may have been meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            no_such_command(ctx, args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help's list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own signature)
        """Run the command; Ctrl-C ends it with exit code 130, as shells expect."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise in_language(error) from None
        except KeyboardInterrupt:
            click.echo(shown(tr("interrupted; rerun the same command to finish")), err=True)
            raise SystemExit(_INTERRUPTED) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gpuprov")
@language_option
def main() -> None:
    """Turn a GPU award list into quotas on the providers' clusters, and reclaim the GPUs when awards end."""
    collect_rarely()
