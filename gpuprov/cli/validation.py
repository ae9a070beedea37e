"""The work of `gpuprov validate`: how many awards the lists have, and whether the pools hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from gpuprov.cli.common import warn
from gpuprov.cli.errors import Exit, error_json, error_text, fail, print_json
from gpuprov.cli.screen import say, table
from gpuprov.core.award import Status
from gpuprov.core.capacity import MOST_LINES, Excess, lines, not_over, pool_peak
from gpuprov.errors import PlanRefused
from gpuprov.i18n import tr, trn
from gpuprov.load.project import Project, found_root, open_project
from gpuprov.load.schema import json_schema
from gpuprov.run.clock import now
from gpuprov.run.loading import Loaded, load


def validate(project: Project, files: Sequence[Path], at: datetime | None, *, as_json: bool) -> None:
    """Check the project's lists, or these files instead, and print what is in them. Raises InputError."""
    at = at or now(project.programme.zone)
    loaded = load(replace(project, awards=tuple(files)) if files else project)
    check_capacity(loaded, at, as_json=as_json)
    if as_json:
        print_json(summary(loaded, at))
    else:
        print_summary(summary(loaded, at))


def print_schema(directory: Path | None) -> None:
    """Print the JSON schema of the lists of a project, or of the packaged programme where there is none."""
    root = found_root(Path.cwd()) if directory is None else directory.resolve()
    print_json(json_schema(None if root is None else open_project(root).programme))


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
    say(
        trn(
            "valid: {number} award, {selected} selected, {forfeited} forfeited in the ledger",
            "valid: {number} awards, {selected} selected, {forfeited} forfeited in the ledger",
            data["awards"],
            selected=data["selected"],
            forfeited=data["forfeited"],
        )
    )
    rows = [tuple(peak.values()) for peak in data["pools"]]
    table([tr("provider"), tr("model"), tr("capacity"), tr("highest allocation")], rows)


def _past(over: Sequence[Excess]) -> list[str]:
    told: list[str] = [
        tr(
            "{fact}; it is in the past and stops nothing; if the pool had more GPUs then, write its capacity as steps",
            fact=excess.fact,
        )
        for excess in over[:MOST_LINES]
    ]
    if len(over) > MOST_LINES:
        told.append(tr("and {number} more in the past", number=len(over) - MOST_LINES))
    return told


def _refuse(exceeded: Sequence[Excess], *, as_json: bool) -> NoReturn:
    """End like PlanRefused, with every interval in the JSON document and a readable number of them in the text."""
    if as_json:
        print_json(error_json(PlanRefused([str(excess) for excess in exceeded])))
    say(error_text(PlanRefused(lines(exceeded))), err=True)
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
