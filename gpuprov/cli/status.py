"""`gpuprov status`: capacity, allocated and free, read from the clusters."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from gpuprov.cli.common import at_option, end_unread, json_option, project_option, provider_option
from gpuprov.cli.errors import print_json, reports_errors
from gpuprov.cli.screen import table
from gpuprov.i18n import tr
from gpuprov.run.clock import now

if TYPE_CHECKING:
    from gpuprov.core.programme import Programme
    from gpuprov.load.project import Project
    from gpuprov.run.status import PoolStatus


@click.command("status")
@reports_errors
@project_option
@at_option
@provider_option
@json_option
def command(project: Project, at: datetime | None, providers: tuple[str, ...], *, as_json: bool) -> None:
    """Show each pool's capacity, the GPUs that quotas grant and that pods hold, and the free ones.

    In GPUs of the model and in equivalents of the programme's reference; spare ones that make no whole one count as
    none.
    """
    from gpuprov.run.pipeline import select
    from gpuprov.run.status import read_status

    pools, failed = read_status(project, select(project.clusters, providers), at or now(project.programme.zone))
    if as_json:
        rows: list[dict[str, Any]] = [pool.to_json(project.programme) for pool in pools]
        print_json({"pools": rows, "failed": {name: str(error) for name, error in failed.items()}})
    else:
        table(_headers(project.programme), [_row(pool, project.programme) for pool in pools])
    end_unread(failed)


def _headers(programme: Programme) -> list[str]:
    headers: list[str] = [tr("provider"), tr("model"), tr("awards"), tr("capacity"), tr("allocated"), tr("in use")]
    headers += [tr("still held"), tr("free")]
    if reference := programme.reference:
        headers += [tr("free, {reference}-eq.", reference=reference)]
        headers += [tr("capacity, {reference}-eq.", reference=reference)]
    return headers


def _row(pool: PoolStatus, programme: Programme) -> tuple[object, ...]:
    numbers = (pool.awards, pool.capacity, pool.allocated, pool.used, pool.over, pool.free)
    equivalents = pool.equivalents(programme)
    worth = (equivalents.get("free", "-"), equivalents.get("capacity", "-")) if programme.reference else ()
    return (pool.provider, pool.model, *numbers, *worth)
