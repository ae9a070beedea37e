"""Tells what the term guard found and did: in the log, as Events on the namespaces, and to Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gpuprov.core.observed import ObservedTenant
from gpuprov.core.termguard import Overdue, Step
from gpuprov.kube.client import KubeApi
from gpuprov.kube.events import record
from gpuprov.kube.reclaim import Release
from gpuprov.run.termguard.metrics import Metrics

COMPONENT = "gpuprov-term-guard"

_LOG = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Reporter:
    """Tells everything once: what goes on is not told again with every look. In a dry run it writes no Event."""

    api: KubeApi
    metrics: Metrics
    now: Callable[[], datetime]
    dry_run: bool
    _going: dict[str, tuple[ObservedTenant, Overdue]] = field(default_factory=dict)
    _told: dict[tuple[str, str], str] = field(default_factory=dict)

    def problems(self, tenants: Mapping[str, ObservedTenant], problems: Mapping[str, str]) -> None:
        """Tell of namespaces whose end cannot be told; nothing is done to them."""
        self.metrics.problems.set(len(problems))
        for namespace in [name for name, reason in self._told if reason == "TermUnknown" and name not in problems]:
            del self._told[namespace, "TermUnknown"]
        for namespace, reason in problems.items():
            text = f"{reason}: the term guard will not end this award; run `gpuprov up`, which writes it again"
            self._warn(tenants[namespace], "TermUnknown", text)

    def crowded(self, ends: Mapping[datetime, int]) -> None:
        """Tell long before that the guard would not act at an end, since too many awards end then."""
        self.metrics.crowded.set(len(ends))
        for end, number in ends.items():
            if self._is_new("", f"crowded {end.isoformat()}", str(number)):
                _LOG.warning(
                    "%d awards end at %s, more than are ended at once (termGuard.mostAtOnce): then none will be; raise "
                    "that value",
                    number,
                    end.isoformat(),
                )

    def overdue(self, counts: Mapping[Step, int]) -> None:
        """Tell how many awards are past their end."""
        for step in Step:
            self.metrics.overdue.labels(step).set(counts.get(step, 0))

    def refused(self, tenants: Mapping[str, ObservedTenant], todo: tuple[Overdue, ...], reason: str | None) -> None:
        """Tell that nothing is done, and why."""
        self.metrics.refused.set(reason is not None)
        if reason is not None:
            for item in todo:
                self._warn(tenants[item.namespace], "TermGuardRefused", reason)

    def would(self, todo: tuple[Overdue, ...]) -> None:
        """Tell what a dry run leaves undone."""
        for item in todo:
            if self._is_new(item.namespace, "would", item.step):
                _LOG.info(
                    "dry run: would %s it, its term ended at %s",
                    item.step,
                    item.end.isoformat(),
                    extra={"namespace": item.namespace, "award": item.award_id},
                )

    def closed(self, tenant: ObservedTenant, item: Overdue, gpus: int, asked: datetime, release: Release) -> None:
        """Tell that an award's GPUs are proven free. ``asked`` is when its pods were told to end."""
        proven = asked + timedelta(seconds=release.seconds)
        self.metrics.ended.labels(Step.CLOSE).inc()
        self.metrics.freed.inc(gpus)
        text = (
            f"its term ended at {item.end.isoformat()}: access, quota and pods were taken away; {gpus} GPUs were "
            f"proven free at {proven.isoformat(timespec='seconds')}"
        )
        self._record(tenant, "TermEnded", text, normal=True)

    def deleted(self, tenant: ObservedTenant, item: Overdue) -> None:
        """Tell that a namespace is gone."""
        self.metrics.ended.labels(Step.DELETE).inc()
        text = f"its term ended at {item.end.isoformat()}: the namespace was deleted, with all that it had"
        self._record(tenant, "NamespaceDeleted", text, normal=True)

    def going(self, tenant: ObservedTenant, item: Overdue, reason: str) -> None:
        """Tell that a namespace was deleted and is still there; once it is gone, `gone` tells that."""
        self._going[tenant.namespace] = tenant, item
        self.unfinished(tenant, reason)

    def gone(self, there: Collection[str]) -> None:
        """Tell which of the namespaces are gone now. ``there`` are all that the cluster has."""
        for name in self._going.keys() - set(there):
            self.deleted(*self._going.pop(name))

    def unfinished(self, tenant: ObservedTenant, reason: str) -> None:
        """Tell that something of an award is still there."""
        self._warn(tenant, "TermNotEnded", reason)

    def _warn(self, tenant: ObservedTenant, reason: str, message: str) -> None:
        if self._is_new(tenant.namespace, reason, message):
            self._record(tenant, reason, message, normal=False)

    def _is_new(self, namespace: str, reason: str, message: str) -> bool:
        known = self._told.get((namespace, reason))
        self._told[namespace, reason] = message
        return known != message

    def _record(self, tenant: ObservedTenant, reason: str, message: str, *, normal: bool) -> None:
        extra = {"namespace": tenant.namespace, "award": tenant.award_id}
        _LOG.log(logging.INFO if normal else logging.WARNING, "%s: %s", reason, message, extra=extra)
        if not self.dry_run:
            namespace = tenant.objects["Namespace", tenant.namespace]
            record(self.api, namespace, reason, message, component=COMPONENT, at=self.now(), normal=normal)
