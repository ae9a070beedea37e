"""The work of `gpuprov status`: reads the clusters, and prints each pool."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gpuprov.cli.common import end_unread
from gpuprov.cli.errors import print_json
from gpuprov.cli.screen import table
from gpuprov.core.programme import Programme
from gpuprov.i18n import tr
from gpuprov.load.project import Project
from gpuprov.run.clock import now
from gpuprov.run.pipeline import select
from gpuprov.run.status import PoolStatus, read_status


def print_pools(project: Project, at: datetime | None, providers: Sequence[str], *, as_json: bool) -> None:
    """Print the pools; end the command with exit code 5 if a cluster was not read. Raises InputError."""
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
