"""Moves awards between the stacks that share a provider: in the state only, no tenant is touched.

A deployment is what `pulumi stack export` prints. To move an award, its resources are written to the new stack's
deployment, with that stack's name in every URN, and then removed from the old stack's. Which deployments to write, and
in which order, is a pure function here. All stacks that gain awards are written before any that loses some: a run
killed in between leaves an award in two states, which the next run corrects, and never in none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuprov.core import outputs
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import TENANT_TYPE

Resource = Mapping[str, Any]
Deployment = Mapping[str, Any]

_STACK = "pulumi:pulumi:Stack"
_PROVIDER = "pulumi:providers:kubernetes"


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
    parts = {stack: _Part(stack, project, _resources(deployment)) for stack, deployment in deployments.items()}
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
        gaining.append((stack, _with(deployments[stack], everything)))
        own = {award_id for award_id in part.awards if cluster.stack_of(award_id) == stack}
        remaining = (
            [*part.base(recorded, cluster.shards), *part.of(own), *gains[stack]] if stack in cluster.stacks else []
        )
        losing.append((stack, _with(deployments[stack], remaining)))
    losing.sort(key=lambda write: (write[0] in cluster.stacks, write[0] == cluster.provider))
    misplaced = {
        award_id for part in parts.values() for award_id in part.awards if cluster.stack_of(award_id) != part.stack
    }
    return Moved(writes=_changes(deployments, [*gaining, *losing]), awards=len(misplaced))


def _gains(parts: Mapping[str, _Part], cluster: ProviderCluster, model: _Part) -> dict[str, list[Resource]]:
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
        if list(_resources(deployment)) != list(_resources(current[stack])):
            changes.append((stack, deployment))
            current[stack] = deployment
    return tuple(changes)


def _recorded(parts: Collection[_Part], stack: str, stack_of: Callable[[str], str]) -> dict[str, Any]:
    """Return what the outputs say of a stack's awards; the stack's own outputs win over those of other stacks."""
    recorded: dict[str, Any] = {}
    for part in sorted(parts, key=lambda candidate: candidate.stack == stack):
        recorded |= {award_id: record for award_id, record in part.recorded.items() if stack_of(award_id) == stack}
    return recorded


class _Part:
    """One stack's resources: those of its awards, and apart from them all others."""

    def __init__(self, stack: str, project: str, resources: Sequence[Resource]) -> None:
        self.stack = stack
        self.prefix = f"urn:pulumi:{stack}::{project}::"
        self.root_urn = f"{self.prefix}{_STACK}::{project}-{stack}"
        self.awards: dict[str, list[Resource]] = {}
        self.root: Resource | None = None
        self.provider: Resource | None = None
        self.others: list[Resource] = []
        for resource in resources:
            kind, _, name = resource["urn"].removeprefix(self.prefix).rpartition("::")
            if kind.split("$")[0] == TENANT_TYPE:
                self.awards.setdefault(name, []).append(resource)
            elif resource["type"] == _STACK:
                self.root = resource
            elif resource["type"] == _PROVIDER:
                self.provider = resource
            else:
                self.others.append(resource)

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What the stack's outputs say of its awards."""
        return ((self.root or {}).get("outputs") or {}).get(outputs.TENANTS) or {}

    @property
    def shards(self) -> int:
        """The number of stacks that the provider was split into when this one was last applied."""
        return int(((self.root or {}).get("outputs") or {}).get(outputs.SHARDS) or 1)

    def furnish(self, model: _Part) -> None:
        """Give an empty stack the resources that an award's resources refer to, as copies of another stack's."""
        if self.root is None and model.root is not None:
            self.root = model.renamed(model.root, self)
        if self.provider is None and model.provider is not None:
            self.provider = model.renamed(model.provider, self)

    def renamed(self, resource: Resource, home: _Part) -> Resource:
        """Return a resource renamed for the stack ``home``. Award ids have no quotes, so JSON text is replaced."""
        text = json.dumps(resource, ensure_ascii=False)
        if self.provider is not None and home.provider is not None:
            text = text.replace(_reference(self.provider), _reference(home.provider))
        text = text.replace(self.root_urn, home.root_urn).replace(self.prefix, home.prefix)
        renamed: Resource = json.loads(text)
        return renamed

    def base(self, recorded: Mapping[str, Any], shards: int) -> list[Resource]:
        """Return the stack's resources other than awards, with these awards and number of shards in its outputs."""
        if self.root is None:
            return []
        changed = {outputs.SHARDS: shards, outputs.TENANTS: dict(recorded)}
        root = {**self.root, "outputs": {**(self.root.get("outputs") or {}), **changed}}
        return [root, *([] if self.provider is None else [self.provider]), *self.others]

    def of(self, award_ids: Collection[str]) -> list[Resource]:
        """Return the resources of some awards, in the order of the state."""
        return [
            resource for award_id, resources in self.awards.items() if award_id in award_ids for resource in resources
        ]


def _reference(provider: Resource) -> str:
    return f"{provider['urn']}::{provider['id']}"


def _resources(deployment: Deployment) -> Sequence[Resource]:
    return deployment["deployment"].get("resources") or ()


def _with(deployment: Deployment, resources: Sequence[Resource]) -> Deployment:
    return {**deployment, "deployment": {**deployment["deployment"], "resources": list(resources)}}
