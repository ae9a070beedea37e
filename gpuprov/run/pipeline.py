"""The steps before anything is changed: load, decide, observe, plan, guard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gpuprov import guard, naming, outputs, state
from gpuprov.capacity import Excess, excesses, lines, not_over
from gpuprov.cluster import ProviderCluster, stack_names
from gpuprov.errors import GpuprovError, InputError, PlanRefused, Problem
from gpuprov.guard import Confirmed
from gpuprov.ledger import Event, History, histories
from gpuprov.load import load_awards, load_mapping
from gpuprov.observe import find, observe
from gpuprov.observed import ObservedCluster
from gpuprov.outputs import StackOutputs
from gpuprov.plan import Plan, make_plan
from gpuprov.project import Project, read_ledger
from gpuprov.tenant import Desired, desired_state

Progress = Callable[[str, str], None]
"""Called with a provider's name (or an empty text) and a line about what is going on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The award lists with the ledger's events applied. ``warnings`` are worth a look and stop nothing."""

    project: Project
    histories: tuple[History, ...]
    events: tuple[Event, ...]
    excesses: tuple[Excess, ...]
    warnings: tuple[str, ...]

    def desired(self, at: datetime) -> Desired:
        """Return what should exist at an instant. Raises PlanRefused where a pool is exceeded then or later."""
        if exceeded := not_over(self.excesses, at):
            raise PlanRefused(lines(exceeded))
        return desired_state(self.histories, self.project.clusters, at)


def load(project: Project) -> Loaded:
    """Read the award lists and the ledger. Raises InputError with every problem of every file."""
    problems: list[Problem] = []
    awards = []
    events: tuple[Event, ...] = ()
    try:
        columns = None if project.columns is None else load_mapping(project.columns)
        awards = list(load_awards(project.awards, project.clusters, columns).awards)
    except InputError as error:
        problems += error.problems
    try:
        events = read_ledger(project.ledger)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    known = {award.id for award in awards}
    warnings = [
        f"{project.ledger}: {event.event} of {event.award}, which no award list has"
        for event in events
        if event.award not in known
    ]
    all_histories = histories(awards, events)
    allocations = [part for one in all_histories for part in one.allocations]
    return Loaded(
        project=project,
        histories=all_histories,
        events=events,
        excesses=tuple(excesses(allocations, project.clusters)),
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What should be, what is, and the plan between them. ``failed`` has the providers that did not answer."""

    project: Project
    desired: Desired
    observed: tuple[ObservedCluster, ...]
    outputs: Mapping[str, StackOutputs]
    plan: Plan
    failed: Mapping[str, GpuprovError] = field(default_factory=dict)


def look(project: Project, desired: Desired, providers: Collection[str]) -> Situation:
    """Observe the providers' clusters and stacks side by side, and plan. A provider that fails is set aside."""
    clusters = [cluster for cluster in project.clusters if cluster.provider in providers]
    with (
        ThreadPoolExecutor(max_workers=max(1, len(clusters))) as observers,
        ThreadPoolExecutor(max_workers=_PULUMI_AT_ONCE) as readers,
    ):
        seen = {one.provider: observers.submit(observe, one) for one in clusters}
        stacks = {one.provider: _read_stacks(project, one.stacks, readers) for one in clusters}
        there: dict[str, ObservedCluster] = {}
        known: dict[str, StackOutputs] = {}
        failed: dict[str, GpuprovError] = {}
        for cluster in clusters:
            try:
                said = _outputs(project, cluster, stacks[cluster.provider], readers)
                there[cluster.provider] = _with_unlabelled(seen[cluster.provider].result(), cluster, said, desired)
            except GpuprovError as error:
                failed[cluster.provider] = error
                continue
            known[cluster.provider] = said
    observed = tuple(there.values())
    plan = make_plan(desired, observed, project.by_provider)
    return Situation(project=project, desired=desired, observed=observed, outputs=known, plan=plan, failed=failed)


_PULUMI_AT_ONCE = 3
"""Processes of Pulumi that read at once: each holds a stack's whole state in memory."""

_Reading = Future[dict[str, Any] | None]


def _read_stacks(project: Project, stacks: Collection[str], readers: ThreadPoolExecutor) -> dict[str, _Reading]:
    return {stack: readers.submit(state.read_outputs, project.root, stack) for stack in stacks}


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


def _with_unlabelled(
    there: ObservedCluster, cluster: ProviderCluster, said: StackOutputs, desired: Desired
) -> ObservedCluster:
    """Add tenants that a stack knows, that should go, and that the cluster does not list: they may have lost their
    labels. One that should stay is planned as missing, and gets its labels back with the rest.
    """
    names = {naming.namespace(award_id) for award_id in said.tenants}
    names -= {tenant.namespace for tenant in there.tenants} | {one.namespace for one in desired.on(there.provider)}
    return replace(there, tenants=(*there.tenants, *find(cluster, sorted(names)))) if names else there


def check(situation: Situation, confirmed: Confirmed) -> None:
    """Let the guard look at the plan. Raises PlanRefused; nothing was changed then."""
    guard.check(
        situation.plan,
        situation.desired,
        situation.observed,
        situation.project.by_provider,
        {name: one.cluster_uid for name, one in situation.outputs.items() if one.cluster_uid is not None},
        confirmed,
        situation.project.programme_end,
    )


def select(clusters: Sequence[ProviderCluster], providers: Sequence[str]) -> list[str]:
    """Return the names of the providers asked for; all where none is named. Raises InputError for an unknown one."""
    known = [cluster.provider for cluster in clusters]
    problems = [
        Problem(
            file="--provider", value=name, message="is no provider of this project", remedy=f"use {', '.join(known)}"
        )
        for name in providers
        if name not in known
    ]
    if problems:
        raise InputError(problems)
    return [name for name in known if not providers or name in providers]
