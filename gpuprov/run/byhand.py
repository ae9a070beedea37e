"""The decision for `pulumi up` typed by hand: the same as the command line's, for one stack."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpuprov.cluster import ProviderCluster
from gpuprov.errors import InputError, PlanRefused, Problem
from gpuprov.observe import cluster_uid
from gpuprov.project import open_project
from gpuprov.run.clock import AT_VARIABLE, instant
from gpuprov.run.pipeline import load
from gpuprov.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one stack has to declare."""

    cluster: ProviderCluster
    tenants: Sequence[Tenant]
    cluster_uid: str


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
