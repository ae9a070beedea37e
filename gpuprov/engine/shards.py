"""Moves awards between the stacks that share a provider: in the state only, no tenant is touched.

A deployment is what `pulumi stack export` prints. To move an award, its resources are written to the new stack's
deployment, with that stack's name in every URN, and then removed from the old stack's. Which deployments to write, and
in which order, is a pure function here. All stacks that gain awards are written before any that loses some: a run
killed in between leaves an award in two states, which the next run corrects, and never in none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.engine.deployment import Deployment, Part, Resource, resources_of, with_resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The deployments to write, with their stacks, in this order; a run may be killed after any of them.

    ``awards`` is how many awards move. A stack whose deployment ends up empty is one that the provider no longer has;
    it can then be removed.
    """

    writes: tuple[tuple[str, Deployment], ...]
    awards: int


def move(deployments: Mapping[str, Deployment], project: str, cluster: ProviderCluster) -> Moved:
    """Return the writes that put every award into the stack of ``cluster`` that it belongs to.

    Each of these stacks must have a deployment, even if it is empty; other stacks lose everything. If several stacks
    have an award, its own stack's version is kept. While anything is left to do, the outputs of some stack say so: they
    list each award that is still elsewhere, and those of the provider's first stack, which is written last, have the
    highest number of shards so far.
    """
    parts = {stack: Part(stack, project, resources_of(deployment)) for stack, deployment in deployments.items()}
    model = next((part for part in parts.values() if part.provider is not None), None)
    if model is None:  # nothing was ever applied
        return Moved(writes=(), awards=0)
    gains = _gains(parts, cluster, model)
    highest = max(cluster.shards, *(part.shards for part in parts.values()))
    gaining: list[tuple[str, Deployment]] = []
    losing: list[tuple[str, Deployment]] = []
    for stack, part in parts.items():
        recorded = _recorded(parts.values(), stack, cluster.stack_of)
        everything = [*part.base(dict(part.recorded) | recorded, highest), *part.of(part.awards), *gains[stack]]
        gaining.append((stack, with_resources(deployments[stack], everything)))
        own = {award_id for award_id in part.awards if cluster.stack_of(award_id) == stack}
        remaining = (
            [*part.base(recorded, cluster.shards), *part.of(own), *gains[stack]] if stack in cluster.stacks else []
        )
        losing.append((stack, with_resources(deployments[stack], remaining)))
    losing.sort(key=lambda write: (write[0] in cluster.stacks, write[0] == cluster.provider))
    misplaced = {
        award_id for part in parts.values() for award_id in part.awards if cluster.stack_of(award_id) != part.stack
    }
    return Moved(writes=_changes(deployments, [*gaining, *losing]), awards=len(misplaced))


def _gains(parts: Mapping[str, Part], cluster: ProviderCluster, model: Part) -> dict[str, list[Resource]]:
    """Return the resources that each stack gets from others, without duplicates, renamed for that stack."""
    gains: dict[str, list[Resource]] = {stack: [] for stack in parts}
    gained: set[str] = set()
    for part in parts.values():
        for award_id, resources in part.awards.items():
            home = parts[cluster.stack_of(award_id)]
            if home is not part and award_id not in home.awards and award_id not in gained:
                gained.add(award_id)
                home.furnish(model)
                gains[home.stack] += [part.renamed(resource, home) for resource in resources]
    return gains


def _changes(
    deployments: Mapping[str, Deployment], writes: Sequence[tuple[str, Deployment]]
) -> tuple[tuple[str, Deployment], ...]:
    """Return the writes without those that change nothing."""
    current = dict(deployments)
    changes = []
    for stack, deployment in writes:
        if list(resources_of(deployment)) != list(resources_of(current[stack])):
            changes.append((stack, deployment))
            current[stack] = deployment
    return tuple(changes)


def _recorded(parts: Collection[Part], stack: str, stack_of: Callable[[str], str]) -> dict[str, Any]:
    """Return what the outputs say of a stack's awards; the stack's own outputs win over those of other stacks."""
    recorded: dict[str, Any] = {}
    for part in sorted(parts, key=lambda candidate: candidate.stack == stack):
        recorded |= {award_id: record for award_id, record in part.recorded.items() if stack_of(award_id) == stack}
    return recorded
