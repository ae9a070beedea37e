"""`gpuprov term-guard`: the service on a provider's cluster that ends awards where nothing else does."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from gpuprov.cli.common import at_option, timeout_option
from gpuprov.cli.errors import reports_errors
from gpuprov.cli.serving import interval_option, listen_option


@click.command("term-guard")
@reports_errors
@at_option
@timeout_option
@click.option(
    "--margin",
    metavar="SECONDS",
    type=click.IntRange(min=0),
    default=7200,
    show_default=True,
    help="How long after the written end of its term an award is closed.",
)
@click.option(
    "--retention",
    metavar="SECONDS",
    type=click.IntRange(min=0),
    help="How long after that its namespace is deleted; by default never.",
)
@click.option(
    "--most-at-once",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Where more awards are overdue, none is ended.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be ended.")
@click.option(
    "--service-account",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder with `token` and `ca.crt`; by default where the kubelet mounts it.",
)
@interval_option
@listen_option
def command(
    at: datetime | None,
    *,
    timeout: float,
    margin: int,
    retention: int | None,
    most_at_once: int,
    dry_run: bool,
    folder: Path | None,
    interval: float,
    listen: str,
) -> None:
    """Run on a provider's cluster, as a pod: end awards by the end that is written on their namespaces.

    It needs neither project nor state. charts/gpu-cluster installs it (`termGuard.enabled`).
    """
    from gpuprov.cli.guarding import guard

    guard(
        at,
        margin=margin,
        retention=retention,
        most=most_at_once,
        dry_run=dry_run,
        folder=folder,
        timeout=timeout,
        interval=interval,
        listen=listen,
    )
