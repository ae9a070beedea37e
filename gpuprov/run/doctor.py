"""Reads list, ledger, leases, locks, state and clusters side by side for a diagnosis, and changes nothing.

What cannot be read is told, and keeps nothing else from being diagnosed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from gpuprov.core.capacity import lines, not_over
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.diagnosis import Finding, Papers, View, diagnose
from gpuprov.core.stackstate import StackState, outputs_of, told
from gpuprov.core.standing import Standing
from gpuprov.core.suppliers import departed, shared_clusters
from gpuprov.engine.deployment import read_state
from gpuprov.engine.locks import Holder, holder, locks_of
from gpuprov.engine.writes import lock_on
from gpuprov.errors import ClusterError, GpuprovError, InputError
from gpuprov.i18n import joined, tr
from gpuprov.kube.client import KubeApi
from gpuprov.kube.lease import read_standing
from gpuprov.kube.observe import observe
from gpuprov.kube.reading import read_chart
from gpuprov.load.project import Project
from gpuprov.preflight import Result, policies
from gpuprov.run.chart import chart_version
from gpuprov.run.git import GitError, Repository
from gpuprov.run.loading import Loaded, load
from gpuprov.run.pipeline import PULUMI_AT_ONCE, ledger_losses, with_unlabelled

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found; ``notes`` are for the reader, ``unread`` says by provider what could not be read."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    unread: Mapping[str, str]


def examine(project: Project, providers: Collection[str], at: datetime) -> Diagnosis:
    """Diagnose the project and these providers, for an instant. Raises nothing of what cannot be read."""
    clusters = [cluster for cluster in project.clusters if cluster.provider in providers]
    loaded: Loaded | None = None
    problems: tuple[str, ...] = ()
    try:
        loaded = load(project)
    except InputError as error:
        problems = tuple(problem.sentence for problem in error.problems)
    looks = _look_at(project, clusters)
    views = [look.view for look in looks]
    notes = [note for look in looks for note in look.notes]
    unread = {look.view.provider: joined("; ", look.errors) for look in looks if look.errors}
    findings = diagnose(_papers(project, loaded, problems, views, at), views)
    return Diagnosis(findings=tuple(findings), notes=tuple(notes), unread=unread)


def _papers(
    project: Project, loaded: Loaded | None, problems: tuple[str, ...], views: Sequence[View], at: datetime
) -> Papers:
    uids = {cluster.provider: cluster.uid for cluster in project.clusters if cluster.uid}
    uids |= {view.provider: view.observed.uid for view in views if view.observed is not None}
    known = [view.outputs for view in views]
    uncommitted, tracked = _uncommitted(project)
    return Papers(
        desired=None if loaded is None else loaded.wanted(at),
        problems=problems,
        excesses=() if loaded is None else tuple(lines(not_over(loaded.excesses, at))),
        departed=tuple(
            departed({name for of in known for name in of.providers}, project.by_provider.keys(), project.retired)
        ),
        shared=tuple(shared_clusters(uids)),
        lost=() if loaded is None else tuple(ledger_losses(project, loaded.events, known)),
        uncommitted=uncommitted,
        tracked=tracked,
    )


def _uncommitted(project: Project) -> tuple[str | None, bool]:
    """Return the ledger's path where git has not all of its lines, and whether git knows the file at all.

    Outside of a repository, or where git is told to ignore it, nothing is to be said.
    """
    path = os.path.relpath(project.ledger, project.root)
    try:
        if not project.ledger.stat().st_size:
            return None, True
        # Without the option git would write down what it has seen of the files.
        status = Repository(project.root).run(
            "--no-optional-locks", "status", "--porcelain", "--untracked-files=all", "--", path
        )
    except (OSError, GitError):
        return None, True
    return (path, not status.startswith("??")) if status else (None, True)


@dataclass(kw_only=True)
class _Look:
    """One look at a provider: what was read, and what could not be."""

    project: Project
    cluster: ProviderCluster
    engines: ThreadPoolExecutor
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    view: View = field(init=False)

    def run(self) -> None:
        """Read everything; the cluster answers while Pulumi starts."""
        reading = self._start(self.cluster.stacks)
        setup = self.engines.submit(self._state, self.cluster.setup_stack)
        api = self._tried(lambda: KubeApi(self.cluster))
        standing = self._tried(lambda: read_standing(self.cluster, api)) if api else None
        observed = self._tried(lambda: observe(self.cluster, api)) if api else None
        states = self._rest(self._ended(reading))
        if observed is not None:
            seen = observed
            observed = self._tried(lambda: with_unlabelled(seen, self.cluster, told(states)))
        self.view = View(
            cluster=self.cluster,
            observed=observed,
            standing=standing,
            states=states,
            setup=self._tried(setup.result),
            locks=self._locks(states) if self._is_idle(standing) else {},
            outdated=(self._tried(lambda: _outdated(self.project, api)) or "") if api and observed else "",
        )

    def _is_idle(self, standing: Standing | None) -> bool:
        """Tell whether nobody is at work on the cluster; say so where somebody is."""
        if standing is None:
            return False
        if standing.at_work:
            note = tr(
                "{provider}: {holder} is at work there since {since}: what differs may be what it is about to change",
                provider=self.cluster.provider,
                holder=standing.holder,
                since=standing.since,
            )
            self.notes.append(note)
        return not standing.at_work

    def _start(self, stacks: Sequence[str]) -> list[Future[StackState]]:
        return [self.engines.submit(self._state, stack) for stack in stacks]

    def _ended(self, reading: Sequence[Future[StackState]]) -> tuple[StackState, ...]:
        states = [self._tried(future.result) for future in reading]
        return tuple(state for state in states if state is not None)

    def _rest(self, states: tuple[StackState, ...]) -> tuple[StackState, ...]:
        """Read also the stacks that are left of a larger number of shards."""
        more = self.cluster.left_over(outputs_of(self.cluster, states).shards)
        return (*states, *self._ended(self._start(more)))

    def _state(self, stack: str) -> StackState:
        return read_state(self.project.root, self.project.name, stack)

    def _locks(self, states: Sequence[StackState]) -> dict[str, tuple[str, ...]]:
        existing = [state.stack for state in states if state.outputs is not None or state.damaged]
        asking = {stack: self.engines.submit(self._owners, stack) for stack in existing}
        owners = {stack: self._tried(future.result) for stack, future in asking.items()}
        return {stack: names for stack, names in owners.items() if names}

    def _owners(self, stack: str) -> tuple[str, ...]:
        """Return who has the stack's locks, unless it is a process of ours that runs."""
        complaint = lock_on(self.project.root, stack)
        if complaint is None or holder(self.project.root, stack, str(complaint)) is Holder.RUNNING:
            return ()
        return tuple(lock.words for lock in locks_of(str(complaint)))

    def _tried(self, work: Callable[[], T]) -> T | None:
        """Return what a reading returns; None where it fails, which is told once."""
        try:
            return work()
        except GpuprovError as error:
            message = error.message if isinstance(error, ClusterError) else error.message_text
            if message not in self.errors:
                self.errors.append(message)
            return None


def _outdated(project: Project, api: KubeApi) -> str:
    """Return what is to be said of the chart's version on the cluster; empty where it is the project's."""
    admission_policies, bindings, _ = read_chart(api)
    found = policies.check(admission_policies, bindings, chart_version(project))
    return next((finding.seen for finding in found if finding.result is Result.WARNING), "")


def _look_at(project: Project, clusters: Sequence[ProviderCluster]) -> list[_Look]:
    """Look at the providers side by side."""
    with (
        ThreadPoolExecutor(max_workers=PULUMI_AT_ONCE) as engines,
        ThreadPoolExecutor(max_workers=max(1, len(clusters))) as lookers,
    ):
        looks = [_Look(project=project, cluster=cluster, engines=engines) for cluster in clusters]
        looking: list[Future[None]] = [lookers.submit(look.run) for look in looks]
        for future in looking:
            future.result()
    return looks
