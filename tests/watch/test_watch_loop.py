"""A provider's loop goes on whatever happens in a round, and ends between two steps."""

import logging
import time
from datetime import timedelta
from threading import Event
from types import SimpleNamespace

import pytest
from strategies import MARCH

from gpuprov.errors import ClusterError, ClusterUnreachable, GpuprovError, InputError, PlanRefused
from gpuprov.run.watch.loop import Loop
from gpuprov.run.watch.metrics import Metrics
from gpuprov.run.watch.rounds import Stopping

SECONDS = 20


class Leader:
    """A candidate that leads as long as it is told to."""

    def __init__(self, leads):
        self.leads = leads
        self.error = ""

    def start(self):
        pass

    def resign(self):
        self.leads = False


class Round:
    """Rounds that end as they are told to, each in turn, and then well; ``edge`` is always the next."""

    provider = "kt-cloud"

    def __init__(self, *ends, interval=timedelta(hours=1)):
        self.ends = list(ends)
        self.settings = SimpleNamespace(interval=interval)
        self.metrics = Metrics(lambda: MARCH)
        self.edge = None
        self.count = 0

    def now(self):
        return MARCH

    def next_edge(self, at):
        assert at == MARCH
        return self.edge

    def run(self):
        self.count += 1
        if self.ends and (end := self.ends.pop(0)):
            raise end

    def counted(self, kind):
        return self.metrics.registry.get_sample_value("gpuprov_errors_total", {"provider": "kt-cloud", "kind": kind})


@pytest.fixture
def begun():
    """Begins loops, and ends them with the test."""
    loops = []

    def begin(round_, *, leads=True):
        loop = Loop(round_, Leader(leads), Event())
        loop.start()
        loops.append(loop)
        return loop

    yield begin
    for loop in loops:
        loop.stop()
        loop.join()
        assert not loop.alive
        assert not loop.leader.leads


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_first_round_is_at_once_and_the_next_after_an_interval_or_when_it_is_woken(begun):
    round_ = Round()
    loop = begun(round_)
    until(lambda: round_.count == 1)
    loop.wake()
    until(lambda: round_.count == 2)


def test_an_edge_is_not_slept_over(begun):
    round_ = Round()
    round_.edge = MARCH + timedelta(milliseconds=50)
    begun(round_)
    until(lambda: round_.count >= 3)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ClusterUnreachable("kt-cloud", "no answer"), "cluster"),
        (ClusterError("kt-cloud", "refused"), "cluster"),
        (PlanRefused(["too many"]), "refused"),
        (InputError([]), "files"),
        (GpuprovError("something is left to do"), "unfinished"),
        (KeyError("a bug"), "bug"),
    ],
)
def test_a_round_that_fails_is_counted_and_tried_again(begun, monkeypatch, error, kind, caplog):
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr("gpuprov.core.upcoming.FIRST_RETRY", timedelta(milliseconds=10))
    round_ = Round(error, error)
    loop = begun(round_)
    until(lambda: round_.count == 3 and loop.failures == 0)
    assert round_.counted(kind) == 2
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        f"{kind}, failure {number} in a row" for number in (1, 2)
    ]
    assert ["Traceback" in (record.exc_text or "") for record in caplog.records] == [kind == "bug"] * 2


def test_where_another_replica_leads_nothing_is_done(begun):
    round_ = Round()
    loop = begun(round_, leads=False)
    time.sleep(0.2)
    assert round_.count == 0
    assert round_.counted("lease") is None
    loop.leader.error = "no answer"
    until(lambda: round_.counted("lease"))
    loop.leader.leads = True
    until(lambda: round_.count == 1)
    value = round_.metrics.registry.get_sample_value
    assert value("gpuprov_leads", {"provider": "kt-cloud"}) == 1


def test_it_ends_between_two_steps(begun):
    round_ = Round(Stopping())
    loop = begun(round_)
    until(lambda: round_.count == 1)
    loop.stop()
    loop.join()
    assert round_.counted("bug") is None


def test_what_refers_to_itself_is_gone_after_each_round(begun, rare_garbage):
    """The kubeconfig's loader does, and a service that runs for months would keep one of every round."""
    left = []

    class Leaving(Round):
        def run(self):
            super().run()
            left.append(rare_garbage())

    round_ = Leaving()
    loop = begun(round_)
    for count in (1, 2):
        until(lambda count=count: len(left) == count and not any(reference() for reference in left))
        loop.wake()
