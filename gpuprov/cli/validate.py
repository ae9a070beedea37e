"""`gpuprov validate`: are the award lists and the ledger fit to be applied?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gpuprov.award import Status
from gpuprov.capacity import peak
from gpuprov.cli.common import json_option, print_json, project_option, reports_errors, warn
from gpuprov.cli.output import table
from gpuprov.errors import PlanRefused
from gpuprov.load import json_schema
from gpuprov.project import Project
from gpuprov.run.pipeline import Loaded, load


def _print_schema(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001 (click's)
    if value:
        print_json(json_schema())
        ctx.exit()


@click.command("validate")
@reports_errors
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@project_option
@json_option
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON schema of an award list and stop.",
)
def command(project: Project, files: tuple[Path, ...], *, as_json: bool) -> None:
    """Check award lists (those of the project, or FILES instead) with the ledger. Touches no cluster.

    Every problem is reported at once, with file, row, column, value and remedy. Exits with 4 where a provider's
    capacity is exceeded at any instant.
    """
    loaded = load(replace(project, awards=files) if files else project)
    warn(loaded.warnings)
    if loaded.excesses:
        raise PlanRefused([str(excess) for excess in loaded.excesses])
    peaks = _peaks(loaded)
    selected = sum(one.award.status is Status.SELECTED for one in loaded.histories)
    forfeited = sum(one.forfeited is not None for one in loaded.histories)
    if as_json:
        data: dict[str, Any] = {"valid": True, "awards": len(loaded.histories), "selected": selected}
        print_json(data | {"forfeited": forfeited, "pools": peaks})
        return
    click.echo(f"valid: {len(loaded.histories)} awards, {selected} selected, {forfeited} forfeited in the ledger")
    table(["provider", "model", "capacity", "highest allocation"], [tuple(peak.values()) for peak in peaks])


def _peaks(loaded: Loaded) -> list[dict[str, Any]]:
    allocations = [part for one in loaded.histories for part in one.allocations]
    return [
        {
            "provider": cluster.provider,
            "model": str(pool.model),
            "capacity": pool.capacity,
            "peak": peak(part for part in allocations if (part.provider, part.model) == (cluster.provider, pool.model)),
        }
        for cluster in loaded.project.clusters
        for pool in cluster.pools
    ]
