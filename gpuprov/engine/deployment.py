"""The state of a stack as `pulumi stack export` prints it, taken apart: the resources of its awards, and the others."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpuprov.core import outputs
from gpuprov.core.manifests import TENANT_TYPE
from gpuprov.core.stackstate import StackState
from gpuprov.engine import stacks
from gpuprov.engine.stacks import StateDamaged

Resource = Mapping[str, Any]
Deployment = Mapping[str, Any]

EMPTY: Deployment = {"version": 3, "deployment": {}}
"""A deployment in the format that Pulumi has written since 2019."""

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_TYPE = "pulumi:providers:kubernetes"
NAMESPACE_TYPE = "kubernetes:core/v1:Namespace"


class Part:
    """One stack's resources: those of its awards, and apart from them all others."""

    def __init__(self, stack: str, project: str, resources: Sequence[Resource]) -> None:
        self.stack = stack
        self.prefix = f"urn:pulumi:{stack}::{project}::"
        self.root_urn = f"{self.prefix}{STACK_TYPE}::{project}-{stack}"
        self.awards: dict[str, list[Resource]] = {}
        self.root: Resource | None = None
        self.provider: Resource | None = None
        self.others: list[Resource] = []
        for resource in resources:
            kind, _, name = resource["urn"].removeprefix(self.prefix).rpartition("::")
            if kind.split("$")[0] == TENANT_TYPE:
                self.awards.setdefault(name, []).append(resource)
            elif resource["type"] == STACK_TYPE:
                self.root = resource
            elif resource["type"] == PROVIDER_TYPE:
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

    def furnish(self, model: Part) -> None:
        """Give an empty stack the resources that an award's resources refer to, as copies of another stack's."""
        if self.root is None and model.root is not None:
            self.root = model.renamed(model.root, self)
        if self.provider is None and model.provider is not None:
            self.provider = model.renamed(model.provider, self)

    def renamed(self, resource: Resource, home: Part) -> Resource:
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


def resources_of(deployment: Deployment) -> Sequence[Resource]:
    """Return the resources of a deployment: none where the stack was never applied."""
    return (deployment["deployment"] or {}).get("resources") or ()


def with_resources(deployment: Deployment, resources: Sequence[Resource]) -> Deployment:
    """Return the deployment with other resources."""
    return {**deployment, "deployment": {**(deployment["deployment"] or {}), "resources": list(resources)}}


def read_state(root: Path, project: str, stack: str) -> StackState:
    """Read the state of a stack, also one that is not there or damaged. Raises EngineError."""
    try:
        deployment = stacks.read_deployment(root, stack)
    except StateDamaged as error:
        return StackState(stack=stack, damaged=error.reason)
    return StackState(stack=stack) if deployment is None else state_of(stack, project, deployment)


def state_of(stack: str, project: str, deployment: Deployment) -> StackState:
    """Return what a stack's deployment has of awards."""
    part = Part(stack, project, resources_of(deployment))
    pending = (deployment["deployment"] or {}).get("pending_operations") or ()
    whole = frozenset(
        award_id
        for award_id, resources in part.awards.items()
        if any(resource["type"] == NAMESPACE_TYPE for resource in resources)
    )
    return StackState(
        stack=stack,
        outputs=(part.root or {}).get("outputs") or {},
        awards=whole,
        bare=frozenset(part.awards.keys() - whole),
        pending=tuple(f"{operation['type']} {operation['resource']['urn']}" for operation in pending),
    )
