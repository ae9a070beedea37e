"""The rounds of one provider, in a thread of its own: one that cannot be reached delays no other."""

from __future__ import annotations

import logging
import time
from threading import Event, Thread

from gpuprov.errors import ClusterError, GpuprovError, InputError, PlanRefused
from gpuprov.kube.leader import Leader
from gpuprov.run.garbage import collect_now
from gpuprov.run.pace import pause
from gpuprov.run.watch.rounds import Round, Stopping

_LOG = logging.getLogger(__name__)

_STANDBY_SECONDS = 1.0
"""How often a replica that does not lead looks whether it does."""


class Loop:
    """Rounds on one provider, from `start` to `join`, while this replica leads there."""

    def __init__(self, round_: Round, leader: Leader, stopping: Event) -> None:
        self.round = round_
        self.leader = leader
        self.stopping = stopping
        self.failures = 0
        self.beat = time.monotonic()
        self._woken = Event()
        self._thread = Thread(target=self._run, name=f"watch {round_.provider}", daemon=True)

    @property
    def provider(self) -> str:
        """The provider that it is about."""
        return self.round.provider

    @property
    def alive(self) -> bool:
        """False where the thread has ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin; the first round is at once."""
        self.leader.start()
        self._thread.start()

    def wake(self) -> None:
        """Let the next round begin now: something has changed, or the service is to end."""
        self._woken.set()

    def stop(self) -> None:
        """End after the step that is under way."""
        self.stopping.set()
        self.wake()

    def join(self) -> None:
        """Wait for that after `stop`, and let another replica lead."""
        self._thread.join()
        self.leader.resign()

    def _run(self) -> None:
        while not self.stopping.is_set():
            self.beat = time.monotonic()
            self._woken.clear()
            leads = self.leader.leads
            self.round.metrics.leads.labels(self.provider).set(leads)
            if not leads and self.leader.error:
                self.round.metrics.errors.labels(self.provider, "lease").inc()
            self._woken.wait(self._round() if leads else _STANDBY_SECONDS)

    def _round(self) -> float:
        """Do one round; return the seconds to wait for the next."""
        self.round.metrics.rounds.labels(self.provider).inc()
        begun = self.round.now()
        try:
            self.round.run()
            self.failures = 0
        except Stopping:
            _LOG.info("stopped before it acted", extra={"provider": self.provider})
        except Exception as error:  # noqa: BLE001 (a bug in one round must not end the service)
            self.failures += 1
            self._report(error)
        collect_now()
        edge = self.round.next_edge(begun)  # also one that has come meanwhile
        return pause(self.round.now(), edge, self.round.settings.interval, self.failures)

    def _report(self, error: Exception) -> None:
        kind = next((name for kind, name in _KINDS if isinstance(error, kind)), "bug")
        self.round.metrics.errors.labels(self.provider, kind).inc()
        _LOG.error(
            "%s, failure %d in a row: %s",
            kind,
            self.failures,
            error,
            extra={"provider": self.provider},
            exc_info=error if kind == "bug" else None,
        )


_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (InputError, "files"),
    (PlanRefused, "refused"),
    (ClusterError, "cluster"),
    (GpuprovError, "unfinished"),
)
"""The kinds of failures that are counted; anything else is a bug."""
