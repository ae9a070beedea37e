"""The term guard as a service: one look after the other."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from gpuprov.errors import GpuprovError
from gpuprov.run.garbage import collect_now
from gpuprov.run.pace import OLD_LOOKS, STUCK_SECONDS, pause
from gpuprov.run.termguard.guard import TermGuard

_LOG = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Service:
    """Looks until ``stopping`` is set; then it ends after the look that is under way."""

    guard: TermGuard
    interval: timedelta
    stopping: Event = field(default_factory=Event)
    _failures: int = 0
    _next_step: datetime | None = None
    _beat: float = field(default_factory=time.monotonic)
    _looked: float | None = None

    def run(self) -> None:
        """Work until then."""
        while not self.stopping.is_set():
            self._beat = time.monotonic()
            begun = self.guard.now()
            self._look()
            collect_now()
            # A step that has come meanwhile is at once; one from before a look that failed is over.
            step = self._next_step
            edge = step if step is not None and step > begun else None
            self.stopping.wait(pause(self.guard.now(), edge, self.interval, self._failures))

    def complaints(self) -> list[str]:
        """Return why the guard must be started again; nothing where it need not."""
        silent = time.monotonic() - self._beat
        stuck = silent > STUCK_SECONDS + self.interval.total_seconds()
        return [f"no look has ended for {int(silent)} s"] if stuck else []

    def not_ready(self) -> list[str]:
        """Return why nobody should rely on the guard now: it has not seen the cluster for a while."""
        if self._looked is None:
            return ["nothing was read yet"]
        age = time.monotonic() - self._looked
        return [f"last read {int(age)} s ago"] if age > OLD_LOOKS * self.interval.total_seconds() else []

    def _look(self) -> None:
        metrics = self.guard.report.metrics
        metrics.looks.inc()
        try:
            self._next_step = self.guard.look()
        except Exception as error:  # noqa: BLE001 (a bug in one look must not end the guard)
            self._failures += 1
            bug = not isinstance(error, GpuprovError)
            metrics.errors.labels("bug" if bug else "cluster").inc()
            _LOG.error("failure %d in a row: %s", self._failures, error, exc_info=error if bug else None)
        else:
            self._failures, self._looked = 0, time.monotonic()
            metrics.looked.set(self.guard.now().timestamp())
