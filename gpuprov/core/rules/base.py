"""What the rules share: their names, what they are checked against, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import Manifest, gpu_keys
from gpuprov.core.tenant import Tenant


class Rule(StrEnum):
    """The rules by the names under which the policy pack enforces them; docs/policies.md says where each comes from."""

    CAPACITY = "gpu-quotas-within-capacity"
    COMPLETE = "award-namespace-complete"
    INSIDE = "nothing-outside-awards"
    AWARD = "quota-within-award"
    ANNOTATED = "quota-as-annotated"
    TERM = "term-within-programme"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What was given, and no program may exceed.

    ``at`` is the instant for which the tenants were decided; the pools' capacity of that instant counts. ``awards`` are
    the tenants of the provider's cluster by their namespaces. ``gpu_keys`` are the keys of a quota that
    lead to a GPU there. ``programme_end`` is the first instant that no term may reach into.
    """

    cluster: ProviderCluster
    at: datetime
    awards: Mapping[str, Tenant]
    gpu_keys: Sequence[str]
    programme_end: datetime

    @classmethod
    def of(cls, cluster: ProviderCluster, tenants: Iterable[Tenant], at: datetime, programme_end: datetime) -> Bounds:
        """Return the bounds of one provider's cluster. ``tenants`` may be those of all clusters."""
        here = {one.namespace: one for one in tenants if one.provider == cluster.provider}
        keys = sorted(set(gpu_keys(cluster)))
        return cls(cluster=cluster, at=at, awards=here, gpu_keys=keys, programme_end=programme_end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule that is broken: by which object, how, and what to do."""

    rule: Rule
    where: str
    message: str
    remedy: str

    @property
    def text(self) -> str:
        """What is wrong and what to do, without the rule's name."""
        return f"{self.where}: {self.message}; {self.remedy}"

    def __str__(self) -> str:
        return f"{self.text} ({self.rule})"


ObjectRule = Callable[[Manifest, Bounds], Iterator[Violation]]
"""Looks at one object, and so before it is created."""

StackRule = Callable[[Sequence[Manifest], Bounds], Iterator[Violation]]
"""Looks at all objects together."""


def metadata(one: Manifest) -> Mapping[str, Any]:
    """Return an object's metadata; empty where it has none."""
    return mapping(one.get("metadata"))


def labels_of(one: Manifest) -> Mapping[str, Any]:
    """Return an object's labels."""
    return mapping(metadata(one).get("labels"))


def annotations_of(one: Manifest) -> Mapping[str, Any]:
    """Return an object's annotations."""
    return mapping(metadata(one).get("annotations"))


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value where it is a mapping, else an empty one: a program may write anything."""
    return value if isinstance(value, (dict, Mapping)) else {}  # dict first: it is the fast answer


def sequence(value: object) -> Sequence[Any]:
    """Return the value where it is a list, else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def home(one: Manifest) -> str:
    """Return the namespace that an object makes or lies in; empty for any other object without a namespace."""
    about = metadata(one)
    return str((about.get("name") if one.get("kind") == "Namespace" else about.get("namespace")) or "")


def place(one: Manifest) -> str:
    """Return how messages name an object: its namespace, kind and name."""
    kind, name, namespace = one.get("kind"), metadata(one).get("name"), metadata(one).get("namespace")
    return f"{kind} {name} in {namespace}" if namespace else f"{kind} {name}"
