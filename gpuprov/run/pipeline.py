"""The steps between a decision and its execution: observe, plan, guard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gpuprov.core import guard, naming, outputs
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.guard import Confirmed
from gpuprov.core.ledger import Event, LedgerMark, lost, mark
from gpuprov.core.observed import ObservedCluster
from gpuprov.core.outputs import Origin, StackOutputs
from gpuprov.core.plan import Op, Plan, make_plan
from gpuprov.core.suggestions import did_you_mean
from gpuprov.core.suppliers import departed, shared_clusters
from gpuprov.core.tenant import Desired
from gpuprov.core.termguard import outrun
from gpuprov.engine.stacks import read_outputs
from gpuprov.errors import ClusterError, EngineError, GpuprovError, InputError, PlanRefused, Problem
from gpuprov.i18n import tr
from gpuprov.kube.observe import find, observe, read_back
from gpuprov.kube.usage import pods_on
from gpuprov.load.project import Project
from gpuprov.run.aside import read_all
from gpuprov.run.loading import Loaded

Progress = Callable[[str, str], None]
"""Called with a provider's name (or an empty text) and a line of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """The desired state, the observed state and the plan. ``failed`` are the providers that could not be read.

    ``unread`` are those whose cluster answered but whose Pulumi state could not be read: there the plan only contains
    explained reclaims. ``files`` and ``origin`` are what the plan is based on.
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

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know though it stops nothing: awards that a term guard is about to end too early."""
        found = outrun(self.desired, self.observed, self.project.by_provider)
        return tuple(item.sentence for item in found)

    def origin_with(self, events: Sequence[Event]) -> Origin:
        """Return what a run that is based on these events too writes to its stacks' outputs."""
        return self.origin.model_copy(update={"ledger": mark([*self.events, *events]).to_json()})


def observe_and_plan(loaded: Loaded, desired: Desired, providers: Collection[str]) -> PlanContext:
    """Observe the providers' clusters and stacks in parallel, and plan. A provider that fails is set aside."""
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
    """Read clusters and stacks in parallel. If only the state cannot be read, a pinned UID identifies the cluster."""
    seen = _Seen()
    with (
        ThreadPoolExecutor(max_workers=max(1, len(clusters))) as observers,
        ThreadPoolExecutor(max_workers=PULUMI_AT_ONCE) as readers,
    ):
        observations = {cluster.provider: observers.submit(observe, cluster) for cluster in clusters}
        stacks = {cluster.provider: _read_stacks(project, cluster.stacks, readers) for cluster in clusters}
        for cluster in clusters:
            name = cluster.provider
            try:
                observed = observations[name].result()
                try:
                    outputs = _outputs(project, cluster, stacks[name], readers)
                except EngineError as error:
                    if cluster.uid is None:
                        raise
                    seen.unread[name], outputs = error, StackOutputs()
                seen.observed[name] = with_unlabelled(observed, cluster, outputs.tenants)
                seen.outputs[name] = outputs
            except GpuprovError as error:
                seen.failed[name] = error
    return seen


def living(
    clusters: Sequence[ProviderCluster], besides: Collection[str], award_ids: Collection[str]
) -> tuple[set[str], dict[str, GpuprovError]]:
    """Return the providers, except ``besides``, on whose clusters any of the awards has a namespace: a list may have
    moved the award. Also return the error of each cluster that could not be read.
    """
    names = [naming.namespace(award_id) for award_id in award_ids]
    others = [cluster for cluster in clusters if cluster.provider not in besides]
    reads = {cluster.provider: partial(read_back, cluster, names) for cluster in others}
    tenants_by_provider, errors = read_all(reads, ClusterError)
    failed: dict[str, GpuprovError] = {}
    for provider, error in errors.items():
        message = tr("it is not known whether the awards have namespaces here too: {error}", error=error.message)
        failed[provider] = ClusterError(provider, message)
    return {provider for provider, tenants in tenants_by_provider.items() if tenants}, failed


def _with_pods(
    observed: Mapping[str, ObservedCluster],
    plan: Plan,
    clusters: Mapping[str, ProviderCluster],
    failed: dict[str, GpuprovError],
) -> tuple[ObservedCluster, ...]:
    """Add the GPUs that pods hold, on clusters where anything is granted: a quota does not count all of them.

    A cluster that fails here is set aside.
    """
    granting = [name for name in observed if any(change.grows for change in plan.on(name))]
    pods, errors = read_all({name: partial(pods_on, clusters[name], None) for name in granting}, GpuprovError)
    failed.update(errors)
    return tuple(
        cluster.with_pods(pods[name]) if name in pods else cluster
        for name, cluster in observed.items()
        if name not in errors
    )


PULUMI_AT_ONCE = 3
"""How many Pulumi processes read at once: each holds a stack's whole state in memory."""

_Reading = Future[dict[str, Any] | None]


def _read_stacks(project: Project, stacks: Collection[str], readers: ThreadPoolExecutor) -> dict[str, _Reading]:
    return {stack: readers.submit(read_outputs, project.root, stack) for stack in stacks}


def _outputs(
    project: Project, cluster: ProviderCluster, reading: Mapping[str, _Reading], readers: ThreadPoolExecutor
) -> StackOutputs:
    """Return the combined outputs of a provider's stacks, including stacks left over from a larger shard count."""
    printed = {stack: future.result() for stack, future in reading.items()}
    combined = outputs.read(cluster, printed)
    more = cluster.left_over(combined.shards)
    if not more:
        return combined
    added = _read_stacks(project, more, readers)
    return outputs.read(cluster, printed | {stack: future.result() for stack, future in added.items()})


def with_unlabelled(observed: ObservedCluster, cluster: ProviderCluster, award_ids: Collection[str]) -> ObservedCluster:
    """Add the tenants of awards that the state knows and that are not in the cluster's list: they may have lost their
    labels, and still hold GPUs. Those that should stay get their labels back like any other field.
    """
    listed = {tenant.namespace for tenant in observed.tenants}
    names = {naming.namespace(award_id) for award_id in award_ids} - listed
    return replace(observed, tenants=(*observed.tenants, *find(cluster, sorted(names)))) if names else observed


def check(planned: PlanContext, confirmed: Confirmed) -> None:
    """Check the plan with the guard. Raises PlanRefused with all its reasons, before anything is changed."""
    reasons = refusals(planned, confirmed)
    if reasons:
        raise PlanRefused(reasons)


def refusals(planned: PlanContext, confirmed: Confirmed) -> list[str]:
    """Return the guard's reasons to refuse the plan.

    A plan that only reclaims is not held up by a supplier that is gone, nor by a ledger that has lost events.
    """
    project, known = planned.project, planned.outputs
    reasons = guard.reasons(
        planned.plan,
        planned.desired,
        planned.observed,
        project.by_provider,
        {name: recorded.cluster_uid for name, recorded in known.items() if recorded.cluster_uid is not None},
        confirmed,
        project.programme.end,
    )
    uids = {cluster.provider: cluster.uid for cluster in project.clusters if cluster.uid}
    reasons += shared_clusters(uids | {observed.provider: observed.uid for observed in planned.observed})
    if all(change.op is Op.RECLAIM for change in planned.plan.changes):
        return reasons
    providers = {name for recorded in known.values() for name in recorded.providers}
    reasons += departed(providers, project.by_provider.keys(), project.retired)
    return reasons + ([] if confirmed.ledger else lost_events(planned))


def lost_events(planned: PlanContext) -> list[str]:
    """Return why the ledger is not the one that was applied: it has lost events, or has other events in their place."""
    return ledger_losses(planned.project, planned.events, planned.outputs.values())


def ledger_losses(project: Project, events: Sequence[Event], known: Iterable[StackOutputs]) -> list[str]:
    """Return the same for what the stacks' outputs tell of the ledger."""
    marks = [LedgerMark.from_json(recorded.ledger) for recorded in known if recorded.ledger]
    longest = max(marks, key=lambda mark: mark.count, default=None)
    reason = None if longest is None else lost(events, longest)
    return [] if reason is None else [tr("{file}: {reason}", file=project.ledger.name, reason=reason)]


def select(clusters: Sequence[ProviderCluster], providers: Sequence[str]) -> list[str]:
    """Return the names of the providers asked for; all if none is named. Raises InputError for an unknown provider."""
    known = [cluster.provider for cluster in clusters]
    problems = [
        Problem(
            argument="--provider",
            value=name,
            message=tr("is not a provider of this project"),
            remedy=tr("use {providers}{suggestion}", providers=", ".join(known), suggestion=did_you_mean(name, known)),
        )
        for name in providers
        if name not in known
    ]
    if problems:
        raise InputError(problems)
    return [name for name in known if not providers or name in providers]
