"""Runs of Pulumi on one stack, as data: decided in one process and executed in another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.outputs import Origin
from gpuprov.core.tenant import Tenant


class SetUp(BaseModel):
    """Install the chart in the folder ``chart`` on a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    cluster: ProviderCluster
    chart: Path


class StackRun(BaseModel):
    """Bring ``stack`` to ``tenants``.

    ``changed`` names the awards that differ; the objects of all others are neither declared nor read. None means all
    awards. ``recorded`` is what the stack's outputs say of its tenants after the run. ``refresh`` first reads the
    changed objects from the cluster, for changes that the state does not know. A stack that does not exist is created.
    ``patience`` is how many seconds to wait for an earlier gpuprov run on the same stack to end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    project: str
    stack: str
    cluster: ProviderCluster
    tenants: tuple[Tenant, ...]
    cluster_uid: str
    origin: Origin
    exists: bool
    changed: tuple[str, ...] | None
    recorded: dict[str, Any]
    refresh: bool
    patience: float
