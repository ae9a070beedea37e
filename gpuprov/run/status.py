"""Capacity, allocated and free GPUs of each pool, as the clusters themselves tell it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.holdings import held_now
from gpuprov.core.observed import ObservedCluster
from gpuprov.core.programme import Programme
from gpuprov.errors import ClusterError
from gpuprov.kube.client import KubeApi
from gpuprov.kube.observe import observe
from gpuprov.kube.usage import pods_on
from gpuprov.load.project import Project
from gpuprov.run.aside import read_all


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """One pool in GPUs of its model.

    ``over`` is what tenants still hold beyond their quotas: because pods run on after a reduction, or are stuck while
    they terminate and charged by no quota any more, or because a teardown is not finished. It is not free.
    """

    provider: str
    model: str
    awards: int
    capacity: int
    allocated: int
    used: int
    over: int

    @property
    def free(self) -> int:
        """GPUs that can be granted at once; negative where more is granted than the pool has."""
        return self.capacity - self.allocated - self.over

    def equivalents(self, programme: Programme) -> dict[str, int]:
        """Return what the pool is worth in whole reference devices; nothing for a model that is not convertible."""
        convert = programme.accelerator(self.model).equivalents
        gpus = {"capacity": self.capacity, "allocated": self.allocated, "free": max(0, self.free)}
        worth = {name: convert(number) for name, number in gpus.items()}
        return {name: number for name, number in worth.items() if number is not None}

    def to_json(self, programme: Programme) -> dict[str, Any]:
        """Return the pool as plain data, with its equivalents under the reference's name in small letters, as ``h100``.

        A model that is not convertible has none.
        """
        equivalents = self.equivalents(programme)
        worth = {programme.reference.lower(): equivalents} if programme.reference and equivalents else {}
        return asdict(self) | {"free": self.free} | worth


def read_status(
    project: Project, providers: Collection[str], at: datetime
) -> tuple[list[PoolStatus], dict[str, ClusterError]]:
    """Read the providers' clusters side by side; return their pools, and the error of each that failed.

    What is allocated and used is read now; ``at`` is the instant whose capacity it is compared with.
    """
    observed, failed = read_clusters(project, providers)
    pools = [
        pool
        for cluster in project.clusters
        if cluster.provider in observed
        for pool in status_of(cluster, observed[cluster.provider], at)
    ]
    return pools, failed


def status_of(cluster: ProviderCluster, observed: ObservedCluster, at: datetime) -> list[PoolStatus]:
    """Return the pools of a cluster that was observed."""
    return [_status(cluster, pool, observed, at) for pool in cluster.pools]


def read_clusters(
    project: Project, providers: Collection[str]
) -> tuple[dict[str, ObservedCluster], dict[str, ClusterError]]:
    """Read the providers' clusters side by side, with what pods hold. Return also the errors."""
    clusters = [cluster for cluster in project.clusters if cluster.provider in providers]
    return read_all({cluster.provider: partial(_observe, cluster) for cluster in clusters}, ClusterError)


def _observe(cluster: ProviderCluster) -> ObservedCluster:
    """Read the cluster with what pods hold: a quota does not charge all of it."""
    api = KubeApi(cluster)
    return observe(cluster, api).with_pods(pods_on(cluster, None, api))


def _status(cluster: ProviderCluster, pool: GpuPool, observed: ObservedCluster, at: datetime) -> PoolStatus:
    tenants = [tenant for tenant in observed.tenants if pool in tenant.pools(cluster)]
    allocated = sum(tenant.hard(pool.resource) for tenant in tenants)
    return PoolStatus(
        provider=cluster.provider,
        model=pool.model,
        awards=len(tenants),
        capacity=pool.capacity_at(at),
        allocated=allocated,
        used=sum(tenant.used(pool.resource) for tenant in tenants),
        over=held_now(tenants, cluster)[pool.model] - allocated,
    )
