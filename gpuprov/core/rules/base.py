"""What the rules share: their names, the bounds that they check against, and the violations that they return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import Manifest, gpu_keys
from gpuprov.core.tenant import Tenant
from gpuprov.i18n import Message, tr


class Rule(StrEnum):
    """The rules, by their names in the policy pack; docs/policies.md gives the source of each."""

    CAPACITY = "gpu-quotas-within-capacity"
    COMPLETE = "award-namespace-complete"
    INSIDE = "nothing-outside-awards"
    AWARD = "quota-within-award"
    ANNOTATED = "quota-as-annotated"
    TERM = "term-within-programme"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What no program may exceed.

    ``at`` is the time for which the tenants were decided; the pools' capacity at that time counts. ``awards`` are the
    tenants of the provider's cluster by namespace. ``gpu_keys`` are the keys of a ResourceQuota that give GPUs on that
    cluster. ``programme_end`` is exclusive: no term may end after it.
    """

    cluster: ProviderCluster
    at: datetime
    awards: Mapping[str, Tenant]
    gpu_keys: Sequence[str]
    programme_end: datetime

    @classmethod
    def of(cls, cluster: ProviderCluster, tenants: Iterable[Tenant], at: datetime, programme_end: datetime) -> Bounds:
        """Return the bounds of one provider's cluster. ``tenants`` may include those of other clusters."""
        awards = {tenant.namespace: tenant for tenant in tenants if tenant.provider == cluster.provider}
        keys = sorted(set(gpu_keys(cluster)))
        return cls(cluster=cluster, at=at, awards=awards, gpu_keys=keys, programme_end=programme_end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken rule: the object that breaks it, how, and the remedy."""

    rule: Rule
    where: str
    message: str
    remedy: str

    @property
    def text(self) -> Message:
        """The message with its remedy, without the rule's name."""
        return tr("{place}: {message}; {remedy}", place=self.where, message=self.message, remedy=self.remedy)

    @property
    def sentence(self) -> Message:
        """The message with its remedy and the rule's name, which can be translated."""
        return tr("{text} ({rule})", text=self.text, rule=self.rule)

    def __str__(self) -> str:
        return str(self.sentence)


ObjectRule = Callable[[Manifest, Bounds], Iterator[Violation]]
"""Checks one object on its own, and so before it is created."""

StackRule = Callable[[Sequence[Manifest], Bounds], Iterator[Violation]]
"""Checks all objects together."""


def metadata(manifest: Manifest) -> Mapping[str, Any]:
    """Return an object's metadata; empty if it has none."""
    return mapping(manifest.get("metadata"))


def labels_of(manifest: Manifest) -> Mapping[str, Any]:
    """Return an object's labels."""
    return mapping(metadata(manifest).get("labels"))


def annotations_of(manifest: Manifest) -> Mapping[str, Any]:
    """Return an object's annotations."""
    return mapping(metadata(manifest).get("annotations"))


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value if it is a mapping, else an empty one: a program may write anything."""
    return value if isinstance(value, (dict, Mapping)) else {}  # dict first: it is the fast check


def sequence(value: object) -> Sequence[Any]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def home(manifest: Manifest) -> str:
    """Return an object's namespace, or the name of a Namespace itself; empty for other cluster-scoped objects."""
    meta = metadata(manifest)
    return str((meta.get("name") if manifest.get("kind") == "Namespace" else meta.get("namespace")) or "")


def place(manifest: Manifest) -> Message:
    """Return how messages name an object: by its kind, name and namespace."""
    kind, name, namespace = manifest.get("kind"), metadata(manifest).get("name"), metadata(manifest).get("namespace")
    if not namespace:
        return tr("{kind} {name}", kind=kind, name=name)
    return tr("{kind} {name} in {namespace}", kind=kind, name=name, namespace=namespace)
