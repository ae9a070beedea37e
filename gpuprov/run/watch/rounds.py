"""One round of the service on one provider: look, end what has ended, and with ``apply`` do what `up` does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event

from gpuprov.core.guard import Confirmed
from gpuprov.core.upcoming import ends, next_edge
from gpuprov.errors import GpuprovError, InputError
from gpuprov.run import intents
from gpuprov.run.apply import make_jobs
from gpuprov.run.intents import Intent
from gpuprov.run.job import Job, Outcome
from gpuprov.run.loading import Loaded
from gpuprov.run.pipeline import PlanContext, observe_and_plan
from gpuprov.run.story import Operator, Report, Story
from gpuprov.run.watch.metrics import Metrics
from gpuprov.run.watch.source import Source

_LOG = logging.getLogger(__name__)


class Stopping(Exception):
    """The service is to end: what was decided and not begun is left to the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the service works. ``interval`` is the longest time between two looks; ``timeout`` is how many seconds to
    wait for pods, and again for namespaces. With ``apply`` it grants too.
    """

    interval: timedelta
    timeout: float
    apply: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Nobody:
    """The operator of a service: nobody is asked, and everything goes to the log. ``stopping`` ends it."""

    provider: str
    stopping: Event

    def show(self, planned: PlanContext, jobs: Sequence[Job]) -> None:
        """Show nothing: what is carried out is logged."""

    def tell(self, line: str) -> None:
        """Log a line of progress."""
        _LOG.info("%s", line, extra={"provider": self.provider})

    def confirm(self, intent: Intent, busy: Sequence[Job]) -> bool:
        """Go on without asking. Raises Stopping where the service is to end."""
        if self.stopping.is_set():
            raise Stopping
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What the rounds on a provider need. ``now`` is the clock."""

    provider: str
    source: Source
    settings: Settings
    metrics: Metrics
    now: Callable[[], datetime]
    operator: Operator

    def next_edge(self, at: datetime) -> datetime | None:
        """Return when something changes by itself after ``at``; None where nothing will, or nothing valid is known."""
        try:
            loaded = self.source.load()
        except InputError:
            return None
        return next_edge(loaded.histories, loaded.unlisted, loaded.events, loaded.project.clusters, at)

    def run(self) -> None:
        """Look and do what is due. Raises GpuprovError where something is left to do, and Stopping."""
        loaded = self.source.load()
        at = self.now()
        full = observe_and_plan(loaded, loaded.wanted(at), [self.provider])
        if error := full.failed.get(self.provider):
            raise error
        self.metrics.views.saw(self.provider, loaded, full)
        for warning in full.warnings:
            _LOG.error("%s", warning, extra={"provider": self.provider})
        ending = [intents.ending(loaded, full)]
        if _busy(ending[0]):
            self._carry_out("watch", lambda: ending.pop() if ending else self._decide(intents.end_terms), loaded)
        if self.settings.apply and _busy(Intent(planned=full, known=len(loaded.events))):
            self._carry_out("watch --apply", lambda: self._decide(intents.bring_to_list), loaded)

    def _decide(self, decide: Callable[[Loaded, datetime, Sequence[str]], Intent]) -> Intent:
        return decide(self.source.load(), self.now(), [self.provider])

    def _carry_out(self, purpose: str, decide: Callable[[], Intent], loaded: Loaded) -> None:
        report = Story(
            decide=decide,
            operator=self.operator,
            progress=lambda _, line: self.operator.tell(line),
            confirmed=Confirmed(),
            timeout=self.settings.timeout,
            purpose=f"gpuprov {purpose}",
        ).run()
        for outcome in report.outcomes:
            self._count(outcome, loaded)
        _require_done(report)

    def _count(self, outcome: Outcome, loaded: Loaded) -> None:
        ended = ends(loaded.histories, loaded.unlisted)
        for freed in outcome.freed:
            self.metrics.freed.labels(outcome.provider, freed.model).inc(freed.gpus)
            edge = ended.get(freed.award_id)
            if edge is not None and edge <= freed.proven_at:
                self.metrics.to_free.labels(outcome.provider).observe((freed.proven_at - edge).total_seconds())


def _busy(intent: Intent) -> bool:
    return any(not job.idle for job in make_jobs(intent.planned, timeout=1.0, only=intent.only))


def _require_done(report: Report) -> None:
    """Raise GpuprovError where something is left to do: it has been logged, and the next round tries again."""
    errors = [outcome.error for outcome in report.outcomes if outcome.error]
    errors += [error.message_text for error in report.failed.values()]
    if errors:
        raise GpuprovError("; ".join(errors))
