"""The steps between a decision and its execution: observe, plan, guard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gpuprov.core import guard, naming, outputs
from gpuprov.core.cluster import ProviderCluster, stack_names
from gpuprov.core.guard import Confirmed
from gpuprov.core.ledger import Event, LedgerMark, lost, mark
from gpuprov.core.observed import ObservedCluster
from gpuprov.core.outputs import Origin, StackOutputs
from gpuprov.core.plan import Op, Plan, make_plan
from gpuprov.core.suppliers import departed, shared_clusters
from gpuprov.core.tenant import Desired
from gpuprov.engine.stacks import read_outputs
from gpuprov.errors import ClusterError, EngineError, GpuprovError, InputError, PlanRefused, Problem
from gpuprov.kube.observe import find, observe, read_back
from gpuprov.kube.usage import pods_on
from gpuprov.load.project import Project
from gpuprov.run.aside import read_all
from gpuprov.run.loading import Loaded

Progress = Callable[[str, str], None]
"""Called with a provider's name (or an empty text) and a line about what is going on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """What should be, what is, and the plan between them. ``failed`` has the providers that did not answer.

    ``unread`` are those whose cluster answered and whose state could not be read: there the plan only takes back what
    is explained. ``files`` and ``origin`` are what it was decided from.
    """

    project: Project
    files: Mapping[str, str]
    origin: Origin
    events: tuple[Event, ...]
    desired: Desired
    observed: tuple[ObservedCluster, ...]
    outputs: Mapping[str, StackOutputs]
    plan: Plan
    failed: Mapping[str, GpuprovError] = field(default_factory=dict)
    unread: Mapping[str, EngineError] = field(default_factory=dict)

    def origin_with(self, events: Sequence[Event]) -> Origin:
        """Return what a run leaves in its stacks' outputs that rests on these events too."""
        return self.origin.model_copy(update={"ledger": mark([*self.events, *events]).to_json()})


def observe_and_plan(loaded: Loaded, desired: Desired, providers: Collection[str]) -> PlanContext:
    """Observe the providers' clusters and stacks side by side, and plan. A provider that fails is set aside."""
    project = loaded.project
    seen = _read(project, [cluster for cluster in project.clusters if cluster.provider in providers])
    plan = make_plan(desired, tuple(seen.observed.values()), project.by_provider)
    plan = plan.where(
        lambda change: change.provider not in seen.unread or (change.op is Op.RECLAIM and change.expected)
    )
    observed = _with_pods(seen.observed, plan, project.by_provider, seen.failed)
    return PlanContext(
        project=project,
        files=loaded.files,
        origin=loaded.origin,
        events=loaded.events,
        desired=desired,
        observed=observed,
        outputs=seen.outputs,
        plan=plan.where(lambda change: change.provider not in seen.failed),
        failed=seen.failed,
        unread=seen.unread,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What could be read of the providers' clusters and stacks."""

    observed: dict[str, ObservedCluster] = field(default_factory=dict)
    outputs: dict[str, StackOutputs] = field(default_factory=dict)
    failed: dict[str, GpuprovError] = field(default_factory=dict)
    unread: dict[str, EngineError] = field(default_factory=dict)


def _read(project: Project, clusters: Sequence[ProviderCluster]) -> _Seen:
    """Read clusters and stacks side by side. Where only the state cannot be read, a pinned UID tells the cluster."""
    seen = _Seen()
    with (
        ThreadPoolExecutor(max_workers=max(1, len(clusters))) as observers,
        ThreadPoolExecutor(max_workers=_PULUMI_AT_ONCE) as readers,
    ):
        reading = {one.provider: observers.submit(observe, one) for one in clusters}
        stacks = {one.provider: _read_stacks(project, one.stacks, readers) for one in clusters}
        for cluster in clusters:
            name = cluster.provider
            try:
                found = reading[name].result()
                try:
                    outputs = _outputs(project, cluster, stacks[name], readers)
                except EngineError as error:
                    if cluster.uid is None:
                        raise
                    seen.unread[name], outputs = error, StackOutputs()
                seen.observed[name] = _with_unlabelled(found, cluster, outputs)
                seen.outputs[name] = outputs
            except GpuprovError as error:
                seen.failed[name] = error
    return seen


def living(
    clusters: Sequence[ProviderCluster], besides: Collection[str], award_ids: Collection[str]
) -> tuple[set[str], dict[str, GpuprovError]]:
    """Return the providers besides some on whose clusters any of the awards has a namespace: a list may have moved it.

    With the error of each cluster that cannot tell.
    """
    names = [naming.namespace(award_id) for award_id in award_ids]
    others = [cluster for cluster in clusters if cluster.provider not in besides]
    tenants, errors = read_all({one.provider: partial(read_back, one, names) for one in others}, ClusterError)
    unknown = "whether the awards have something here too is not known"
    failed: dict[str, GpuprovError] = {
        provider: ClusterError(provider, f"{unknown}: {error.message}") for provider, error in errors.items()
    }
    return {provider for provider, found in tenants.items() if found}, failed


def _with_pods(
    there: Mapping[str, ObservedCluster],
    plan: Plan,
    clusters: Mapping[str, ProviderCluster],
    failed: dict[str, GpuprovError],
) -> tuple[ObservedCluster, ...]:
    """Add what pods hold, where anything is to be granted: a quota does not charge all of it.

    A cluster that fails meanwhile is set aside.
    """
    granting = [name for name in there if any(change.grows for change in plan.on(name))]
    pods, errors = read_all({name: partial(pods_on, clusters[name], None) for name in granting}, GpuprovError)
    failed.update(errors)
    return tuple(
        observed.with_pods(pods[name]) if name in pods else observed
        for name, observed in there.items()
        if name not in errors
    )


_PULUMI_AT_ONCE = 3
"""Processes of Pulumi that read at once: each holds a stack's whole state in memory."""

_Reading = Future[dict[str, Any] | None]


def _read_stacks(project: Project, stacks: Collection[str], readers: ThreadPoolExecutor) -> dict[str, _Reading]:
    return {stack: readers.submit(read_outputs, project.root, stack) for stack in stacks}


def _outputs(
    project: Project, cluster: ProviderCluster, reading: Mapping[str, _Reading], readers: ThreadPoolExecutor
) -> StackOutputs:
    """Return what all stacks of a provider say, also those that it has no more since it has fewer shards."""
    printed = {stack: one.result() for stack, one in reading.items()}
    said = outputs.read(cluster, printed)
    more = [stack for stack in stack_names(cluster.provider, said.shards) if stack not in printed]
    if not more:
        return said
    also = _read_stacks(project, more, readers)
    return outputs.read(cluster, printed | {stack: one.result() for stack, one in also.items()})


def _with_unlabelled(there: ObservedCluster, cluster: ProviderCluster, said: StackOutputs) -> ObservedCluster:
    """Add tenants that a stack knows and that the cluster does not list: they may have lost their labels, and hold
    GPUs all the same. One that should stay gets its labels back with the rest.
    """
    names = {naming.namespace(award_id) for award_id in said.tenants} - {tenant.namespace for tenant in there.tenants}
    return replace(there, tenants=(*there.tenants, *find(cluster, sorted(names)))) if names else there


def check(planned: PlanContext, confirmed: Confirmed) -> None:
    """Let the guard look at the plan. Raises PlanRefused with all that it refuses; nothing was changed then."""
    found = refusals(planned, confirmed)
    if found:
        raise PlanRefused(found)


def refusals(planned: PlanContext, confirmed: Confirmed) -> list[str]:
    """Return what the guard refuses of the plan.

    A plan that only takes back is not held up by a supplier that is gone, nor by a ledger that is shorter than it was.
    """
    project, known = planned.project, planned.outputs
    found = guard.reasons(
        planned.plan,
        planned.desired,
        planned.observed,
        project.by_provider,
        {name: one.cluster_uid for name, one in known.items() if one.cluster_uid is not None},
        confirmed,
        project.programme.end,
    )
    uids = {cluster.provider: cluster.uid for cluster in project.clusters if cluster.uid}
    found += shared_clusters(uids | {there.provider: there.uid for there in planned.observed})
    if all(change.op is Op.RECLAIM for change in planned.plan.changes):
        return found
    providers = {name for one in known.values() for name in one.providers}
    found += departed(providers, project.by_provider.keys(), project.retired)
    return found + ([] if confirmed.ledger else lost_events(planned))


def lost_events(planned: PlanContext) -> list[str]:
    """Return why the ledger cannot be the one that was applied: it has lost events, or has others in their place."""
    marks = [LedgerMark.from_json(one.ledger) for one in planned.outputs.values() if one.ledger]
    longest = max(marks, key=lambda mark: mark.count, default=None)
    reason = None if longest is None else lost(planned.events, longest)
    return [] if reason is None else [f"{planned.project.ledger.name}: {reason}"]


def select(clusters: Sequence[ProviderCluster], providers: Sequence[str]) -> list[str]:
    """Return the names of the providers asked for; all where none is named. Raises InputError for an unknown one."""
    known = [cluster.provider for cluster in clusters]
    problems = [
        Problem(
            argument="--provider",
            value=name,
            message="is not a provider of this project",
            remedy=f"use {', '.join(known)}",
        )
        for name in providers
        if name not in known
    ]
    if problems:
        raise InputError(problems)
    return [name for name in known if not providers or name in providers]
