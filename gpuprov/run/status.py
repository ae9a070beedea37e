"""Capacity, allocated and free GPUs of each pool, as the clusters themselves tell it."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.gpu import GpuModel
from gpuprov.core.observed import ObservedCluster
from gpuprov.errors import ClusterError
from gpuprov.kube.observe import observe
from gpuprov.load.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """One pool in GPUs of its model.

    ``over`` is what tenants still hold beyond their quotas, because pods run on after a reduction or a teardown is not
    finished: it is not free.
    """

    provider: str
    model: GpuModel
    awards: int
    capacity: int
    allocated: int
    used: int
    over: int

    @property
    def free(self) -> int:
        """GPUs that can be granted at once; negative where more is granted than the pool has."""
        return self.capacity - self.allocated - self.over

    def to_json(self) -> dict[str, Any]:
        """Return the pool as plain data, with the H100-equivalents."""
        convert = self.model.h100_equivalents
        equivalents = {"capacity": convert(self.capacity), "allocated": convert(self.allocated)}
        return asdict(self) | {"free": self.free, "h100": equivalents | {"free": convert(max(0, self.free))}}


def read_status(
    project: Project, providers: Collection[str], at: datetime
) -> tuple[list[PoolStatus], dict[str, ClusterError]]:
    """Read the providers' clusters side by side; return their pools, and the error of each that failed.

    What is allocated and used is read now; ``at`` is the instant whose capacity it is compared with.
    """
    clusters = [cluster for cluster in project.clusters if cluster.provider in providers]
    pools: list[PoolStatus] = []
    failed: dict[str, ClusterError] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(clusters))) as pool:
        readings = [(cluster, pool.submit(observe, cluster)) for cluster in clusters]
    for cluster, reading in readings:
        error = reading.exception()
        if isinstance(error, ClusterError):
            failed[cluster.provider] = error
        else:
            pools += [_status(cluster, pool, reading.result(), at) for pool in cluster.pools]
    return pools, failed


def _status(cluster: ProviderCluster, pool: GpuPool, there: ObservedCluster, at: datetime) -> PoolStatus:
    mine = [tenant for tenant in there.tenants if pool in tenant.pools(cluster)]
    hard = [tenant.hard(pool.resource) for tenant in mine]
    held = [tenant.held(pool.resource) for tenant in mine]
    return PoolStatus(
        provider=cluster.provider,
        model=pool.model,
        awards=len(mine),
        capacity=pool.capacity_at(at),
        allocated=sum(hard),
        used=sum(tenant.used(pool.resource) for tenant in mine),
        over=sum(held) - sum(hard),
    )
