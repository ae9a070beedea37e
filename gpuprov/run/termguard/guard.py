"""One look of the term guard: what is overdue, and with the cluster's turn in hand, its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gpuprov.core.observed import ObservedTenant
from gpuprov.core.termguard import Overdue, Rules, Step, Verdict, crowded, judge, next_step, to_do, too_many
from gpuprov.errors import ClusterError
from gpuprov.i18n import tr
from gpuprov.kube.client import KubeApi
from gpuprov.kube.lease import Turn, take_turn
from gpuprov.kube.overdue import Contents, read_contents, read_tenants
from gpuprov.kube.reading import read_clock
from gpuprov.kube.reclaim import Teardown
from gpuprov.kube.target import Target
from gpuprov.preflight import clock
from gpuprov.run.termguard.report import Reporter

_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What one look found. ``todo`` is what is left to do, and may be refused as too much."""

    tenants: Mapping[str, ObservedTenant]
    verdict: Verdict
    contents: Contents
    todo: tuple[Overdue, ...]
    next_step: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TermGuard:
    """What the looks need. ``now`` is the clock, ``machine_now`` this machine's own also while a night is rehearsed.

    ``timeout`` is how many seconds to wait for pods, and again for namespaces.
    """

    cluster: Target
    api: KubeApi
    rules: Rules
    now: Callable[[], datetime]
    machine_now: Callable[[], datetime]
    timeout: float
    dry_run: bool
    report: Reporter

    def look(self) -> datetime | None:
        """Look, and do what is due; return when something is due next. Raises ClusterError where some is left to do."""
        self._require_time()
        found = self._find()
        self.report.gone(found.tenants.keys())
        self.report.problems(found.tenants, found.verdict.problems)
        self.report.crowded(crowded(found.tenants.values(), self.now(), self.rules))
        self.report.overdue(Counter(item.step for item in found.verdict.overdue))
        if not self._refuses(found) and found.todo:
            if self.dry_run:
                self.report.would(found.todo)
            else:
                self._act()
        return found.next_step

    def _require_time(self) -> None:
        """Raise ClusterError where this machine's clock cannot be trusted: a wrong one would end terms that go on."""
        self.api.ask("GET", "/version")  # opens the connection
        apart = clock.apart(read_clock(self.api, self.machine_now))
        if apart is not None:
            self.report.metrics.skew.set(apart.total_seconds())
        if apart is None or abs(apart) > timedelta(seconds=clock.FAILED_SECONDS):
            seconds = "?" if apart is None else f"{apart.total_seconds():.0f}"
            message = tr(
                "the API server's clock is {seconds} s ahead of this machine's, so it is not certain which terms are "
                "over: none is ended; synchronise both by NTP",
                seconds=seconds,
            )
            raise ClusterError(self.cluster.provider, message)

    def _find(self) -> _Found:
        at = self.now()
        tenants = read_tenants(self.api)
        verdict = judge(tenants, at, self.rules)
        contents = read_contents(self.api) if verdict.overdue else Contents(quotas={}, with_access=(), with_pods=())
        closed = {item.namespace for item in verdict.overdue if contents.is_closed(item.namespace)}
        return _Found(
            tenants={tenant.namespace: tenant for tenant in tenants},
            verdict=verdict,
            contents=contents,
            todo=to_do(verdict.overdue, closed),
            next_step=next_step(tenants, at, self.rules),
        )

    def _refuses(self, found: _Found) -> bool:
        reason = too_many(found.todo, self.rules)
        self.report.refused(found.tenants, found.todo, reason)
        return reason is not None

    def _act(self) -> None:
        """End what is overdue, in a turn of its own, and as it is then: whoever acted before may have extended a term.

        Raises ClusterError.
        """
        with take_turn(self.cluster, "term guard", patience=_PATIENCE_SECONDS, api=self.api) as turn:
            found = self._find()
            if self._refuses(found) or not found.todo:
                turn.idle = True
                return
            unfinished = self._end(found, turn)
            turn.good = not unfinished
        if unfinished:
            raise ClusterError(self.cluster.provider, tr("not ended: {awards}", awards=", ".join(unfinished)))

    def _end(self, found: _Found, turn: Turn) -> Sequence[str]:
        """Close the namespaces, and delete those that are to go; return the awards of which something is left."""
        items = {item.namespace: item for item in found.todo}
        resources = found.contents.resources
        teardown = Teardown(
            provider=self.cluster.provider, resources=resources, api=self.api, timeout=self.timeout, progress=_silent
        )
        asked, unfinished = self.now(), []
        for release in teardown.release(list(items)):
            item, tenant = items[release.namespace], found.tenants[release.namespace]
            if release.stuck:
                unfinished.append(item.award_id)
                self.report.unfinished(tenant, "; ".join(release.stuck))
            elif not found.contents.is_closed(release.namespace):
                self.report.closed(tenant, item, tenant.granted or 0, asked, release)
        going = [item for item in found.todo if item.step is Step.DELETE and item.award_id not in unfinished]
        turn.require_held()
        return [*unfinished, *self._delete(going, found.tenants, teardown)]

    def _delete(
        self, items: Sequence[Overdue], tenants: Mapping[str, ObservedTenant], teardown: Teardown
    ) -> Sequence[str]:
        """Delete the namespaces; return the awards of which they are not proven gone."""
        names = [item.namespace for item in items]
        teardown.delete(names)
        remaining = teardown.prove_gone(names)
        for item in items:
            if item.namespace in remaining:
                self.report.going(tenants[item.namespace], item, remaining[item.namespace])
            else:
                self.report.deleted(tenants[item.namespace], item)
        return [item.award_id for item in items if item.namespace in remaining]


def _silent(line: str) -> None:
    """Tell nobody of the waiting: what comes of it is told."""
