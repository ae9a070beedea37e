"""The decision for `pulumi up` typed by hand: the same as the command line's, for one stack."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from gpuprov import outputs, state
from gpuprov.chart import declare_chart
from gpuprov.cluster import ProviderCluster
from gpuprov.errors import InputError, PlanRefused, Problem
from gpuprov.observe import cluster_uid
from gpuprov.program import declare
from gpuprov.project import open_project
from gpuprov.run.clock import AT_VARIABLE, instant, not_now
from gpuprov.run.pipeline import load
from gpuprov.run.setup import chart_of
from gpuprov.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one stack has to declare."""

    cluster: ProviderCluster
    tenants: Sequence[Tenant]
    cluster_uid: str


def program(root: Path, stack: str) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return the program of a stack: a provider's awards, or the set-up of its cluster. Raises what `decide` raises."""
    for cluster in open_project(root).clusters:
        if stack == cluster.setup_stack:
            return partial(declare_chart, cluster, chart_of(root), cluster_uid(cluster.administered))
    what = decide(root, stack)
    return partial(declare, what.cluster, what.tenants, what.cluster_uid)


def decide(root: Path, stack: str) -> Decision:
    """Load, validate and decide for the stack. Raises InputError, PlanRefused, EngineError or ClusterUnreachable."""
    project = open_project(root)
    stacks = {name: cluster for cluster in project.clusters for name in cluster.stacks}
    cluster = stacks.get(stack)
    if cluster is None:
        problem = Problem(
            file=str(root / "Pulumi.yaml"),
            value=stack,
            message="is no provider's stack",
            remedy=f"select one of {', '.join(stacks)}",
        )
        raise InputError([problem])
    tenants = load(project).desired(_instant()).on(cluster.provider)
    uid = cluster_uid(cluster)
    if cluster.uid not in (None, uid):
        raise PlanRefused([f"{stack}: context {cluster.context!r} leads to the cluster {uid}, not to {cluster.uid}"])
    said = outputs.read(cluster, {cluster.provider: state.read_outputs(root, cluster.provider)})
    if said.tenants and said.shards != cluster.shards:
        raise PlanRefused(
            [
                (
                    f"{stack}: the state is split into {said.shards} stacks and the configuration says "
                    f"{cluster.shards}; give `gpuprov up`, which moves it without touching a tenant, then this again"
                )
            ]
        )
    return Decision(
        cluster=cluster,
        tenants=[tenant for tenant in tenants if cluster.stack_of(tenant.award_id) == stack],
        cluster_uid=uid,
    )


def _instant() -> datetime:
    """Return the instant to decide for, and say on standard error, which Pulumi shows, where it is not now."""
    text = os.environ.get(AT_VARIABLE)
    at = instant(text)
    if text:
        sys.stderr.write(f"{not_now(at, AT_VARIABLE)}\n")
    return at
