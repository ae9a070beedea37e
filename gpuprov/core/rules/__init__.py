"""The rules on everything that a program creates on a provider's cluster, as pure functions of manifests.

The policy pack in ``policies`` enforces them in ``pulumi preview`` and ``pulumi up``, whatever the program;
``gpuprov up`` checks them before it creates anything. They need neither Pulumi nor a cluster.
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
    """Return all violations of all rules."""
    manifests = list(objects)
    of_stack = [violation for rule in STACK_RULES.values() for violation in rule(manifests, bounds)]
    of_objects = [
        violation for rule in OBJECT_RULES.values() for manifest in manifests for violation in rule(manifest, bounds)
    ]
    return of_stack + of_objects
