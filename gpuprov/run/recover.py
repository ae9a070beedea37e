"""Rebuilds a state that is lost, old or damaged from the clusters, and writes nothing on any cluster but the Lease.

What is on a cluster is taken as it is, whether or not list and ledger want it there: the next `up` or `expire` deals
with that. The turn on the cluster is held while the state is looked at, and again while it is written; so nobody else
is at work then, and what a person was asked about is what is done. Each stack is written as a whole, in one step: a run
that is killed leaves stacks that are done and stacks that are not, and the next one finds the latter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpuprov.core import guard, outputs
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.guard import Confirmed
from gpuprov.core.ledger import LedgerMark, lost, mark
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.outputs import StackOutputs
from gpuprov.core.stackstate import Behind, StackState, Why, award_id_of, behind, ids_of, outputs_of, told
from gpuprov.engine.aside import set_aside
from gpuprov.engine.deployment import EMPTY, read_state, with_resources
from gpuprov.engine.locks import Locks
from gpuprov.engine.stacks import read_deployment
from gpuprov.engine.writes import create, remove, write_deployment
from gpuprov.errors import PlanRefused, Stale
from gpuprov.i18n import tr
from gpuprov.kube.client import KubeApi
from gpuprov.kube.lease import Turn, read_standing, take_turn, until_over
from gpuprov.kube.observe import observe
from gpuprov.load.ledgerfile import read_ledger
from gpuprov.load.project import Project
from gpuprov.run.pipeline import with_unlabelled

_PURPOSE = "gpuprov recover"
_PATIENCE_SECONDS = 30.0
"""How long to wait for Pulumi's lock on a stack: nobody of gpuprov's is at work, so it is somebody's by hand."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What is to be done for one provider: the stacks whose state is not what its cluster has."""

    provider: str
    stacks: tuple[Behind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is there: the cluster's awards, and the states of all stacks of its provider."""

    observed: ObservedCluster
    states: tuple[StackState, ...]
    setup: StackState

    def outputs(self, cluster: ProviderCluster) -> StackOutputs:
        return outputs_of(cluster, self.states)


def find(project: Project, cluster: ProviderCluster) -> Recovery:
    """Return what is to be done for a provider. Raises ClusterError where somebody is at work there, PlanRefused where
    the context leads to another cluster, and EngineError.
    """
    api = KubeApi(cluster)
    with take_turn(cluster, _PURPOSE, patience=until_over(read_standing(cluster, api)), api=api) as turn:
        turn.idle = True
        return _recovery(cluster, _look(project, cluster, api))


def recover(project: Project, cluster: ProviderCluster, confirmed: Recovery, progress: Progress) -> dict[str, str]:
    """Do it; return for each damaged state where it was set aside. Raises what `find` raises, and Stale where there is
    something else to do by now.
    """
    api = KubeApi(cluster)
    with take_turn(cluster, _PURPOSE, patience=0.0, api=api) as turn:
        seen = _look(project, cluster, api)
        if _recovery(cluster, seen) != confirmed:
            turn.idle = True
            raise Stale(tr("{provider}: something has changed meanwhile; rerun the command", provider=cluster.provider))
        aside = _Writer(project=project, cluster=cluster, seen=seen, turn=turn, progress=progress).write(confirmed)
        turn.good = True
        return aside


def _look(project: Project, cluster: ProviderCluster, api: KubeApi) -> _Seen:
    states = [read_state(project.root, project.name, stack) for stack in cluster.stacks]
    more = cluster.left_over(outputs_of(cluster, states).shards)
    states += [read_state(project.root, project.name, stack) for stack in more]
    seen = _Seen(
        observed=with_unlabelled(observe(cluster, api), cluster, told(states)),
        states=tuple(states),
        setup=read_state(project.root, project.name, cluster.setup_stack),
    )
    known = seen.outputs(cluster).cluster_uid
    if wrong := guard.wrong_cluster(seen.observed, cluster, known, Confirmed()):
        raise PlanRefused(wrong)
    return seen


def _recovery(cluster: ProviderCluster, seen: _Seen) -> Recovery:
    stacks = behind(cluster, seen.observed, seen.states)
    if seen.setup.damaged:
        stacks.append(Behind(stack=seen.setup.stack, why=Why.DAMAGED, reason=seen.setup.damaged))
    return Recovery(provider=cluster.provider, stacks=tuple(stacks))


@dataclass(frozen=True, kw_only=True)
class _Writer:
    """Writes the states of one provider's stacks while it has the turn."""

    project: Project
    cluster: ProviderCluster
    seen: _Seen
    turn: Turn
    progress: Progress

    def write(self, recovery: Recovery) -> dict[str, str]:
        """Write each stack anew; return where the damaged ones were set aside."""
        aside: dict[str, str] = {}
        for stack in recovery.stacks:
            self.turn.require_held()
            if stack.why is Why.DAMAGED:
                aside[stack.stack] = set_aside(self.project.root, self.project.name, stack.stack)
            self.progress(tr("writing the state of {stack}", stack=stack.stack))
            self._write(stack)
        return aside

    def _write(self, stack: Behind) -> None:
        from gpuprov.engine.rebuild import rebuilt  # loads Pulumi's SDK

        locks = Locks(root=self.project.root, stack=stack.stack, patience=_PATIENCE_SECONDS, progress=self.progress)
        before = None
        if stack.why is not Why.DAMAGED:
            create(locks)
            before = read_deployment(self.project.root, stack.stack)
        own = self._own(stack)
        if own is None:
            write_deployment(locks, with_resources(before or EMPTY, []))
            if stack.stack != self.cluster.setup_stack:
                remove(locks)
            return
        written = [tenant.as_written(self.cluster) for tenant in own.values()]
        said = self._said() | {outputs.TENANTS: outputs.summary([tenant for tenant in written if tenant is not None])}
        write_deployment(
            locks,
            rebuilt(before, self.project.name, stack.stack, cluster=self.cluster, tenants=own, said=said),
        )

    def _own(self, stack: Behind) -> dict[str, ObservedTenant] | None:
        """Return the tenants that a stack is to have, by award; None where it is emptied: that of the set-up, which
        adopts what there is, and a damaged one that the settings do not have any more.

        Another that they do not have any more keeps what it has until `up` moves it.
        """
        known = ids_of(self.seen.states)
        tenants = {award_id_of(tenant, known): tenant for tenant in self.seen.observed.tenants}
        if stack.stack in self.cluster.stacks:
            return {name: tenant for name, tenant in tenants.items() if self.cluster.stack_of(name) == stack.stack}
        if stack.why is Why.DAMAGED:
            return None
        (state,) = (state for state in self.seen.states if state.stack == stack.stack)
        return {name: tenant for name, tenant in tenants.items() if name in state.awards}

    def _said(self) -> dict[str, Any]:
        """Return what a run that changes nothing would tell. The ledger's mark stays where the ledger has lost events:
        so the guard goes on refusing it.
        """
        known = self.seen.outputs(self.cluster)
        events = read_ledger(self.project.ledger)
        has_lost = known.ledger is not None and lost(events, LedgerMark.from_json(known.ledger)) is not None
        return {
            outputs.UID: self.seen.observed.uid,
            outputs.CONTEXT: self.cluster.context,
            outputs.SHARDS: max(self.cluster.shards, known.shards),  # one has to tell of stacks that are left over
            outputs.PROVIDERS: sorted(known.providers | self.project.by_provider.keys()),
            outputs.LEDGER: known.ledger if has_lost else mark(events).to_json(),
        }
