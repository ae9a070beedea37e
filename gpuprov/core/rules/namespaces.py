"""Rules on namespaces: nothing outside an award's, each of them complete, and no term beyond the programme's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from gpuprov.core import naming
from gpuprov.core.manifests import (
    AWARD_ID,
    BINDING,
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
INSIDE: Mapping[tuple[str, str], str] = {
    ("v1", "ResourceQuota"): QUOTA,
    ("v1", "LimitRange"): LIMITS,
    ("networking.k8s.io/v1", "NetworkPolicy"): POLICY,
    (f"{RBAC}/v1", "RoleBinding"): BINDING,
}
"""All that a namespace of an award holds of ours: one of each kind, under this name."""

_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
_EVERYWHERE = ("0.0.0.0/0", "::/0")


def nothing_outside(one: Manifest, bounds: Bounds) -> Iterator[Violation]:
    """Every object is one of ours: an award's namespace, or what belongs in it."""
    kind = str(one.get("kind"))
    key = (str(one.get("apiVersion")), kind)
    if key != ("v1", "Namespace") and key not in INSIDE:
        yield _outside(one, "objects of this kind belong to no award", "keep it in a stack of its own")
        return
    if key in INSIDE and metadata(one).get("name") != INSIDE[key]:
        yield _outside(one, f"a namespace has one {kind}, named {INSIDE[key]}", "remove it, or name it so")
    award = bounds.awards.get(home(one))
    if award is None:
        yield _outside(
            one,
            f"{home(one) or 'no namespace'} is not the namespace of an award that holds GPUs at "
            f"{bounds.cluster.provider}",
            "take it out of the program, or add the award to the list",
        )
        return
    for label, value in labels(award).items():
        if labels_of(one).get(label) != value:
            yield _outside(one, f"its label {label} is {labels_of(one).get(label)!r}", f"write {label}: {value}")


def _outside(one: Manifest, message: str, remedy: str) -> Violation:
    return Violation(rule=Rule.INSIDE, where=place(one), message=message, remedy=remedy)


def within_programme(one: Manifest, bounds: Bounds) -> Iterator[Violation]:
    """A term is a half-open interval of aware instants that ends no later than the programme and the award."""
    if one.get("kind") != "Namespace":
        return
    start, end = (_instant(annotations_of(one).get(name)) for name in (TERM_START, TERM_END))
    award = bounds.awards.get(home(one))
    if start is None or end is None:
        name = TERM_START if start is None else TERM_END
        said = annotations_of(one).get(name)
        yield _term(one, f"its annotation {name} is {said!r}, not a timestamp with an offset", "write it as ISO 8601")
        return
    if start >= end:
        yield _term(
            one, f"its term starts at {start.isoformat()} and ends at {end.isoformat()}", "end it after its start"
        )
    if end > bounds.programme_end:
        yield _term(
            one,
            f"its term ends at {end.isoformat()}, after the programme's end at {bounds.programme_end.isoformat()}",
            "correct the award's last day, or set programmeEnd in Pulumi.yaml",
        )
    if award is not None and end > award.term_end:
        yield _term(
            one,
            f"its term ends at {end.isoformat()}, after the award's at {award.term_end.isoformat()}",
            "write the award's term",
        )


def _term(one: Manifest, message: str, remedy: str) -> Violation:
    return Violation(rule=Rule.TERM, where=place(one), message=message, remedy=remedy)


def _instant(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None


def complete(objects: Sequence[Manifest], bounds: Bounds) -> Iterator[Violation]:
    """Each namespace has quota, limits, isolation, Pod Security, annotations, and access for nobody but the awardee."""
    names = {kind: name for (_, kind), name in INSIDE.items()}
    there: dict[str, dict[str, Manifest]] = {}
    for one in objects:
        kind = str(one.get("kind"))
        if home(one) and metadata(one).get("name") == names.get(kind, home(one)):
            there.setdefault(home(one), {})[kind] = one
    for name, objects_of in there.items():
        for message, remedy in _lacks(objects_of, name, bounds):
            yield Violation(rule=Rule.COMPLETE, where=f"Namespace {name}", message=message, remedy=remedy)


def _lacks(there: Mapping[str, Manifest], name: str, bounds: Bounds) -> Iterator[tuple[str, str]]:
    namespace = there.get("Namespace")
    if namespace is None:
        yield "it is not in the program, and what lies in it is", "declare the namespace too"
    else:
        yield from _namespace(namespace, bounds)
    for _, kind in INSIDE:
        if kind not in there:
            yield f"it has no {kind}", "declare all objects of a tenant"
    if "LimitRange" in there and not _sets_defaults(there["LimitRange"]):
        yield "its LimitRange gives containers no cpu and memory, so pods are refused", "set default and defaultRequest"
    if "NetworkPolicy" in there:
        yield from _isolation(there["NetworkPolicy"])
    if "RoleBinding" in there:
        yield from _access(there["RoleBinding"], name, bounds)


def _namespace(one: Manifest, bounds: Bounds) -> Iterator[tuple[str, str]]:
    said = labels_of(one)
    for label, level in _SECURITY.items():
        if said.get(label) != level:
            yield f"its label {label} is {said.get(label)!r}", f"write {label}: {level}"
    version = "pod-security.kubernetes.io/enforce-version"
    if said.get(version, "latest") != "latest":
        yield f"its label {version} is {said[version]!r}: an old version lets more in", f"write {version}: latest"
    told = annotations_of(one)
    for name in (AWARD_ID, GPUS, MODEL, TERM_START, TERM_END):
        if not told.get(name):
            yield f"it has no annotation {name}", "write it from the award"
    pool = next((pool for pool in bounds.cluster.pools if pool.model == told.get(MODEL)), None)
    if pool is None or not pool.node_label.items() <= selected(one).items():
        yield (
            f"its annotation {NODE_SELECTOR} is {told.get(NODE_SELECTOR)!r}, which does not force {told.get(MODEL)}",
            "write the label of the model's nodes",
        )


def _sets_defaults(one: Manifest) -> bool:
    for limit in sequence(mapping(one.get("spec")).get("limits")):
        parts = [mapping(mapping(limit).get(part)) for part in ("default", "defaultRequest")]
        if mapping(limit).get("type") == "Container" and all({"cpu", "memory"} <= part.keys() for part in parts):
            return True
    return False


def _isolation(one: Manifest) -> Iterator[tuple[str, str]]:
    """The policy selects all pods, and denies what it does not allow in both directions."""
    spec = mapping(one.get("spec"))
    types = set(map(str, sequence(spec.get("policyTypes"))))
    selector = spec.get("podSelector")
    if selector is None or mapping(selector) or types != {"Ingress", "Egress"}:
        yield "its NetworkPolicy does not deny by default", "select all pods, with policyTypes Ingress and Egress"
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in sequence(spec.get(direction)):
            allowed = sequence(mapping(rule).get(peers))
            if not allowed or any(_everybody(mapping(peer)) for peer in allowed):
                yield f"its NetworkPolicy opens {direction} to everybody", "name the namespaces or addresses"


def _everybody(peer: Mapping[str, object]) -> bool:
    anywhere = mapping(peer.get("ipBlock")).get("cidr") in _EVERYWHERE
    return not peer or anywhere or ("namespaceSelector" in peer and not mapping(peer["namespaceSelector"]))


def _access(one: Manifest, name: str, bounds: Bounds) -> Iterator[tuple[str, str]]:
    """The binding gives the tenants' role to the award's own group and service account, and nothing else."""
    role = mapping(one.get("roleRef"))
    if (role.get("kind"), role.get("name")) != ("ClusterRole", TENANT_ROLE):
        yield f"its RoleBinding gives {role.get('kind')} {role.get('name')}", f"give ClusterRole {TENANT_ROLE}"
    award = bounds.awards.get(name)
    own = {("ServiceAccount", name, SERVICE_ACCOUNT)}
    if award is not None:
        own.add(("Group", "", naming.group(bounds.cluster.group_prefix, award.award_id)))
    subjects = [mapping(subject) for subject in sequence(one.get("subjects"))]
    if not subjects:
        yield "its RoleBinding gives access to nobody", "name the awardee's group"
    for subject in subjects:
        kind = str(subject.get("kind"))
        if (kind, str(subject.get("namespace") or ""), str(subject.get("name"))) not in own:
            yield f"its RoleBinding lets {kind} {subject.get('name')} in", "name the award's own group only"
