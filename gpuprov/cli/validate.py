"""`gpuprov validate`: are the award lists and the ledger fit to be applied?"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from gpuprov.cli.common import at_option, json_option, project_option, warn
from gpuprov.cli.errors import Exit, F, error_json, error_text, fail, print_json, reports_errors
from gpuprov.cli.output import table
from gpuprov.core.award import Status
from gpuprov.core.capacity import MOST_LINES, Excess, lines, not_over, pool_peak
from gpuprov.errors import PlanRefused
from gpuprov.load import json_schema
from gpuprov.load.project import Project, found_root, open_project
from gpuprov.run.clock import now
from gpuprov.run.loading import Loaded, load


def _schema_option(command: F) -> F:
    """Add ``--schema``, which prints the schema of the project's lists, or where there is no project the default."""

    @functools.wraps(command)
    def printed(*args: Any, schema: bool, directory: Path | None, **kwargs: Any) -> Any:  # noqa: ANN401 (click's own)
        if not schema:
            return command(*args, directory=directory, **kwargs)
        root = found_root(Path.cwd()) if directory is None else directory.resolve()
        print_json(json_schema(None if root is None else open_project(root).programme))
        return None

    option = click.option("--schema", is_flag=True, help="Print the JSON schema of an award list and stop.")
    return option(printed)  # type: ignore[return-value]


@click.command("validate")
@reports_errors
@_schema_option
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@project_option
@at_option
@json_option
def command(project: Project, at: datetime | None, files: tuple[Path, ...], *, as_json: bool) -> None:
    """Check award lists (those of the project, or FILES instead) with the ledger. Accesses no cluster.

    All problems are reported at once, with file, row, column, value and remedy. Exits with 4 if a provider's capacity
    is exceeded now or later; an excess in the past is a warning.
    """
    at = at or now(project.programme.zone)
    loaded = load(replace(project, awards=files) if files else project)
    check_capacity(loaded, at, as_json=as_json)
    if as_json:
        print_json(summary(loaded, at))
    else:
        print_summary(summary(loaded, at))


def check_capacity(loaded: Loaded, at: datetime, *, as_json: bool) -> None:
    """Print the warnings; end the command with exit code 4 where a capacity is exceeded at that time or later."""
    warn((*loaded.warnings, *_past([excess for excess in loaded.excesses if excess.end <= at])))
    if exceeded := not_over(loaded.excesses, at):
        _refuse(exceeded, as_json=as_json)


def summary(loaded: Loaded, at: datetime) -> dict[str, Any]:
    """Return what is said of valid lists, as data."""
    return {
        "valid": True,
        "awards": len(loaded.histories),
        "selected": sum(history.award.status is Status.SELECTED for history in loaded.histories),
        "forfeited": sum(history.forfeited is not None for history in loaded.histories),
        "pools": _peaks(loaded, at),
    }


def print_summary(data: Mapping[str, Any]) -> None:
    """Print the same for people."""
    click.echo(
        f"valid: {data['awards']} awards, {data['selected']} selected, {data['forfeited']} forfeited in the ledger"
    )
    rows = [tuple(peak.values()) for peak in data["pools"]]
    table(["provider", "model", "capacity", "highest allocation"], rows)


def _past(over: Sequence[Excess]) -> list[str]:
    remedy = "it is in the past and stops nothing; if the pool had more GPUs then, write its capacity as steps"
    shown = [f"{excess.fact}; {remedy}" for excess in over[:MOST_LINES]]
    return [*shown, f"and {len(over) - MOST_LINES} more in the past"] if len(over) > MOST_LINES else shown


def _refuse(exceeded: Sequence[Excess], *, as_json: bool) -> NoReturn:
    """End like PlanRefused, with every interval in the JSON document and a readable number of them in the text."""
    if as_json:
        print_json(error_json(PlanRefused([str(excess) for excess in exceeded])))
    click.echo(error_text(PlanRefused(lines(exceeded))), err=True)
    fail(Exit.REFUSED)


def _peaks(loaded: Loaded, at: datetime) -> list[dict[str, Any]]:
    """Return each pool's capacity at that time, and its highest allocation while that capacity applies."""
    allocations = loaded.allocations
    return [
        {
            "provider": cluster.provider,
            "model": str(pool.model),
            "capacity": pool.capacity_at(at),
            "peak": pool_peak(allocations, cluster, pool, *pool.span_at(at)),
        }
        for cluster in loaded.project.clusters
        for pool in cluster.pools
    ]
