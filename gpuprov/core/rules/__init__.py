"""The rules on all that a program puts on a provider's cluster, as plain functions over plain manifests.

The policy pack in ``policies`` enforces them in ``pulumi preview`` and ``pulumi up``, whatever program runs;
``gpuprov up`` checks them before anything is created. Neither Pulumi nor a cluster is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gpuprov.core.manifests import Manifest
from gpuprov.core.rules.base import Bounds, ObjectRule, Rule, StackRule, Violation
from gpuprov.core.rules.namespaces import complete, nothing_outside, within_programme
from gpuprov.core.rules.quotas import as_annotated, within_award, within_capacity

__all__ = ["OBJECT_RULES", "STACK_RULES", "Bounds", "ObjectRule", "Rule", "StackRule", "Violation", "violations"]

OBJECT_RULES: Mapping[Rule, ObjectRule] = {
    Rule.INSIDE: nothing_outside,
    Rule.AWARD: within_award,
    Rule.TERM: within_programme,
}
STACK_RULES: Mapping[Rule, StackRule] = {
    Rule.CAPACITY: within_capacity,
    Rule.COMPLETE: complete,
    Rule.ANNOTATED: as_annotated,
}


def violations(objects: Iterable[Manifest], bounds: Bounds) -> list[Violation]:
    """Return every rule that the objects break, each with every object that breaks it."""
    everything = list(objects)
    found = [one for rule in STACK_RULES.values() for one in rule(everything, bounds)]
    return found + [one for rule in OBJECT_RULES.values() for each in everything for one in rule(each, bounds)]
