"""Moves awards between the stacks that share a provider: state only, no tenant is touched.

A deployment is what `pulumi stack export` prints. Moving an award means to write its resources into the other stack's
deployment, with that stack's name in every URN, and then to take them out of the first one's. Which deployments to
write, and in which order, is a pure function here: all that gain are written before any that loses, so that a run
killed in between leaves an award in two states, which the next run mends, and never in none.
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
    """The deployments to write, by stack, in this order; a run may end after any of them. ``awards`` are moved.

    An empty one belongs to a stack that the provider has no more: it can be removed then.
    """

    writes: tuple[tuple[str, Deployment], ...]
    awards: int


def move(deployments: Mapping[str, Deployment], project: str, cluster: ProviderCluster) -> Moved:
    """Put every award into the stack of ``cluster`` that it belongs to. Each of these must have a deployment, if an
    empty one; other stacks lose all that they have.

    An award that several stacks have is kept as its own stack has it. As long as anything is left to do, the outputs
    of some stack say so: they tell of each award that is still elsewhere, and the provider's first stack, which is
    written last, tells the highest number of stacks that there were.
    """
    parts = {stack: _Part(stack, project, _resources(one)) for stack, one in deployments.items()}
    model = next((part for part in parts.values() if part.provider is not None), None)
    if model is None:  # nothing was ever applied
        return Moved(writes=(), awards=0)
    gains = _gains(parts, cluster, model)
    most = max(cluster.shards, *(part.shards for part in parts.values()))
    first: list[tuple[str, Deployment]] = []
    last: list[tuple[str, Deployment]] = []
    for stack, part in parts.items():
        recorded = _recorded(parts.values(), stack, cluster.stack_of)
        both = [*part.base(dict(part.recorded) | recorded, most), *part.of(part.awards), *gains[stack]]
        first.append((stack, _with(deployments[stack], both)))
        own = {award_id for award_id in part.awards if cluster.stack_of(award_id) == stack}
        left = [*part.base(recorded, cluster.shards), *part.of(own), *gains[stack]] if stack in cluster.stacks else []
        last.append((stack, _with(deployments[stack], left)))
    last.sort(key=lambda write: (write[0] in cluster.stacks, write[0] == cluster.provider))
    away = {award_id for part in parts.values() for award_id in part.awards if cluster.stack_of(award_id) != part.stack}
    return Moved(writes=_changes(deployments, [*first, *last]), awards=len(away))


def _gains(parts: Mapping[str, _Part], cluster: ProviderCluster, model: _Part) -> dict[str, list[Resource]]:
    """Return what each stack gets from others, once each, as it will have it."""
    gains: dict[str, list[Resource]] = {stack: [] for stack in parts}
    gained: set[str] = set()
    for part in parts.values():
        for award_id, resources in part.awards.items():
            home = parts[cluster.stack_of(award_id)]
            if home is not part and award_id not in home.awards and award_id not in gained:
                gained.add(award_id)
                home.furnish(model)
                gains[home.stack] += [part.renamed(one, home) for one in resources]
    return gains


def _changes(
    deployments: Mapping[str, Deployment], writes: Sequence[tuple[str, Deployment]]
) -> tuple[tuple[str, Deployment], ...]:
    """Leave out what would write a stack as it is."""
    there = dict(deployments)
    changes = []
    for stack, deployment in writes:
        if list(_resources(deployment)) != list(_resources(there[stack])):
            changes.append((stack, deployment))
            there[stack] = deployment
    return tuple(changes)


def _recorded(parts: Collection[_Part], stack: str, stack_of: Callable[[str], str]) -> dict[str, Any]:
    """Return what the outputs say of a stack's awards; what it said itself counts more than what another one did."""
    said: dict[str, Any] = {}
    for part in sorted(parts, key=lambda one: one.stack == stack):
        said |= {award_id: what for award_id, what in part.recorded.items() if stack_of(award_id) == stack}
    return said


class _Part:
    """One stack's resources, those of awards apart from what the stack has besides."""

    def __init__(self, stack: str, project: str, resources: Sequence[Resource]) -> None:
        self.stack = stack
        self.prefix = f"urn:pulumi:{stack}::{project}::"
        self.root_urn = f"{self.prefix}{_STACK}::{project}-{stack}"
        self.awards: dict[str, list[Resource]] = {}
        self.root: Resource | None = None
        self.provider: Resource | None = None
        self.others: list[Resource] = []
        for one in resources:
            kind, _, name = one["urn"].removeprefix(self.prefix).rpartition("::")
            if kind.split("$")[0] == TENANT_TYPE:
                self.awards.setdefault(name, []).append(one)
            elif one["type"] == _STACK:
                self.root = one
            elif one["type"] == _PROVIDER:
                self.provider = one
            else:
                self.others.append(one)

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What the stack's outputs say of its awards."""
        return ((self.root or {}).get("outputs") or {}).get(outputs.TENANTS) or {}

    @property
    def shards(self) -> int:
        """Into how many stacks the provider was split when this one was last applied."""
        return int(((self.root or {}).get("outputs") or {}).get(outputs.SHARDS) or 1)

    def furnish(self, model: _Part) -> None:
        """Give a stack that has nothing yet what an award's resources refer to, as another stack has it."""
        if self.root is None and model.root is not None:
            self.root = model.renamed(model.root, self)
        if self.provider is None and model.provider is not None:
            self.provider = model.renamed(model.provider, self)

    def renamed(self, resource: Resource, home: _Part) -> Resource:
        """Return a resource as the stack ``home`` has it. Award ids have no quotes, so its text may be changed."""
        text = json.dumps(resource, ensure_ascii=False)
        if self.provider is not None and home.provider is not None:
            text = text.replace(_reference(self.provider), _reference(home.provider))
        text = text.replace(self.root_urn, home.root_urn).replace(self.prefix, home.prefix)
        renamed: Resource = json.loads(text)
        return renamed

    def base(self, recorded: Mapping[str, Any], shards: int) -> list[Resource]:
        """Return what the stack has besides awards, with outputs that tell of these awards."""
        if self.root is None:
            return []
        said = {outputs.SHARDS: shards, outputs.TENANTS: dict(recorded)}
        root = {**self.root, "outputs": {**(self.root.get("outputs") or {}), **said}}
        return [root, *([] if self.provider is None else [self.provider]), *self.others]

    def of(self, award_ids: Collection[str]) -> list[Resource]:
        """Return the resources of some awards, in the order in which the state has them."""
        return [one for award_id, resources in self.awards.items() if award_id in award_ids for one in resources]


def _reference(provider: Resource) -> str:
    return f"{provider['urn']}::{provider['id']}"


def _resources(deployment: Deployment) -> Sequence[Resource]:
    return deployment["deployment"].get("resources") or ()


def _with(deployment: Deployment, resources: Sequence[Resource]) -> Deployment:
    return {**deployment, "deployment": {**deployment["deployment"], "resources": list(resources)}}
