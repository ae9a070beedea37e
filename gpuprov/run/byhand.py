"""Manual `pulumi up` and `pulumi preview`: the command line's decision for one stack, with the same guard.

Pulumi's order differs from ours (it creates first, and does not wait for pods), so what is unsafe in that order is
refused, with the command that does it safely. While its program runs, `pulumi up` holds the turn on the cluster: no
other command acts meanwhile, and what the decision is based on cannot change.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

from gpuprov import i18n
from gpuprov.core import guard
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.guard import Confirmed
from gpuprov.core.outputs import Origin
from gpuprov.core.tenant import Tenant
from gpuprov.engine.chart import declare_chart
from gpuprov.engine.program import declare, explained, start
from gpuprov.errors import PlanRefused
from gpuprov.i18n import shown, tr
from gpuprov.kube.lease import Turn, take_turn
from gpuprov.kube.observe import cluster_uid
from gpuprov.load.project import Project, find_root, open_project
from gpuprov.run.chart import chart_of
from gpuprov.run.clock import AT_VARIABLE, instant, not_now
from gpuprov.run.loading import load
from gpuprov.run.pipeline import PlanContext, observe_and_plan, refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What one stack declares."""

    cluster: ProviderCluster
    tenants: Sequence[Tenant]
    cluster_uid: str
    origin: Origin


def main() -> None:
    """Be the program of the selected stack: Pulumi starts it in the folder of the program, inside of the project.

    Each project keeps a `stacks/__main__.py` that calls this, so its name and place stay.
    """
    i18n.use(i18n.of_environment(os.environ))
    start(partial(program, find_root(Path.cwd())))


def program(root: Path, stack: str) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return the program of a stack: a provider's awards, or the set-up of its cluster.

    The program raises pulumi.RunError with the reason if it cannot declare the stack.
    """
    return explained(lambda preview: _run(root, stack, preview=preview))


async def _run(root: Path, stack: str, *, preview: bool) -> None:
    project = open_project(root)
    for cluster in project.clusters:
        if stack == cluster.setup_stack:
            administered = cluster.administered
            uid = cluster_uid(administered)
            if reason := administered.not_as_pinned(uid):
                raise PlanRefused([reason])
            await declare_chart(cluster, chart_of(root), uid)
            return
    cluster = project.cluster_of(stack)
    with _turn(cluster, stack, preview=preview) as turn:
        declaration = await asyncio.to_thread(decide, project, stack)
        await declare(declaration.cluster, declaration.tenants, declaration.cluster_uid, declaration.origin)
        if turn is not None:
            turn.good = True


def _turn(cluster: ProviderCluster, stack: str, *, preview: bool) -> AbstractContextManager[Turn | None]:
    """Take the turn without waiting: its holder may be waiting for this stack's lock, which we hold."""
    if preview:
        return nullcontext()
    return take_turn(cluster, f"pulumi up --stack {stack}", patience=0)


def decide(project: Project, stack: str) -> Declaration:
    """Load, observe, plan and guard for the stack. Raises InputError, PlanRefused, EngineError or ClusterError."""
    cluster = project.cluster_of(stack)
    loaded = load(project)
    desired = loaded.desired(_instant(project.programme.zone))
    of_provider = observe_and_plan(loaded, desired, [cluster.provider])
    for error in (*of_provider.failed.values(), *of_provider.unread.values()):
        raise error
    of_stack = of_provider.plan.where(lambda change: cluster.stack_of(change.award_id) == stack)
    planned = replace(of_provider, plan=of_stack)
    (observed,) = planned.observed
    reasons = [
        *_shards(planned, cluster, stack),
        *refusals(planned, Confirmed()),
        *guard.by_hand(planned.plan, desired, observed, cluster),
    ]
    if reasons:
        raise PlanRefused(reasons)
    return Declaration(
        cluster=cluster,
        tenants=[tenant for tenant in desired.on(cluster.provider) if cluster.stack_of(tenant.award_id) == stack],
        cluster_uid=observed.uid,
        origin=planned.origin,
    )


def _shards(planned: PlanContext, cluster: ProviderCluster, stack: str) -> list[str]:
    """Return why awards must be moved to other stacks first; otherwise two stacks would have them."""
    outputs = planned.outputs[cluster.provider]
    if not outputs.tenants or (outputs.shards == cluster.shards and not outputs.misplaced):
        return []
    return [
        tr(
            "{stack}: the state is split into {now} stacks and the configuration says {wanted}; run `gpuprov up`, "
            "which moves it without touching a tenant, then this again",
            stack=stack,
            now=outputs.shards,
            wanted=cluster.shards,
        )
    ]


def _instant(zone: tzinfo) -> datetime:
    """Return the time to decide for; if it is not now, say so on standard error, which Pulumi shows."""
    text = os.environ.get(AT_VARIABLE)
    at = instant(text, zone)
    if text:
        sys.stderr.write(f"{shown(not_now(at, AT_VARIABLE, zone))}\n")
    return at
