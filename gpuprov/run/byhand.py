"""The decision for `pulumi up` typed by hand: the same as the command line's, for one stack."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gpuprov.award import SEOUL
from gpuprov.cluster import ProviderCluster
from gpuprov.errors import InputError, PlanRefused, Problem
from gpuprov.observe import cluster_uid
from gpuprov.project import open_project
from gpuprov.run.pipeline import load
from gpuprov.tenant import Tenant

AT_VARIABLE = "GPUPROV_AT"
"""Environment variable with the instant to decide for; unset means now. The command line's --at reads it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one stack has to declare."""

    cluster: ProviderCluster
    tenants: Sequence[Tenant]
    cluster_uid: str


def instant(text: str | None) -> datetime:
    """Read an instant; one without an offset is Korean time, none at all is now. Raises InputError."""
    if not text:
        return datetime.now(SEOUL)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        problem = Problem(
            file=AT_VARIABLE, value=text, message="is no instant", remedy="write it as 2026-06-30T23:59:59+09:00"
        )
        raise InputError([problem]) from error
    return at if at.tzinfo else at.replace(tzinfo=SEOUL)


def decide(root: Path, stack: str) -> Decision:
    """Load, validate and decide for the stack's provider. Raises InputError, PlanRefused or ClusterUnreachable."""
    project = open_project(root)
    cluster = project.by_provider.get(stack)
    if cluster is None:
        problem = Problem(
            file=str(root / "Pulumi.yaml"),
            value=stack,
            message="is no provider's stack",
            remedy=f"select one of {', '.join(project.by_provider)}",
        )
        raise InputError([problem])
    desired = load(project).desired(instant(os.environ.get(AT_VARIABLE)))
    uid = cluster_uid(cluster)
    if cluster.uid not in (None, uid):
        raise PlanRefused([f"{stack}: context {cluster.context!r} leads to the cluster {uid}, not to {cluster.uid}"])
    return Decision(cluster=cluster, tenants=desired.on(stack), cluster_uid=uid)
