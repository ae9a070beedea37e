"""What has to change to get from what is there to what should be, and why: a plan, made without touching anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from gpuprov.core import naming
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import QUOTA, Manifest, tenant_manifests
from gpuprov.core.observed import Live, ObservedCluster, ObservedTenant
from gpuprov.core.tenant import Absence, Cause, Desired, Tenant
from gpuprov.i18n import Word, tr

_MOST_DIFFERENCES = 5


class Loss(Word):
    """What an awardee loses though neither the ledger nor the promised end of the term explains it."""

    TEARDOWN = tr("teardown")
    MODEL = tr("change of model")
    SUPPLIER = tr("change of supplier")
    REDUCTION = tr("reduction")
    ACCESS = tr("change of group")


class Op(Word):
    """What happens to one tenant."""

    CREATE = tr("create")
    UPDATE = tr("update")
    RECLAIM = tr("reclaim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One tenant that differs. GPUs are of ``model``; ``before`` is what the live quota grants, 0 without a quota, and
    for a reclaim what comes back once it is done. ``used`` are those in use now.

    ``loss`` is set where nothing explains what the awardee loses: the guard counts those.
    """

    op: Op
    provider: str
    award_id: str
    organization: str
    namespace: str
    model: str
    before: int
    after: int
    used: int
    reasons: tuple[str, ...]
    loss: Loss | None = None

    @property
    def expected(self) -> bool:
        """True where the awardee loses nothing, or the ledger or the promised end of the term explains it."""
        return self.loss is None

    @property
    def grows(self) -> bool:
        """True where the award gets GPUs that it does not have now."""
        return self.after > self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All changes for one instant on the clusters that answered, in order of provider, operation and award."""

    at: datetime
    changes: tuple[Change, ...]
    unchanged: int
    providers: tuple[str, ...]

    def on(self, provider: str) -> tuple[Change, ...]:
        """Return the changes on one provider's cluster."""
        return tuple(change for change in self.changes if change.provider == provider)

    def where(self, wanted: Callable[[Change], bool]) -> Plan:
        """Return the plan with only the changes that are wanted."""
        return replace(self, changes=tuple(change for change in self.changes if wanted(change)))

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data for machines."""
        changes = [
            asdict(change) | {"reasons": list(change.reasons), "expected": change.expected} for change in self.changes
        ]
        return {
            "at": self.at.isoformat(),
            "providers": list(self.providers),
            "unchanged": self.unchanged,
            "changes": changes,
        }


def make_plan(desired: Desired, observed: Sequence[ObservedCluster], clusters: Mapping[str, ProviderCluster]) -> Plan:
    """Compare the desired state with what was observed. Clusters that were not observed have no part in the plan."""
    absences = {naming.namespace(absence.award_id): absence for absence in desired.absences}
    elsewhere = {tenant.namespace: tenant.provider for tenant in desired.tenants}
    changes: list[Change] = []
    unchanged = 0
    for observed_cluster in observed:
        cluster = clusters[observed_cluster.provider]
        live = {tenant.namespace: tenant for tenant in observed_cluster.tenants}
        wanted = desired.on(observed_cluster.provider)
        for tenant in wanted:
            change = _write(tenant, live.get(tenant.namespace), cluster, desired)
            if change is None:
                unchanged += 1
            else:
                changes.append(change)
        names = {tenant.namespace for tenant in wanted}
        changes += [
            _reclaim(tenant, cluster, absences.get(name), elsewhere.get(name), desired)
            for tenant in observed_cluster.tenants
            if (name := tenant.namespace) not in names
        ]
    order = list(Op)
    changes.sort(key=lambda change: (change.provider, order.index(change.op), change.award_id))
    providers = tuple(cluster.provider for cluster in observed)
    return Plan(at=desired.at, changes=tuple(changes), unchanged=unchanged, providers=providers)


def _write(tenant: Tenant, live: ObservedTenant | None, cluster: ProviderCluster, desired: Desired) -> Change | None:
    """Return the change that makes ``live`` into ``tenant``, or None where nothing differs."""
    resource = tenant.pool.resource
    op, before, used, loss = Op.CREATE, 0, 0, None
    reasons: list[str] = [tr("term to {end}, no namespace yet", end=tenant.term_end.isoformat(timespec="minutes"))]
    if live is not None and live.pool(cluster) not in (None, tenant.pool):
        return _change_of_model(tenant, live, cluster, desired)
    if live is not None:
        op = Op.UPDATE
        before, used = live.hard(resource), live.used(resource)
        loss = _loss(tenant, live, cluster, reduced_by_ledger=tenant.award_id in desired.reduced)
        reasons = _differing(tenant, live, cluster)
        if not reasons:
            return None
    return Change(
        op=op,
        provider=tenant.provider,
        award_id=tenant.award_id,
        organization=tenant.organization,
        namespace=tenant.namespace,
        model=tenant.pool.model,
        before=before,
        after=tenant.gpus,
        used=used,
        reasons=tuple(reasons),
        loss=loss,
    )


def _differing(tenant: Tenant, live: ObservedTenant, cluster: ProviderCluster) -> list[str]:
    """Return how the live objects differ from what they should be; nothing where they do not."""
    reasons: list[str] = list(_drift(tenant_manifests(tenant, cluster), live))
    granted = live.hard(tenant.pool.resource)
    if granted != tenant.gpus and ("ResourceQuota", QUOTA) in live.objects:
        summary = tr(
            "the quota grants {granted} {model}, the award has {gpus}",
            granted=granted,
            model=tenant.pool.model,
            gpus=tenant.gpus,
        )
        reasons = [summary, *(reason for reason in reasons if not reason.startswith(f"ResourceQuota {QUOTA}:"))]
    if (more := len(reasons) - _MOST_DIFFERENCES) > 0:
        reasons[_MOST_DIFFERENCES:] = [tr("and {number} more", number=more)]
    return reasons


def _loss(tenant: Tenant, live: ObservedTenant, cluster: ProviderCluster, *, reduced_by_ledger: bool) -> Loss | None:
    """Compare with what we last granted: a quota that somebody raised by hand is no loss when it is put right."""
    granted = live.hard(tenant.pool.resource) if live.granted is None else live.granted
    if granted > tenant.gpus and not reduced_by_ledger:
        return Loss.REDUCTION
    if live.group not in (None, naming.group(cluster.group_prefix, tenant.award_id)):
        return Loss.ACCESS
    return None


def _change_of_model(tenant: Tenant, live: ObservedTenant, cluster: ProviderCluster, desired: Desired) -> Change:
    """Take the tenant back first: pods that run would stay on the old model's nodes, under the new model's quota."""
    reason = tr(
        "now {gpus} {model}: what it has comes back first, the next run grants the new model",
        gpus=tenant.gpus,
        model=tenant.pool.model,
    )
    return _take_back(live, cluster, tenant.award_id, *_by_promise(live, reason, Loss.MODEL, desired))


def _reclaim(
    live: ObservedTenant, cluster: ProviderCluster, absence: Absence | None, elsewhere: str | None, desired: Desired
) -> Change:
    """Whatever the list says now: the ledger, and the end that the cluster was promised, explain a teardown."""
    if absence is None:
        moved = tr("now at {provider}", provider=elsewhere)
        why, loss = (moved, Loss.SUPPLIER) if elsewhere else (_UNLISTED, Loss.TEARDOWN)
        return _take_back(live, cluster, live.award_id, *_by_promise(live, why, loss, desired))
    if absence.by_ledger:
        return _take_back(live, cluster, absence.award_id, absence.reason, None)
    reason, unexplained = _by_promise(live, absence.reason, Loss.TEARDOWN, desired)
    if absence.cause is Cause.ENDED and unexplained:
        if live.term_end is None:
            reason = tr("{reason}; its namespace does not say what end was promised", reason=reason)
        else:
            promised = live.term_end.isoformat(timespec="minutes")
            reason = tr("{reason}; the cluster was promised {end}", reason=reason, end=promised)
    return _take_back(live, cluster, absence.award_id, reason, unexplained)


_UNLISTED = tr("not in the award list")


def _by_promise(live: ObservedTenant, reason: str, loss: Loss, desired: Desired) -> tuple[str, Loss | None]:
    """Return the reason, and the loss unless the end that the cluster was promised explains it.

    Where an extension of the ledger gives an end that is still to come, the promise is stale and explains nothing.
    """
    if live.term_end is None or live.term_end > desired.at:
        return reason, loss
    later = desired.extended.get(live.namespace)
    if later is None:
        return reason, None
    end = later.isoformat(timespec="minutes")
    return tr("{reason}; the ledger extends it to {end}", reason=reason, end=end), loss


def _take_back(live: ObservedTenant, cluster: ProviderCluster, award_id: str, reason: str, loss: Loss | None) -> Change:
    pool = live.pools(cluster)[0]
    return Change(
        op=Op.RECLAIM,
        provider=cluster.provider,
        award_id=award_id,
        organization=live.organization,
        namespace=live.namespace,
        model=pool.model,
        before=live.held(pool.resource),
        after=0,
        used=live.used(pool.resource),
        reasons=(reason,),
        loss=loss,
    )


def _drift(manifests: Sequence[Manifest], live: ObservedTenant) -> Iterator[str]:
    if live.terminating:
        yield tr("the namespace is being deleted; it is made again once it is gone")
    for manifest in manifests:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        live_object = live.objects.get((kind, name))
        if live_object is None:
            yield tr("{kind} {name} is missing", kind=kind, name=name)
        elif kind == "ConfigMap" and any(differences(manifest, live_object)):  # whole pages are no reason to read
            yield tr("{kind} {name}: what it tells the awardee is not up to date", kind=kind, name=name)
        else:
            for path, is_, should in differences(manifest, live_object):
                yield tr(
                    "{kind} {name}: {path} is {live!r}, should be {wanted!r}",
                    kind=kind,
                    name=name,
                    path=path,
                    live=is_,
                    wanted=should,
                )


_OPEN = frozenset({"", "metadata", "metadata.labels", "metadata.annotations", "spec.hard"})
"""Maps that others add to by right: labels, annotations, the server's own fields, further limits of a quota."""


def differences(manifest: Manifest, live: Live, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (path, live value, wanted value) for all that the live object has otherwise than the manifest.

    Beyond the manifest a live object may have what the server and others add to it. Its rules have to be exact:
    one key more in a selector, and a policy isolates less.
    """
    for key, should in manifest.items():
        yield from _difference(should, live.get(key), f"{path}.{key}" if path else key)
    if path not in _OPEN:
        for key in sorted(live.keys() - manifest.keys()):
            if live[key] is not None:  # an empty selector beside another selects everything: it counts
                yield f"{path}.{key}", live[key], None


def _difference(should: Any, is_: Any, path: str) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 (JSON)
    if should == is_:
        return  # most are, and comparing them whole is quick
    if isinstance(should, Mapping) and isinstance(is_, Mapping):
        yield from differences(should, is_, path)
    elif isinstance(should, list) and isinstance(is_, list) and len(should) == len(is_):
        for index, (expected, actual) in enumerate(zip(should, is_, strict=True)):
            yield from _difference(expected, actual, f"{path}[{index}]")
    elif should or is_:  # an empty map and a missing one are the same to Kubernetes
        yield path, is_, should
