"""What the term guard tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from gpuprov.core.termguard import Step


class Metrics:
    """Everything that the term guard counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.overdue = self._gauge("overdue_awards", "Awards that are past their end by the margin", "step")
        self.problems = self._gauge("problem_namespaces", "Namespaces whose end cannot be told")
        self.refused = self._gauge("refused", "1 while nothing is done since too many awards are overdue at once")
        self.crowded = self._gauge("crowded_ends", "Ends to come at which more awards end than are ended at once")
        self.skew = self._gauge("clock_skew_seconds", "Seconds by which the API server's clock is ahead")
        self.looked = self._gauge("last_good_look_timestamp_seconds", "When the cluster was last read")
        self.looks = self._counter("looks", "Looks at the cluster")
        self.ended = self._counter("ended_awards", "Awards that were ended", "step")
        self.freed = self._counter("freed_gpus", "GPUs proven free")
        self.errors = self._counter("errors", "Failures, by kind", "kind")
        for step in Step:  # so that both are told before the first
            self.overdue.labels(step)
            self.ended.labels(step)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"gpuprov_term_guard_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"gpuprov_term_guard_{name}", text, labels, registry=self.registry)
