"""GPUs that are held on a cluster: the greater of what is granted and what pods hold, counted in one way for all."""

from __future__ import annotations

from collections.abc import Iterable

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.plan import Change, Op, Plan
from gpuprov.core.tenant import Desired, Tenant


def held_after(
    plan: Plan, desired: Desired, observed: ObservedCluster, cluster: ProviderCluster, *, lowered_first: bool = True
) -> dict[str, int]:
    """Return the GPUs of each pool that are held once the plan is carried out.

    A tenant that is taken back is not counted: nothing is granted before its GPUs are proven free. One that shrinks
    counts with what its pods hold on to. ``lowered_first`` is false where nobody lowers quotas before others grow:
    then what the quotas grant now counts too.
    """
    changes = {change.namespace: change for change in plan.on(cluster.provider)}
    live = {tenant.namespace: tenant for tenant in observed.tenants}
    wanted = [(tenant, live.pop(tenant.namespace, None)) for tenant in desired.on(cluster.provider)]
    held = held_now((other for other in live.values() if not _reclaimed(changes.get(other.namespace))), cluster)
    for tenant, live_tenant in wanted:
        change = changes.get(tenant.namespace)
        held[tenant.pool.model] += _held_by(tenant, live_tenant, change, lowered=lowered_first and change is not None)
    return held


def held_now(tenants: Iterable[ObservedTenant], cluster: ProviderCluster) -> dict[str, int]:
    """Return the GPUs of each pool that tenants hold as they are: granted, or where that is more, held by pods."""
    held = {pool.model: 0 for pool in cluster.pools}
    for tenant in tenants:
        for pool in tenant.pools(cluster):
            held[pool.model] += tenant.held(pool.resource)
    return held


def _held_by(tenant: Tenant, live: ObservedTenant | None, change: Change | None, *, lowered: bool) -> int:
    if live is None or _reclaimed(change):
        return tenant.gpus
    resource = tenant.pool.resource
    return max(tenant.gpus, live.occupied(resource) if lowered else live.held(resource))


def _reclaimed(change: Change | None) -> bool:
    return change is not None and change.op is Op.RECLAIM
