"""Runs of Pulumi on one stack, as data: decided in one process and done in another."""

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

    ``changed`` names the awards that differ, the others' objects are neither declared nor looked at; None is all of
    them. ``recorded`` is what the stack's outputs then say of its tenants. ``refresh`` reads the changed objects from
    the cluster first, for what happened behind the state's back. A stack that does not exist yet is made. ``patience``
    in seconds is how long to wait for an earlier run of ours on the same stack to end.
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
