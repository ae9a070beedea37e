"""When the next look is due: at an edge of list, ledger or capacity, and at the latest after an interval."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import (
    HOURS,
    JANUARY,
    JULY,
    MARCH,
    PROGRAMME,
    award,
    cluster,
    events,
    extended,
    forfeited,
    histories,
    reduced,
    unlisted,
)

from gpuprov.core.cluster import GpuPool
from gpuprov.core.tenant import desired_state
from gpuprov.core.upcoming import FIRST_RETRY, next_edge, wait

CLUSTERS = [cluster()]
MINUTE = timedelta(minutes=1)


def edge(awards, written=(), at=MARCH, clusters=CLUSTERS):
    return next_edge(histories(awards, written), unlisted(awards, written), written, clusters, at)


def test_a_term_ends_and_before_it_begins():
    assert edge([award()]) == JULY
    assert edge([award()], at=JANUARY - MINUTE) == JANUARY
    assert edge([award()], at=JULY) is None
    assert edge([]) is None


def test_an_event_to_come_is_an_edge_and_so_is_the_end_that_it_gives():
    soon = MARCH + MINUTE
    assert edge([award()], [forfeited("HPC-1", soon)]) == soon
    assert edge([award()], [reduced("HPC-1", soon, 1)]) == soon
    assert edge([award(last_day=date(2026, 3, 31))], [extended("HPC-1", MARCH, date(2026, 3, 20))]).date() == date(
        2026, 3, 21
    )


def test_an_event_of_an_award_that_no_list_has_is_an_edge():
    soon = MARCH + MINUTE
    assert edge([], [forfeited("HPC-9", soon)]) == soon
    assert edge([], [extended("HPC-9", MARCH, date(2026, 4, 30))]).date() == date(2026, 5, 1)


def test_the_deadline_to_accept_is_an_edge():
    assert edge([award(accept_by=date(2026, 3, 9))]).date() == date(2026, 3, 10)


def test_a_step_of_a_capacity_is_an_edge():
    steps = [{"gpus": 100}, {"gpus": 200, "from": "2026-05-01T00:00+09:00"}]
    pool = GpuPool.model_validate(
        CLUSTERS[0].pools[0].model_dump(by_alias=True) | {"capacity": steps},
        context={"zone": PROGRAMME.zone},
    )
    where = CLUSTERS[0].model_copy(update={"pools": (pool,)})
    assert edge([award()], clusters=[where]).date() == date(2026, 5, 1)


@given(events(("HPC-1", "HPC-9")), HOURS, st.fractions(0, 1))
def test_nothing_is_decided_otherwise_before_the_next_edge(written, at, part):
    awards = [award()]
    known, gone = histories(awards, written), unlisted(awards, written)
    end = next_edge(known, gone, written, CLUSTERS, at)
    until = end or at + timedelta(days=1000)
    between = at + timedelta(microseconds=int((until - at) / timedelta(microseconds=1) * part))
    assume(between < until)
    before, later = (desired_state(known, CLUSTERS, instant, gone) for instant in (at, between))
    assert replace(later, at=at) == before


@pytest.mark.parametrize(
    ("until", "waits"), [(None, MINUTE), (timedelta(hours=1), MINUTE), (timedelta(seconds=3), timedelta(seconds=3))]
)
def test_it_waits_for_the_edge_and_an_interval_at_most(until, waits):
    assert wait(MARCH, None if until is None else MARCH + until, MINUTE, 0, 0.7) == waits


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_failures_back_off_up_to_the_interval_and_no_two_alike(failures, jitter):
    longest = min(MINUTE, FIRST_RETRY * 2 ** min(failures - 1, 10))
    assert longest / 2 <= wait(MARCH, None, MINUTE, failures, jitter) <= longest


def test_an_edge_is_looked_at_in_time_after_any_number_of_failures():
    assert wait(MARCH, MARCH + timedelta(seconds=1), MINUTE, 9, 0.0) == timedelta(seconds=1)
    assert wait(MARCH, MARCH - MINUTE, MINUTE, 0, 0.0) == timedelta(0)
