"""Whether the awards fit into the clusters at every instant: a sweep over the edges of all allocations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from gpuprov.cluster import ProviderCluster
from gpuprov.gpu import GpuModel
from gpuprov.ledger import Allocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """An interval in which more GPUs of a pool are allocated than it has."""

    provider: str
    model: GpuModel
    start: datetime
    end: datetime
    allocated: int
    capacity: int
    award_ids: tuple[str, ...]

    @property
    def excess(self) -> int:
        """GPUs of the model by which the pool is exceeded."""
        return self.allocated - self.capacity

    def __str__(self) -> str:
        equivalents = -(-self.excess // self.model.per_h100)
        return (
            f"{self.provider} {self.model}: {self.allocated} GPUs allocated of {self.capacity}, {self.excess} too many "
            f"({equivalents} H100-equivalents), from {self.start.isoformat()} to {self.end.isoformat()} "
            f"by {len(self.award_ids)} awards; forfeit or reduce awards, or move them to another provider"
        )


def allocated_over_time(allocations: Iterable[Allocation]) -> list[tuple[datetime, int]]:
    """Return the sum of GPUs after each edge, in order of time: ends are counted before starts.

    An award that ends at the instant at which another starts never adds to it.
    """
    deltas: dict[datetime, int] = {}
    for part in allocations:
        deltas[part.start] = deltas.get(part.start, 0) + part.gpus
        deltas[part.end] = deltas.get(part.end, 0) - part.gpus
    total = 0
    sums = []
    for edge in sorted(deltas):
        total += deltas[edge]
        sums.append((edge, total))
    return sums


def peak(allocations: Iterable[Allocation]) -> int:
    """Return the highest sum of GPUs at any instant."""
    return max((total for _, total in allocated_over_time(allocations)), default=0)


def excesses(allocations: Sequence[Allocation], clusters: Sequence[ProviderCluster]) -> list[Excess]:
    """Return every interval in which a pool is exceeded, joined where neighbours exceed by the same number.

    An allocation on a provider or model without a pool exceeds a capacity of 0.
    """
    capacity = {(cluster.provider, pool.model): pool.capacity for cluster in clusters for pool in cluster.pools}
    pools: dict[tuple[str, GpuModel], list[Allocation]] = {}
    for part in allocations:
        pools.setdefault((part.provider, part.model), []).append(part)
    found = []
    for (provider, model), parts in sorted(pools.items()):
        limit = capacity.get((provider, model), 0)
        for start, end, total in _intervals_above(limit, allocated_over_time(parts)):
            there = tuple(sorted({part.award_id for part in parts if part.start < end and part.end > start}))
            found.append(
                Excess(
                    provider=provider,
                    model=model,
                    start=start,
                    end=end,
                    allocated=total,
                    capacity=limit,
                    award_ids=there,
                )
            )
    return found


def _intervals_above(limit: int, sums: Sequence[tuple[datetime, int]]) -> list[tuple[datetime, datetime, int]]:
    """Cut the step function ``sums`` to where it is above ``limit``; the last sum is always 0."""
    intervals: list[tuple[datetime, datetime, int]] = []
    for (start, total), (end, _) in pairwise(sums):
        if total <= limit:
            continue
        if intervals and intervals[-1][1] == start and intervals[-1][2] == total:
            intervals[-1] = (intervals[-1][0], end, total)
        else:
            intervals.append((start, end, total))
    return intervals
