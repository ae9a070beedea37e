"""What the service tells Prometheus: awards, GPUs, drift, how old its view is, and how long GPUs take to come back."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gpuprov.core.lifecycle import AwardState
from gpuprov.core.upcoming import next_edge
from gpuprov.run.awards import rows_of
from gpuprov.run.loading import Loaded
from gpuprov.run.pipeline import PlanContext
from gpuprov.run.status import PoolStatus, status_of

_BUCKETS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 86400)
"""Seconds from an edge to a GPU that is proven free: minutes are the promise, a day is a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What was seen of one provider, and when."""

    at: datetime
    pools: tuple[PoolStatus, ...]
    changes: Mapping[str, int]
    outrun: int = 0


@dataclass(kw_only=True, eq=False)
class Views(Collector):
    """The last good view of each provider, and the list as it is; told at the instant at which Prometheus asks."""

    now: Callable[[], datetime]
    loaded: Loaded | None = None
    views: dict[str, View] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def saw(self, provider: str, loaded: Loaded, full: PlanContext) -> None:
        """Keep what a look has found on a provider's cluster."""
        at = full.desired.at
        (observed,) = full.observed
        pools = tuple(status_of(loaded.project.by_provider[provider], observed, at))
        changes = Count(change.op.name.lower() for change in full.plan.changes)
        with self._lock:
            self.views[provider] = View(at=at, pools=pools, changes=changes, outrun=len(full.warnings))

    def forget(self, provider: str) -> None:
        """Tell no more of a provider that the project does not have any more."""
        with self._lock:
            self.views.pop(provider, None)

    def age(self, provider: str) -> timedelta | None:
        """Return how old the last good view of a provider is; None where there is none."""
        view = self.views.get(provider)
        return None if view is None else self.now() - view.at

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what Prometheus reads."""
        with self._lock:
            views = dict(self.views)
        yield from (self._awards(), self._edge())
        yield from _of_views(views, self.now())

    def _awards(self) -> GaugeMetricFamily:
        awards = GaugeMetricFamily("gpuprov_awards", "Awards of list and ledger, by state", labels=["state"])
        rows = () if (loaded := self.loaded) is None else rows_of(loaded, {}, self.now())
        states = Count(row.state for row in rows)
        for state in AwardState:
            if state is not AwardState.ORPHAN:  # only clusters know those
                awards.add_metric([state], states[state])
        return awards

    def _edge(self) -> GaugeMetricFamily:
        edge = GaugeMetricFamily("gpuprov_next_edge_timestamp_seconds", "When something changes by itself next")
        if (loaded := self.loaded) is not None:
            clusters = loaded.project.clusters
            at = next_edge(loaded.histories, loaded.unlisted, loaded.events, clusters, self.now())
            if at is not None:
                edge.add_metric([], at.timestamp())
        return edge


def _of_views(views: Mapping[str, View], now: datetime) -> Iterator[GaugeMetricFamily]:
    pools = GaugeMetricFamily("gpuprov_pool_gpus", "GPUs of a pool, by kind", labels=["provider", "model", "kind"])
    drift = GaugeMetricFamily(
        "gpuprov_drift_changes", "Awards that differ from list and ledger", labels=["provider", "operation"]
    )
    age = GaugeMetricFamily(
        "gpuprov_last_good_look_age_seconds", "Seconds since a provider was last read", labels=["provider"]
    )
    outrun = GaugeMetricFamily(
        "gpuprov_outrun_awards", "Awards that the cluster's term guard would end too early", labels=["provider"]
    )
    for provider, view in views.items():
        for pool in view.pools:
            for kind in ("capacity", "allocated", "used", "free"):
                pools.add_metric([provider, pool.model, kind], getattr(pool, kind))
        for operation in ("create", "update", "reclaim"):
            drift.add_metric([provider, operation], view.changes.get(operation, 0))
        age.add_metric([provider], (now - view.at).total_seconds())
        outrun.add_metric([provider], view.outrun)
    yield from (pools, drift, age, outrun)


class Metrics:
    """Everything that the service counts, in a registry of its own."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.registry = CollectorRegistry()
        self.views = Views(now=now)
        self.registry.register(self.views)
        self.rounds = Counter("gpuprov_rounds", "Looks at a provider", ["provider"], registry=self.registry)
        self.errors = Counter("gpuprov_errors", "Failures, by kind", ["provider", "kind"], registry=self.registry)
        self.leads = Gauge("gpuprov_leads", "1 where this replica leads", ["provider"], registry=self.registry)
        self.valid = Gauge("gpuprov_list_valid", "1 while the project's files are valid", registry=self.registry)
        self.freed = Counter("gpuprov_freed_gpus", "GPUs proven free", ["provider", "model"], registry=self.registry)
        self.to_free = Histogram(
            "gpuprov_edge_to_free_seconds",
            "Seconds from the end of an award to the proof that its GPUs are free",
            ["provider"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
