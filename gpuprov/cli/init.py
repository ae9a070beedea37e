"""`gpuprov init`: a project of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from gpuprov.cli.common import json_option
from gpuprov.cli.errors import reports_errors

SUPPLIER_FORM = "NAME=CONTEXT[,ADMIN]"
POOL_FORM = "SUPPLIER:MODEL=GPUS:LABEL=VALUE"


@click.command("init")
@reports_errors
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="The project's name for Pulumi; by default the folder's.")
@click.option("--programme", help="A programme file, or one that comes with gpuprov; by default 2026-h1.")
@click.option("--supplier", "suppliers", multiple=True, metavar=SUPPLIER_FORM, help="A supplier; repeatable.")
@click.option(
    "--pool", "pools", multiple=True, metavar=POOL_FORM, help="A pool, instead of those that nodes offer; repeatable."
)
@click.option(
    "--exec-plugin",
    "exec_plugins",
    multiple=True,
    metavar="PROGRAM",
    help="A program that the kubeconfig may run for credentials, as it is written there; repeatable.",
)
@click.option(
    "--ci",
    multiple=True,
    type=click.Choice(["github", "gitlab"]),
    help="Also write the pipelines that deploy changes, for this platform; repeatable.",
)
@click.option("--renew", is_flag=True, help="Renew the files of a project that are gpuprov's, after an update of it.")
@json_option
def command(
    folder: Path,
    name: str | None,
    programme: str | None,
    suppliers: tuple[str, ...],
    pools: tuple[str, ...],
    *,
    exec_plugins: tuple[str, ...],
    ci: tuple[str, ...],
    renew: bool,
    as_json: bool,
) -> None:
    """Make a project in FOLDER, by default in this one.

    It gets settings, a stack for each supplier, a programme, a sample list and an empty ledger. Pools are read from the
    nodes of each supplier's cluster. Nothing that exists is overwritten.
    """
    if renew:
        from gpuprov.cli.renewal import renew_project

        if name is not None or programme is not None or suppliers or pools or exec_plugins or ci:
            raise click.UsageError("--renew takes no other option than --json: it changes nothing of the project's own")
        renew_project(folder.resolve(), as_json=as_json)
        return
    from gpuprov.cli.newproject import Extras, make_project

    extras = Extras(exec_plugins=exec_plugins, ci=ci)
    make_project(folder.resolve(), name, programme, suppliers, pools, extras=extras, as_json=as_json)
