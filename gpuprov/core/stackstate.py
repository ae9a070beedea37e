"""What Pulumi's state has of a provider's awards, and where that is not what its cluster has.

The cluster is the truth: what the state has otherwise is old. A state is lost where its stack is gone, or empty, and
the cluster has awards that belong to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gpuprov.core import naming, outputs
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.outputs import TENANTS, StackOutputs, summary


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """The state of one stack. ``outputs`` are None where there is no stack, and empty before its first run.

    ``awards`` are those whose namespace it has, ``bare`` those of which it has entries without one, ``pending`` the
    operations that Pulumi has begun and not ended. ``damaged`` is what Pulumi says of a state that it cannot read; then
    nothing else is known.
    """

    stack: str
    outputs: Mapping[str, Any] | None = None
    awards: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()
    pending: tuple[str, ...] = ()
    damaged: str = ""

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What the stack's outputs say of each award."""
        return (self.outputs or {}).get(TENANTS) or {}

    @property
    def told(self) -> frozenset[str]:
        """The awards that it knows in any way."""
        return self.awards | self.bare | self.recorded.keys()


class Why(StrEnum):
    """What is wrong with a state, the worst first."""

    DAMAGED = "damaged"
    LOST = "lost"
    OLD = "old"
    PENDING = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A stack whose state is not what its cluster has.

    ``unknown`` are awards of the cluster that the state has not, ``gone`` those of the state that the cluster has not,
    ``otherwise`` those of which it has what was there before they were last written. ``reason`` is what Pulumi says of
    a damaged state, which need not be the same when it is asked again.
    """

    stack: str
    why: Why
    unknown: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    reason: str = field(default="", compare=False)


def behind(cluster: ProviderCluster, observed: ObservedCluster, states: Sequence[StackState]) -> list[Behind]:
    """Return the stacks of a provider whose state is not what the cluster has; nothing where all are.

    A namespace that is being deleted may be in the state or not. An award that is in another stack than it belongs to
    is known all the same: the next run moves it.
    """
    facts = _Facts.of(cluster, observed, states)
    found = (_behind(state, facts) for state in states)
    return [stack for stack in found if stack is not None]


def award_id_of(live: ObservedTenant, known: Mapping[str, str]) -> str:
    """Return the id of the award that a namespace belongs to: what it says itself where its own name proves it, else
    the one that is ``known`` by the namespace's name, else that name without what all have in front.
    """
    said = live.award_id
    if naming.namespace(said) == live.namespace:
        return said
    return known.get(live.namespace, live.namespace.removeprefix(naming.PREFIX))


def outputs_of(cluster: ProviderCluster, states: Sequence[StackState]) -> StackOutputs:
    """Return the outputs of a provider's stacks, as far as they could be read, taken together."""
    return outputs.read(cluster, {state.stack: state.outputs for state in states})


def told(states: Sequence[StackState]) -> frozenset[str]:
    """Return the awards that any of the states knows."""
    return frozenset(award_id for state in states for award_id in state.told)


def ids_of(states: Sequence[StackState]) -> dict[str, str]:
    """Return the ids of the awards that the states know, by namespace."""
    return {naming.namespace(award_id): award_id for award_id in told(states)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the cluster has, by award, and which of these any state knows."""

    live: Mapping[str, ObservedTenant]
    stack_of: Mapping[str, str]
    written: Mapping[str, Mapping[str, Any]]
    known: frozenset[str]

    @classmethod
    def of(cls, cluster: ProviderCluster, observed: ObservedCluster, states: Sequence[StackState]) -> _Facts:
        known = ids_of(states)
        live = {award_id_of(tenant, known): tenant for tenant in observed.tenants}
        tenants = [tenant.as_written(cluster) for tenant in live.values() if not tenant.terminating]
        return cls(
            live=live,
            stack_of={award_id: cluster.stack_of(award_id) for award_id in live},
            written=summary([tenant for tenant in tenants if tenant is not None]),
            known=frozenset(award_id for state in states for award_id in state.awards),
        )


def _behind(state: StackState, facts: _Facts) -> Behind | None:
    own = sorted(
        award_id
        for award_id, stack in facts.stack_of.items()
        if stack == state.stack and not facts.live[award_id].terminating
    )
    if state.damaged:
        return Behind(stack=state.stack, why=Why.DAMAGED, unknown=tuple(own), reason=state.damaged)
    unknown = tuple(award_id for award_id in own if award_id not in facts.known)
    gone = tuple(sorted(state.told - facts.live.keys()))
    otherwise = tuple(
        award_id
        for award_id in sorted(state.awards & facts.written.keys())
        if state.recorded.get(award_id) != facts.written[award_id]
    )
    if not (unknown or gone or otherwise or state.pending):
        return None
    lost = not (state.outputs or state.awards)
    differs = bool(unknown or gone or otherwise)
    return Behind(
        stack=state.stack,
        why=Why.LOST if lost else Why.OLD if differs else Why.PENDING,
        unknown=unknown,
        gone=gone,
        otherwise=otherwise,
        pending=state.pending,
    )
