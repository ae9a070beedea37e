"""The term guard as a service: it goes on whatever a look ends with, and says how it fares."""

import logging
import re
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from strategies import MARCH

from gpuprov.errors import ClusterError
from gpuprov.run.pace import STUCK_SECONDS
from gpuprov.run.termguard.metrics import Metrics
from gpuprov.run.termguard.service import Service

HOUR = timedelta(hours=1)


class Guard:
    """Looks that end as they are told to, each in turn; after the last one the service is to end."""

    def __init__(self, *ends):
        self.ends = list(ends)
        self.report = SimpleNamespace(metrics=Metrics())
        self.waits = []
        self.service = Service(guard=self, interval=HOUR)
        self.service.stopping = SimpleNamespace(is_set=lambda: not self.ends, wait=self.waits.append)

    def now(self):
        return MARCH

    def look(self):
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    def run(self):
        self.service.run()
        return [round(seconds, 1) for seconds in self.waits]

    def metric(self, name, **labels):
        return self.report.metrics.registry.get_sample_value(f"gpuprov_term_guard_{name}", labels)


def test_it_waits_for_the_next_end_or_the_interval():
    assert Guard(MARCH + timedelta(seconds=7), MARCH + 2 * HOUR, None).run() == [7.0, 3600.0, 3600.0]


def test_after_failures_it_backs_off_and_an_end_is_not_waited_for_longer(caplog):
    failure = ClusterError("this cluster", "the server is gone")
    guard = Guard(None, failure, failure, RuntimeError("a bug"), MARCH + timedelta(seconds=3), failure, None)
    with caplog.at_level(logging.ERROR):
        first, *failed, soon, again, last = guard.run()
    assert (first, soon, last) == (3600.0, 3.0, 3600.0)
    assert [most / 2 <= wait <= most for most, wait in zip((5, 10, 20), failed, strict=True)] == [True] * 3
    assert again <= 3.0
    assert (guard.metric("errors_total", kind="cluster"), guard.metric("errors_total", kind="bug")) == (3, 1)
    assert guard.metric("looks_total") == 7
    assert [record.exc_info is not None for record in caplog.records] == [False, False, True, False]


def test_an_end_that_is_long_over_is_not_looked_for_at_once_after_a_failure():
    guard = Guard(MARCH - HOUR, ClusterError("this cluster", "the server is gone"))
    assert min(guard.run()) >= 2.5


def test_it_is_ready_once_it_has_looked_and_while_it_does():
    guard = Guard(ClusterError("this cluster", "the server is gone"))
    assert guard.service.not_ready() == ["nothing was read yet"]
    guard.run()
    assert guard.service.not_ready() == ["nothing was read yet"]
    guard.ends = [None]
    guard.run()
    assert guard.service.not_ready() == []
    assert guard.metric("last_good_look_timestamp_seconds") == MARCH.timestamp()
    guard.service._looked -= 4 * HOUR.total_seconds()
    (complaint,) = guard.service.not_ready()
    assert re.fullmatch(r"last read 14[45]\d\d s ago", complaint)


def test_it_lives_while_looks_end():
    guard = Guard(None)
    guard.run()
    assert guard.service.complaints() == []
    guard.service._beat = time.monotonic() - STUCK_SECONDS - HOUR.total_seconds() - 1
    assert guard.service.complaints() == [pytest.approx(f"no look has ended for {STUCK_SECONDS + 3601} s")]


def test_what_refers_to_itself_is_gone_after_each_look(rare_garbage):
    left, kept = [], []

    class Leaving(Guard):
        def look(self):
            kept.extend(reference() for reference in left if reference() is not None)
            left.append(rare_garbage())
            return super().look()

    Leaving(None, None, None).run()
    assert (len(left), kept) == (3, [])
