"""The state of an award at an instant, whether it is accepted, and what comes next."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    HOURS,
    JANUARY,
    JULY,
    MARCH,
    SEOUL,
    accepted,
    award,
    cluster,
    events,
    extended,
    forfeited,
    histories,
    history,
    reduced,
    unlisted,
)

from gpuprov.core import lifecycle
from gpuprov.core.award import Status
from gpuprov.core.lifecycle import AwardState, Edge
from gpuprov.core.tenant import desired_state

TICK = timedelta(microseconds=1)
CLUSTERS = (cluster("samsung-sds", H100=200),)


def life(row, happened, at):
    return lifecycle.lifecycle(history(row, happened), lifecycle.acceptances(happened).get(row.id), at)


def life_of_unlisted(happened, at):
    (gone,) = unlisted((), happened)
    return lifecycle.lifecycle_of_unlisted(gone, lifecycle.acceptances(happened).get(gone.award_id), at)


def to_come(row, happened, at):
    return lifecycle.edges(history(row, happened), happened, at)


@pytest.mark.parametrize(
    ("at", "state", "gpus", "days_left"),
    [
        (JANUARY - TICK, AwardState.UPCOMING, 0, None),
        (JANUARY, AwardState.ACTIVE, 8, 181),
        (JANUARY + TICK, AwardState.ACTIVE, 8, 180),
        (JULY - timedelta(days=1), AwardState.ACTIVE, 8, 1),
        (JULY - TICK, AwardState.ACTIVE, 8, 0),
        (JULY, AwardState.EXPIRED, 0, None),
    ],
)
def test_the_edges_of_a_term(at, state, gpus, days_left):
    for instant in (at, at.astimezone(UTC)):
        found = life(award(), [], instant)
        assert (found.state, found.gpus, found.days_left, found.end) == (state, gpus, days_left, JULY)


@pytest.mark.parametrize(
    ("status", "state"), [(Status.WAITLISTED, AwardState.WAITLISTED), (Status.FORFEITED, AwardState.FORFEITED)]
)
def test_what_the_list_says_instead_of_selected(status, state):
    assert life(award(status=status), [], MARCH).state is state


def test_a_forfeiture_of_the_ledger_ends_the_award_and_its_term():
    row, happened = award(), [forfeited("HPC-1", MARCH)]
    before, after = life(row, happened, MARCH - TICK), life(row, happened, MARCH)
    assert (before.state, before.end, before.days_left) == (AwardState.ACTIVE, MARCH, 0)
    assert (after.state, after.end, after.gpus) == (AwardState.FORFEITED, MARCH, 0)


def test_a_term_that_a_forfeiture_leaves_empty_has_no_end():
    assert life(award(), [forfeited("HPC-1", JANUARY - TICK)], MARCH).end is None


def test_an_acceptance_counts_from_its_instant_on():
    happened = [accepted("HPC-1", MARCH)]
    assert [life(award(), happened, at).accepted for at in (MARCH - TICK, MARCH, JULY)] == [False, True, True]
    assert not life(award("HPC-2"), happened, JULY).accepted


def test_an_acceptance_after_the_forfeiture_does_not_count():
    happened = [forfeited("HPC-1", MARCH), accepted("HPC-1", MARCH + TICK)]
    assert not life(award(), happened, JULY).accepted
    assert life(award(), [*happened, accepted("HPC-1", JANUARY)], JULY).accepted


@given(events(), HOURS, st.sampled_from(Status))
def test_the_state_is_the_word_for_what_is_desired(happened, at, status):
    """Active awards, and no others, have a tenant; what has ended is never called anything else."""
    row = award(last_day=date(2026, 1, 7), status=status)
    desired = desired_state(histories([row], happened), CLUSTERS, at)
    found = life(row, happened, at)
    assert (found.state is AwardState.ACTIVE) == bool(desired.tenants)
    assert found.gpus == sum(tenant.gpus for tenant in desired.tenants)
    assert (found.days_left is None) == (found.state is not AwardState.ACTIVE)
    if found.days_left is not None:
        assert timedelta(days=found.days_left) <= found.end - at < timedelta(days=found.days_left + 1)


@given(events(), HOURS, st.sampled_from(Status))
def test_nothing_changes_between_two_edges(happened, at, status):
    """Whatever changes about an award, or is said to come, changes at an edge that was told before."""
    row = award(last_day=date(2026, 1, 7), status=status)
    found = to_come(row, happened, at)
    assert list(found) == sorted(found, key=lambda edge: edge.at)
    assert all(edge.at > at for edge in found)
    now, later = life(row, happened, at), (found[0].at if found else at + timedelta(days=4000)) - TICK
    then = life(row, happened, later)
    assert (now.state, now.gpus, now.accepted, now.end) == (then.state, then.gpus, then.accepted, then.end)


@given(events(), HOURS)
def test_the_same_holds_for_awards_that_only_the_ledger_knows(happened, at):
    for gone in unlisted((), happened):
        found = lifecycle.edges_of_unlisted(gone, at)
        assert all(edge.at > at for edge in found)
        later = (found[0].at if found else at + timedelta(days=4000)) - TICK
        now, then = (lifecycle.lifecycle_of_unlisted(gone, None, instant) for instant in (at, later))
        assert now.state is then.state


def test_what_comes_next():
    happened = [reduced("HPC-1", MARCH, 4), extended("HPC-1", MARCH + TICK, date(2026, 7, 31)), accepted("HPC-1", JULY)]
    day = timedelta(days=1)
    assert to_come(award(accept_by=date(2026, 1, 31)), happened, JANUARY - TICK) == (
        Edge(at=JANUARY, what="the term starts with 8 H100"),
        Edge(at=JANUARY + 31 * day, what="the deadline to accept passes"),
        Edge(at=MARCH, what="4 H100 of 8 remain"),
        Edge(at=MARCH + TICK, what="the extension to 2026-07-31 takes effect"),
        Edge(at=JULY, what="the acceptance takes effect"),
        Edge(at=JULY + 31 * day, what="the term ends"),
    )
    assert to_come(award(), [forfeited("HPC-1", MARCH)], JANUARY) == (
        Edge(at=MARCH, what="the forfeiture takes effect"),
    )
    assert to_come(award(), [], JULY) == ()


def test_a_deadline_is_told_until_the_award_is_accepted_and_only_where_it_gives_something():
    by = date(2026, 5, 31)
    told = "the deadline to accept passes"
    assert told in [edge.what for edge in to_come(award(accept_by=by), [accepted("HPC-1", MARCH)], MARCH - TICK)]
    assert told not in [edge.what for edge in to_come(award(accept_by=by), [accepted("HPC-1", MARCH)], MARCH)]
    assert to_come(award(accept_by=by, status=Status.WAITLISTED), [], MARCH) == ()


def test_an_award_that_only_the_ledger_knows():
    assert life_of_unlisted([accepted("HPC-1", MARCH)], MARCH).state is AwardState.UNLISTED
    assert life_of_unlisted([accepted("HPC-1", MARCH)], MARCH).accepted
    happened = [extended("HPC-1", JANUARY, date(2026, 6, 30)), forfeited("HPC-1", MARCH)]
    assert life_of_unlisted(happened[:1], JULY - TICK).state is AwardState.UNLISTED
    assert life_of_unlisted(happened[:1], JULY).state is AwardState.EXPIRED
    gone = life_of_unlisted(happened, MARCH)
    assert (gone.state, gone.end, gone.gpus) == (AwardState.FORFEITED, MARCH, 0)


def test_a_day_on_which_clocks_are_changed_is_one_day():
    berlin = ZoneInfo("Europe/Berlin")
    end = datetime(2026, 3, 30, tzinfo=berlin)
    assert lifecycle.time_left(end, datetime(2026, 3, 29, tzinfo=berlin)) == timedelta(days=1)
    assert lifecycle.time_left(end, datetime(2026, 3, 28, 23, tzinfo=UTC)) == timedelta(days=1)


@pytest.mark.parametrize(
    ("end", "day"),
    [(JULY, date(2026, 6, 30)), (JULY + TICK, date(2026, 7, 1)), (JULY.astimezone(UTC), date(2026, 6, 30))],
)
def test_the_last_day_has_some_of_the_term(end, day):
    assert lifecycle.last_day(end, SEOUL) == day
