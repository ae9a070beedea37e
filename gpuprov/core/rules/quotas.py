"""Rules on GPU quotas: within the capacity, within the award, and GPUs under no other resource name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.manifests import FIXED_QUOTA, GPUS, NODE_SELECTOR, Manifest
from gpuprov.core.quantity import parse
from gpuprov.core.rules.base import Bounds, Rule, Violation, annotations_of, home, mapping, metadata, place
from gpuprov.core.tenant import Tenant
from gpuprov.i18n import tr


def within_capacity(objects: Sequence[Manifest], bounds: Bounds) -> Iterator[Violation]:
    """The quotas of a model add up to no more GPUs than the provider's pool has.

    A quota says nothing about the model; the namespace's node selector decides it. Without a pool's node selector the
    quota's GPUs may come from any pool with that resource name, and count against each.
    """
    namespaces = {home(manifest): manifest for manifest in objects if manifest.get("kind") == "Namespace"}
    granted = {pool.model: 0 for pool in bounds.cluster.pools}
    for manifest in objects:
        if manifest.get("kind") == "ResourceQuota":
            hard = hard_of(manifest)
            for pool in _pools(namespaces.get(home(manifest), {}), bounds.cluster):
                granted[pool.model] += gpus_of(hard, pool.resource) or 0
    for pool in bounds.cluster.pools:
        capacity = pool.capacity_at(bounds.at)
        over = granted[pool.model] - capacity
        if over > 0:
            yield Violation(
                rule=Rule.CAPACITY,
                where=str(pool.model),
                message=tr(
                    "quotas grant {granted} GPUs, {over} more than the capacity of {capacity}",
                    granted=granted[pool.model],
                    over=over,
                    capacity=capacity,
                ),
                remedy=tr("forfeit or reduce awards, or correct the capacity in the stack's configuration"),
            )


def _pools(namespace: Manifest, cluster: ProviderCluster) -> Sequence[GpuPool]:
    forced = selected(namespace)
    return [pool for pool in cluster.pools if pool.node_label.items() <= forced.items()] or cluster.pools


def selected(namespace: Manifest) -> Mapping[str, str]:
    """Return the node labels that the namespace's node selector requires."""
    text = str(annotations_of(namespace).get(NODE_SELECTOR, ""))
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {label.strip(): value.strip() for label, _, value in pairs}


def within_award(manifest: Manifest, bounds: Bounds) -> Iterator[Violation]:
    """The quota of the award exceeds it in nothing, and the other one has the limit 0 for every other name of a GPU.

    A namespace without an award has 0 GPUs. A quota with scopes counts only some pods, so it limits nothing.
    """
    kind = manifest.get("kind")
    award = bounds.awards.get(home(manifest))
    if kind == "Namespace":
        annotated, gpus = annotations_of(manifest).get(GPUS, "0"), 0 if award is None else award.gpus
        if (parse(str(annotated)) or 0) > gpus:
            message = tr(
                "its annotation {annotation} says {annotated}, and the award has {gpus} GPUs",
                annotation=GPUS,
                annotated=annotated,
                gpus=gpus,
            )
            yield _over(manifest, message)
    elif kind == "ResourceQuota":
        spec = mapping(manifest.get("spec"))
        if spec.get("scopes") or spec.get("scopeSelector"):
            message = tr("it has scopes, so pods outside them have no quota")
            yield _over(manifest, message, tr("remove scopes and scopeSelector"))
        closes = metadata(manifest).get("name") == FIXED_QUOTA
        if award is not None and not closes:
            yield from _granted(manifest, award)
        awarded = "" if award is None else f"requests.{award.pool.resource}"
        granted = None if closes else awarded
        yield from _others(manifest, granted, [key for key in bounds.gpu_keys if closes and key != awarded])


def _granted(quota: Manifest, award: Tenant) -> Iterator[Violation]:
    resource = award.pool.resource
    granted = gpus_of(hard_of(quota), resource)
    if granted is None:
        remedy = tr('write requests.{resource}: "{gpus}"', resource=resource, gpus=award.gpus)
        yield _over(quota, tr("it does not say how many {resource}", resource=resource), remedy)
    elif granted > award.gpus:
        message = tr(
            "it grants {granted} {resource}, and the award has {gpus}",
            granted=granted,
            resource=resource,
            gpus=award.gpus,
        )
        yield _over(quota, message)


def _others(quota: Manifest, granted: str | None, closed: Sequence[str]) -> Iterator[Violation]:
    """Check every key but the one that the quota grants; all that are ``closed`` must be there.

    Extended resources have a ``/`` in their name; only GPUs are awarded.
    """
    hard = hard_of(quota)
    for key in closed:
        if key not in hard:
            yield _over(quota, tr("{key} has no limit", key=key), tr('write {key}: "0"', key=key))
    for key, value in hard.items():
        if key != granted and "/" in key and not key.startswith("count/") and parse(str(value)) != 0:
            message = tr("it grants {value} of {key}, which no award has", value=value, key=key)
            yield _over(quota, message, tr('write {key}: "0"', key=key))


def as_annotated(objects: Sequence[Manifest], bounds: Bounds) -> Iterator[Violation]:
    """A quota grants no more GPUs than its namespace's annotation says: people and reports read the annotation."""
    namespaces = [manifest for manifest in objects if manifest.get("kind") == "Namespace"]
    annotations = {home(namespace): annotations_of(namespace).get(GPUS) for namespace in namespaces}
    resources = {pool.resource for pool in bounds.cluster.pools}
    for manifest in objects:
        namespace = home(manifest)
        if manifest.get("kind") != "ResourceQuota" or namespace not in annotations:  # without one: COMPLETE's matter
            continue
        annotation = annotations[namespace]
        annotated = parse(str(annotation))
        granted = sum(gpus_of(hard_of(manifest), resource) or 0 for resource in resources)
        if granted > (annotated or 0):
            yield Violation(
                rule=Rule.ANNOTATED,
                where=place(manifest),
                message=tr(
                    "it grants {granted} GPUs, and the namespace's annotation {annotation} says {annotated}",
                    granted=granted,
                    annotation=GPUS,
                    annotated=annotation,
                ),
                remedy=tr("write both from the award"),
            )


def hard_of(quota: Manifest) -> Mapping[str, Any]:
    """Return the ``hard`` part of a ResourceQuota."""
    return mapping(mapping(quota.get("spec")).get("hard"))


def gpus_of(hard: Mapping[str, Any], resource: str) -> int | None:
    """Return how many of an extended resource a quota grants; None if it has no valid quantity."""
    number = parse(str(hard.get(f"requests.{resource}")))
    return None if number is None or number < 0 else number


_AS_AWARDED = tr("write the award's quantity, or correct the list")


def _over(manifest: Manifest, message: str, remedy: str = _AS_AWARDED) -> Violation:
    return Violation(rule=Rule.AWARD, where=place(manifest), message=message, remedy=remedy)
