"""Whether the awards fit into the clusters at every instant: a sweep over the edges of all allocations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from gpuprov.cluster import CapacityStep, ProviderCluster
from gpuprov.gpu import GpuModel
from gpuprov.ledger import Allocation

MOST_LINES = 10
"""How many excesses are told one by one; thousands of awards can have thousands of them."""

_NO_POOL = (CapacityStep(gpus=0),)


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

    @property
    def pool(self) -> str:
        """The pool's name for people: provider and model."""
        return f"{self.provider} {self.model}"

    @property
    def fact(self) -> str:
        """What is exceeded by how much, when and by whom, without what to do about it."""
        equivalents = -(-self.excess // self.model.per_h100)
        return (
            f"{self.pool}: {self.allocated} GPUs allocated of {self.capacity}, {self.excess} too many "
            f"({equivalents} H100-equivalents), from {self.start.isoformat()} to {self.end.isoformat()} "
            f"by {len(self.award_ids)} awards"
        )

    def __str__(self) -> str:
        return f"{self.fact}; forfeit or reduce awards, or move them to another provider"


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


def peak(allocations: Iterable[Allocation], since: datetime | None = None, until: datetime | None = None) -> int:
    """Return the highest sum of GPUs at any instant of the half-open span; None is a side without a bound."""
    sums = pairwise(allocated_over_time(allocations))
    return max(
        (
            total
            for (start, total), (end, _) in sums
            if (since is None or since < end)
            and (until is None or start < until)
            and (since is None or until is None or since < until)
        ),
        default=0,
    )


def not_over(found: Iterable[Excess], at: datetime) -> list[Excess]:
    """Return the excesses that last at ``at`` or are still to come: no event can mend one that is over."""
    return [excess for excess in found if excess.end > at]


def lines(found: Sequence[Excess]) -> list[str]:
    """Return the excesses as lines for people; of many only the first, and of which pools the rest is."""
    told = [str(excess) for excess in found[:MOST_LINES]]
    if rest := found[MOST_LINES:]:
        pools = " and ".join(dict.fromkeys(excess.pool for excess in rest))
        told.append(f"and {len(rest)} more intervals, of {pools} (`gpuprov validate --json` has all)")
    return told


def excesses(allocations: Sequence[Allocation], clusters: Sequence[ProviderCluster]) -> list[Excess]:
    """Return every interval in which a pool is exceeded, joined where neighbours have the same sum and capacity.

    An allocation on a provider or model without a pool exceeds a capacity of 0.
    """
    steps = {(cluster.provider, pool.model): pool.steps for cluster in clusters for pool in cluster.pools}
    pools: dict[tuple[str, GpuModel], list[Allocation]] = {}
    for part in allocations:
        pools.setdefault((part.provider, part.model), []).append(part)
    found = []
    for (provider, model), parts in sorted(pools.items()):
        capacity = steps.get((provider, model), _NO_POOL)
        for start, end, total, limit in _intervals_above(capacity, allocated_over_time(parts)):
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


def _intervals_above(
    steps: Sequence[CapacityStep], sums: Sequence[tuple[datetime, int]]
) -> list[tuple[datetime, datetime, int, int]]:
    """Return the intervals in which ``sums`` is above the capacity, each with the sum and the capacity.

    Both are step functions; the last sum is always 0.
    """
    total_from = dict(sums)
    limit_from = {step.start: step.gpus for step in steps if step.start is not None}
    total, limit = 0, steps[0].gpus
    intervals: list[tuple[datetime, datetime, int, int]] = []
    for start, end in pairwise(sorted({*total_from, *limit_from})):
        total, limit = total_from.get(start, total), limit_from.get(start, limit)
        if total <= limit:
            continue
        if intervals and intervals[-1][1:] == (start, total, limit):
            intervals[-1] = (intervals[-1][0], end, total, limit)
        else:
            intervals.append((start, end, total, limit))
    return intervals
