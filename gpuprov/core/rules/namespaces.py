"""Rules on namespaces: nothing outside those of awards, each of them complete, and no term beyond the programme."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from gpuprov.core import naming
from gpuprov.core.manifests import (
    AWARD_ID,
    BINDING,
    FIXED_QUOTA,
    GPUS,
    LIMITS,
    MODEL,
    NODE_SELECTOR,
    POLICY,
    QUOTA,
    SERVICE_ACCOUNT,
    TENANT_ROLE,
    TERM_END,
    TERM_START,
    WELCOME,
    Manifest,
    labels,
)
from gpuprov.core.rules.base import (
    Bounds,
    Rule,
    Violation,
    annotations_of,
    home,
    labels_of,
    mapping,
    metadata,
    place,
    sequence,
)
from gpuprov.core.rules.quotas import selected

RBAC = "rbac.authorization.k8s.io"
INSIDE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("v1", "ResourceQuota"): (QUOTA, FIXED_QUOTA),
    ("v1", "LimitRange"): (LIMITS,),
    ("networking.k8s.io/v1", "NetworkPolicy"): (POLICY,),
    ("v1", "ConfigMap"): (WELCOME,),
    (f"{RBAC}/v1", "RoleBinding"): (BINDING,),
}
"""The objects of ours in an award's namespace, by API version and kind: their names."""

_OPTIONAL = frozenset({"ConfigMap"})
"""Kinds that hold nobody to anything."""

_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
_EVERYWHERE = ("0.0.0.0/0", "::/0")


def nothing_outside(manifest: Manifest, bounds: Bounds) -> Iterator[Violation]:
    """Every object is an award's namespace, or one of the objects that belong in it."""
    kind = str(manifest.get("kind"))
    key = (str(manifest.get("apiVersion")), kind)
    if key != ("v1", "Namespace") and key not in INSIDE:
        yield _outside(manifest, "objects of this kind belong to no award", "keep it in a stack of its own")
        return
    if key in INSIDE and metadata(manifest).get("name") not in INSIDE[key]:
        names = " or ".join(INSIDE[key])
        yield _outside(manifest, f"a {kind} in a namespace of an award is named {names}", "remove it, or name it so")
    award = bounds.awards.get(home(manifest))
    if award is None:
        yield _outside(
            manifest,
            f"{home(manifest) or 'no namespace'} is not the namespace of an award that holds GPUs at "
            f"{bounds.cluster.provider}",
            "take it out of the program, or add the award to the list",
        )
        return
    for label, value in labels(award).items():
        if labels_of(manifest).get(label) != value:
            yield _outside(
                manifest, f"its label {label} is {labels_of(manifest).get(label)!r}", f"write {label}: {value}"
            )


def _outside(manifest: Manifest, message: str, remedy: str) -> Violation:
    return Violation(rule=Rule.INSIDE, where=place(manifest), message=message, remedy=remedy)


def within_programme(manifest: Manifest, bounds: Bounds) -> Iterator[Violation]:
    """A term is a half-open interval of timestamps with offsets; it ends no later than the programme and the award."""
    if manifest.get("kind") != "Namespace":
        return
    start, end = (_instant(annotations_of(manifest).get(name)) for name in (TERM_START, TERM_END))
    award = bounds.awards.get(home(manifest))
    if start is None or end is None:
        name = TERM_START if start is None else TERM_END
        value = annotations_of(manifest).get(name)
        yield _term(
            manifest, f"its annotation {name} is {value!r}, not a timestamp with an offset", "write it as ISO 8601"
        )
        return
    if start >= end:
        yield _term(
            manifest, f"its term starts at {start.isoformat()} and ends at {end.isoformat()}", "end it after its start"
        )
    if end > bounds.programme_end:
        yield _term(
            manifest,
            f"its term ends at {end.isoformat()}, after the programme's end at {bounds.programme_end.isoformat()}",
            "correct the award's last day, or set programmeEnd in Pulumi.yaml",
        )
    if award is not None and end > award.term_end:
        yield _term(
            manifest,
            f"its term ends at {end.isoformat()}, after the award's at {award.term_end.isoformat()}",
            "write the award's term",
        )


def _term(manifest: Manifest, message: str, remedy: str) -> Violation:
    return Violation(rule=Rule.TERM, where=place(manifest), message=message, remedy=remedy)


def _instant(text: object) -> datetime | None:
    try:
        timestamp = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return timestamp if timestamp.tzinfo else None


def complete(objects: Sequence[Manifest], bounds: Bounds) -> Iterator[Violation]:
    """Each namespace has quota, limits, isolation, Pod Security, annotations, and access for the awardee only."""
    names = {kind: names for (_, kind), names in INSIDE.items()}
    declared: dict[str, dict[tuple[str, str], Manifest]] = {}
    for manifest in objects:
        kind, name = str(manifest.get("kind")), str(metadata(manifest).get("name"))
        if home(manifest) and name in names.get(kind, (home(manifest),)):
            declared.setdefault(home(manifest), {})[kind, name] = manifest
    for namespace, by_name in declared.items():
        for message, remedy in _lacks(by_name, namespace, bounds):
            yield Violation(rule=Rule.COMPLETE, where=f"Namespace {namespace}", message=message, remedy=remedy)


def _lacks(by_name: Mapping[tuple[str, str], Manifest], namespace: str, bounds: Bounds) -> Iterator[tuple[str, str]]:
    if ("Namespace", namespace) not in by_name:
        yield "the program declares objects in it, but not the namespace itself", "declare the namespace too"
    else:
        yield from _namespace(by_name["Namespace", namespace], bounds)
    for (_, kind), names in INSIDE.items():
        for name in names:
            if (kind, name) not in by_name and kind not in _OPTIONAL:
                yield f"it has no {kind} {name}", "declare all objects of a tenant"
    limits = by_name.get(("LimitRange", LIMITS))
    if limits is not None and not _sets_defaults(limits):
        yield "its LimitRange gives containers no cpu and memory, so pods are refused", "set default and defaultRequest"
    if ("NetworkPolicy", POLICY) in by_name:
        yield from _isolation(by_name["NetworkPolicy", POLICY])
    if ("RoleBinding", BINDING) in by_name:
        yield from _access(by_name["RoleBinding", BINDING], namespace, bounds)


def _namespace(namespace: Manifest, bounds: Bounds) -> Iterator[tuple[str, str]]:
    its_labels = labels_of(namespace)
    for label, level in _SECURITY.items():
        if its_labels.get(label) != level:
            yield f"its label {label} is {its_labels.get(label)!r}", f"write {label}: {level}"
    version = "pod-security.kubernetes.io/enforce-version"
    if its_labels.get(version, "latest") != "latest":
        yield f"its label {version} is {its_labels[version]!r}: an old version lets more in", f"write {version}: latest"
    annotations = annotations_of(namespace)
    for name in (AWARD_ID, GPUS, MODEL, TERM_START, TERM_END):
        if not annotations.get(name):
            yield f"it has no annotation {name}", "write it from the award"
    model, selector = annotations.get(MODEL), annotations.get(NODE_SELECTOR)
    pool = next((pool for pool in bounds.cluster.pools if pool.model == model), None)
    if pool is None or not pool.node_label.items() <= selected(namespace).items():
        yield (
            f"its annotation {NODE_SELECTOR} is {selector!r}, which does not force {model}",
            "write the label of the model's nodes",
        )


def _sets_defaults(limit_range: Manifest) -> bool:
    for limit in sequence(mapping(limit_range.get("spec")).get("limits")):
        parts = [mapping(mapping(limit).get(part)) for part in ("default", "defaultRequest")]
        if mapping(limit).get("type") == "Container" and all({"cpu", "memory"} <= part.keys() for part in parts):
            return True
    return False


def _isolation(policy: Manifest) -> Iterator[tuple[str, str]]:
    """The NetworkPolicy selects all pods, and denies by default in both directions."""
    spec = mapping(policy.get("spec"))
    types = set(map(str, sequence(spec.get("policyTypes"))))
    selector = spec.get("podSelector")
    if selector is None or mapping(selector) or types != {"Ingress", "Egress"}:
        yield "its NetworkPolicy does not deny by default", "select all pods, with policyTypes Ingress and Egress"
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for allowance in sequence(spec.get(direction)):
            allowed = sequence(mapping(allowance).get(peers))
            if not allowed or any(_everybody(mapping(peer)) for peer in allowed):
                yield f"its NetworkPolicy opens {direction} to everybody", "name the namespaces or addresses"


def _everybody(peer: Mapping[str, object]) -> bool:
    anywhere = mapping(peer.get("ipBlock")).get("cidr") in _EVERYWHERE
    return not peer or anywhere or ("namespaceSelector" in peer and not mapping(peer["namespaceSelector"]))


def _access(binding: Manifest, name: str, bounds: Bounds) -> Iterator[tuple[str, str]]:
    """The RoleBinding gives the tenants' role to the award's own group and service account, and nothing else."""
    role = mapping(binding.get("roleRef"))
    if (role.get("kind"), role.get("name")) != ("ClusterRole", TENANT_ROLE):
        yield f"its RoleBinding gives {role.get('kind')} {role.get('name')}", f"give ClusterRole {TENANT_ROLE}"
    award = bounds.awards.get(name)
    own = {("ServiceAccount", name, SERVICE_ACCOUNT)}
    if award is not None:
        own.add(("Group", "", naming.group(bounds.cluster.group_prefix, award.award_id)))
    subjects = [mapping(subject) for subject in sequence(binding.get("subjects"))]
    if not subjects:
        yield "its RoleBinding gives access to nobody", "name the awardee's group"
    for subject in subjects:
        kind = str(subject.get("kind"))
        if (kind, str(subject.get("namespace") or ""), str(subject.get("name"))) not in own:
            yield f"its RoleBinding lets {kind} {subject.get('name')} in", "name the award's own group only"
