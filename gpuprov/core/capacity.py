"""Whether the awards fit into the clusters at every instant: a sweep over the edges of all allocations."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.ledger import Allocation
from gpuprov.core.programme import Programme
from gpuprov.core.steps import CapacityStep
from gpuprov.i18n import Message, all_of, tr, trn

MOST_LINES = 10
"""How many excesses are told one by one; thousands of awards can have thousands of them."""

_NO_POOL = (CapacityStep(gpus=0),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """An interval in which more GPUs of a pool are allocated than it has.

    ``equivalents`` is the excess in the programme's ``reference``; None for a model that does not convert to it.
    """

    provider: str
    model: str
    start: datetime
    end: datetime
    allocated: int
    capacity: int
    award_ids: tuple[str, ...]
    equivalents: int | None = None
    reference: str | None = None

    @property
    def excess(self) -> int:
        """GPUs of the model by which the pool is exceeded."""
        return self.allocated - self.capacity

    @property
    def pool(self) -> str:
        """The pool's name for people: provider and model."""
        return f"{self.provider} {self.model}"

    @property
    def fact(self) -> Message:
        """What is exceeded by how much, when and by whom, without what to do about it."""
        worth = (
            ""
            if self.equivalents is None
            else tr(" ({number} {reference}-equivalents)", number=self.equivalents, reference=self.reference)
        )
        return trn(
            "{pool}: {allocated} GPUs allocated of {capacity}, {excess} too many{worth}, from {start} to {end} by "
            "{number} award",
            "{pool}: {allocated} GPUs allocated of {capacity}, {excess} too many{worth}, from {start} to {end} by "
            "{number} awards",
            len(self.award_ids),
            pool=self.pool,
            allocated=self.allocated,
            capacity=self.capacity,
            excess=self.excess,
            worth=worth,
            start=self.start.isoformat(),
            end=self.end.isoformat(),
        )

    @property
    def sentence(self) -> Message:
        """What is exceeded, and what to do about it."""
        return tr("{fact}; forfeit or reduce awards, or move them to another provider", fact=self.fact)

    def __str__(self) -> str:
        return str(self.sentence)


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
    """Return the highest sum of GPUs at any instant of a half-open span; None is a side without a bound."""
    sums = (
        total
        for (start, total), (end, _) in pairwise(allocated_over_time(allocations))
        if (since is None or since < end) and (until is None or start < until)
    )
    return max(sums, default=0)


def not_over(exceeded: Iterable[Excess], at: datetime) -> list[Excess]:
    """Return the excesses that last at ``at`` or are still to come: no event can mend one that is over."""
    return [excess for excess in exceeded if excess.end > at]


def lines(exceeded: Sequence[Excess]) -> list[str]:
    """Return the excesses as lines for people; of many only the first, and of which pools the rest is."""
    shown: list[str] = [excess.sentence for excess in exceeded[:MOST_LINES]]
    if rest := exceeded[MOST_LINES:]:
        pools = all_of(dict.fromkeys(excess.pool for excess in rest))
        shown.append(
            trn(
                "and {number} more interval, of {pools} (`gpuprov validate --json` has all)",
                "and {number} more intervals, of {pools} (`gpuprov validate --json` has all)",
                len(rest),
                pools=pools,
            )
        )
    return shown


def excesses(
    allocations: Sequence[Allocation], clusters: Sequence[ProviderCluster], programme: Programme
) -> list[Excess]:
    """Return every interval in which a pool is exceeded, joined where neighbours have the same sum and capacity.

    An allocation on a provider or model without a pool exceeds a capacity of 0.
    """
    steps = {(cluster.provider, pool.model): pool.steps for cluster in clusters for pool in cluster.pools}
    pools: dict[tuple[str, str], list[Allocation]] = {}
    for part in allocations:
        pools.setdefault((part.provider, part.model), []).append(part)
    return [
        Excess(
            provider=provider,
            model=model,
            start=span.start,
            end=span.end,
            allocated=span.allocated,
            capacity=span.capacity,
            award_ids=tuple(span.award_ids),
            equivalents=programme.accelerator(model).equivalents_up(span.allocated - span.capacity),
            reference=programme.reference,
        )
        for (provider, model), parts in sorted(pools.items())
        for span in _spans_above(steps.get((provider, model), _NO_POOL), parts)
    ]


@dataclass(slots=True, kw_only=True)
class _Span:
    start: datetime
    end: datetime
    allocated: int
    capacity: int
    award_ids: list[str]


def _spans_above(steps: Sequence[CapacityStep], parts: Sequence[Allocation]) -> list[_Span]:
    """Return where the sum of one pool's allocations is above its capacity: a sweep over the edges of both.

    Who holds GPUs is kept from edge to edge: asking all of thousands of awards again at each of their edges is
    quadratic, and took half a minute.
    """
    capacity_from = {step.start: step.gpus for step in steps if step.start is not None}
    holders = _Holders()
    starting, ending = _by(parts, "start"), _by(parts, "end")
    capacity = steps[0].gpus
    spans: list[_Span] = []
    for start, end in pairwise(sorted({*starting, *ending, *capacity_from})):
        holders.release(ending.get(start, ()))
        new = holders.grant(starting.get(start, ()))
        capacity = capacity_from.get(start, capacity)
        if holders.gpus <= capacity:
            continue
        last = spans[-1] if spans and spans[-1].end == start else None
        if last is not None and (last.allocated, last.capacity) == (holders.gpus, capacity):
            last.end = end
            for award_id in new:
                _insert(last.award_ids, award_id)
        else:
            ids = list(holders.award_ids)
            spans.append(_Span(start=start, end=end, allocated=holders.gpus, capacity=capacity, award_ids=ids))
    return spans


class _Holders:
    """Who holds GPUs of a pool at one instant: the sum, and the awards in order of their ids."""

    def __init__(self) -> None:
        self.gpus = 0
        self.award_ids: list[str] = []
        self._parts: dict[str, int] = {}

    def release(self, parts: Iterable[Allocation]) -> None:
        for part in parts:
            self.gpus -= part.gpus
            self._parts[part.award_id] -= 1
            if not self._parts[part.award_id]:
                del self.award_ids[bisect_left(self.award_ids, part.award_id)]

    def grant(self, parts: Iterable[Allocation]) -> list[str]:
        """Return the awards that these are of."""
        granted = []
        for part in parts:
            self.gpus += part.gpus
            self._parts[part.award_id] = self._parts.get(part.award_id, 0) + 1
            _insert(self.award_ids, part.award_id)
            granted.append(part.award_id)
        return granted


def _insert(ordered: list[str], value: str) -> None:
    """Put a value in its place, unless it is there."""
    place = bisect_left(ordered, value)
    if ordered[place : place + 1] != [value]:
        ordered.insert(place, value)


def _by(parts: Iterable[Allocation], edge: Literal["start", "end"]) -> dict[datetime, list[Allocation]]:
    grouped: dict[datetime, list[Allocation]] = {}
    for part in parts:
        grouped.setdefault(getattr(part, edge), []).append(part)
    return grouped


def pool_peak(
    allocations: Iterable[Allocation],
    cluster: ProviderCluster,
    pool: GpuPool,
    start: datetime | None,
    end: datetime | None,
) -> int:
    """Return the most GPUs of a pool that are allocated at once in a half-open interval; None is unbounded."""
    held = (part for part in allocations if (part.provider, part.model) == (cluster.provider, pool.model))
    return peak(held, start, end)
