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
from gpuprov.i18n import any_of, tr

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
        message = tr("objects of this kind belong to no award")
        yield _outside(manifest, message, tr("keep it in a stack of its own"))
        return
    if key in INSIDE and metadata(manifest).get("name") not in INSIDE[key]:
        names = any_of(INSIDE[key])
        message = tr("a {kind} in a namespace of an award is named {names}", kind=kind, names=names)
        yield _outside(manifest, message, tr("remove it, or name it so"))
    award = bounds.awards.get(home(manifest))
    if award is None:
        nowhere = tr("no namespace")
        message = tr(
            "{namespace} is not the namespace of an award that holds GPUs at {provider}",
            namespace=home(manifest) or nowhere,
            provider=bounds.cluster.provider,
        )
        yield _outside(manifest, message, tr("take it out of the program, or add the award to the list"))
        return
    for label, value in labels(award).items():
        if labels_of(manifest).get(label) != value:
            message = tr("its label {label} is {value!r}", label=label, value=labels_of(manifest).get(label))
            yield _outside(manifest, message, tr("write {key}: {value}", key=label, value=value))


def _outside(manifest: Manifest, message: str, remedy: str) -> Violation:
    return Violation(rule=Rule.INSIDE, where=place(manifest), message=message, remedy=remedy)


def within_programme(manifest: Manifest, bounds: Bounds) -> Iterator[Violation]:
    """A term is a half-open interval of timestamps with offsets; it ends no later than the programme and the award."""
    if manifest.get("kind") != "Namespace":
        return
    start, end = (_instant(annotations_of(manifest).get(name)) for name in (TERM_START, TERM_END))
    if start is None or end is None:
        name = TERM_START if start is None else TERM_END
        value = annotations_of(manifest).get(name)
        message = tr(
            "its annotation {annotation} is {value!r}, not a timestamp with an offset", annotation=name, value=value
        )
        yield _term(manifest, message, tr("write it as ISO 8601"))
        return
    yield from _term_violations(manifest, start, end, bounds)


def _term_violations(manifest: Manifest, start: datetime, end: datetime, bounds: Bounds) -> Iterator[Violation]:
    award = bounds.awards.get(home(manifest))
    if start >= end:
        message = tr("its term starts at {start} and ends at {end}", start=start.isoformat(), end=end.isoformat())
        yield _term(manifest, message, tr("end it after its start"))
    if end > bounds.programme_end:
        message = tr(
            "its term ends at {end}, after the programme's end at {programme_end}",
            end=end.isoformat(),
            programme_end=bounds.programme_end.isoformat(),
        )
        remedy = tr(
            "correct the award's last day (where an extension in the ledger gave it, append one with an earlier day), "
            "or set programmeEnd in Pulumi.yaml"
        )
        yield _term(manifest, message, remedy)
    if award is not None and end > award.term_end:
        message = tr(
            "its term ends at {end}, after the award's at {award_end}",
            end=end.isoformat(),
            award_end=award.term_end.isoformat(),
        )
        yield _term(manifest, message, tr("write the award's term"))


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
            where = tr("{kind} {name}", kind="Namespace", name=namespace)
            yield Violation(rule=Rule.COMPLETE, where=where, message=message, remedy=remedy)


def _lacks(by_name: Mapping[tuple[str, str], Manifest], namespace: str, bounds: Bounds) -> Iterator[tuple[str, str]]:
    if ("Namespace", namespace) not in by_name:
        message = tr("the program declares objects in it, but not the namespace itself")
        yield message, tr("declare the namespace too")
    else:
        yield from _namespace(by_name["Namespace", namespace], bounds)
    for (_, kind), names in INSIDE.items():
        for name in names:
            if (kind, name) not in by_name and kind not in _OPTIONAL:
                yield tr("it has no {kind} {name}", kind=kind, name=name), tr("declare all objects of a tenant")
    limits = by_name.get(("LimitRange", LIMITS))
    if limits is not None and not _sets_defaults(limits):
        message = tr("its LimitRange gives containers no cpu and memory, so pods are refused")
        yield message, tr("set default and defaultRequest")
    if ("NetworkPolicy", POLICY) in by_name:
        yield from _isolation(by_name["NetworkPolicy", POLICY])
    if ("RoleBinding", BINDING) in by_name:
        yield from _access(by_name["RoleBinding", BINDING], namespace, bounds)


def _namespace(namespace: Manifest, bounds: Bounds) -> Iterator[tuple[str, str]]:
    its_labels = labels_of(namespace)
    for label, level in _SECURITY.items():
        if its_labels.get(label) != level:
            message = tr("its label {label} is {value!r}", label=label, value=its_labels.get(label))
            yield message, tr("write {key}: {value}", key=label, value=level)
    version = "pod-security.kubernetes.io/enforce-version"
    if its_labels.get(version, "latest") != "latest":
        message = tr(
            "its label {label} is {value!r}: an old version lets more in", label=version, value=its_labels[version]
        )
        yield message, tr("write {key}: {value}", key=version, value="latest")
    annotations = annotations_of(namespace)
    for name in (AWARD_ID, GPUS, MODEL, TERM_START, TERM_END):
        if not annotations.get(name):
            yield tr("it has no annotation {annotation}", annotation=name), tr("write it from the award")
    model, selector = annotations.get(MODEL), annotations.get(NODE_SELECTOR)
    pool = next((pool for pool in bounds.cluster.pools if pool.model == model), None)
    if pool is None or not pool.node_label.items() <= selected(namespace).items():
        message = tr(
            "its annotation {annotation} is {value!r}, which does not force {model}",
            annotation=NODE_SELECTOR,
            value=selector,
            model=model,
        )
        yield message, tr("write the label of the model's nodes")


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
        remedy = tr("select all pods, with policyTypes Ingress and Egress")
        yield tr("its NetworkPolicy does not deny by default"), remedy
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for allowance in sequence(spec.get(direction)):
            allowed = sequence(mapping(allowance).get(peers))
            if not allowed or any(_everybody(mapping(peer)) for peer in allowed):
                message = tr("its NetworkPolicy opens {direction} to everybody", direction=direction)
                yield message, tr("name the namespaces or addresses")


def _everybody(peer: Mapping[str, object]) -> bool:
    anywhere = mapping(peer.get("ipBlock")).get("cidr") in _EVERYWHERE
    return not peer or anywhere or ("namespaceSelector" in peer and not mapping(peer["namespaceSelector"]))


def _access(binding: Manifest, name: str, bounds: Bounds) -> Iterator[tuple[str, str]]:
    """The RoleBinding gives the tenants' role to the award's own group and service account, and nothing else."""
    role = mapping(binding.get("roleRef"))
    if (role.get("kind"), role.get("name")) != ("ClusterRole", TENANT_ROLE):
        message = tr("its RoleBinding gives {kind} {name}", kind=role.get("kind"), name=role.get("name"))
        yield message, tr("give ClusterRole {role}", role=TENANT_ROLE)
    award = bounds.awards.get(name)
    own = {("ServiceAccount", name, SERVICE_ACCOUNT)}
    if award is not None:
        own.add(("Group", "", naming.group(bounds.cluster.group_prefix, award.award_id)))
    subjects = [mapping(subject) for subject in sequence(binding.get("subjects"))]
    if not subjects:
        yield tr("its RoleBinding gives access to nobody"), tr("name the awardee's group")
    for subject in subjects:
        kind = str(subject.get("kind"))
        if (kind, str(subject.get("namespace") or ""), str(subject.get("name"))) not in own:
            message = tr("its RoleBinding lets {kind} {name} in", kind=kind, name=subject.get("name"))
            yield message, tr("name the award's own group only")
