"""The desired state at an instant: a tenant or a reason for every award."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import HOURS, JANUARY, JULY, MARCH, award, cluster, desired, events, extended, forfeited, reduced

from gpuprov.ledger import history
from gpuprov.tenant import Cause, desired_state

CLUSTERS = (cluster("samsung-sds", H100=200, A100=40), cluster("kt-cloud", H200=400))
TICK = timedelta(microseconds=1)


def only(one, at, happened=()):
    """Return the cause of the award's absence, or its GPUs."""
    state = desired([one], CLUSTERS, at, happened)
    if state.tenants:
        assert not state.absences
        return state.tenants[0].gpus
    return state.absences[0].cause


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (JANUARY - TICK, Cause.NOT_YET),
        (JANUARY, 8),
        (JULY - TICK, 8),
        (JULY, Cause.ENDED),
        (JULY + timedelta(days=4000), Cause.ENDED),
    ],
)
def test_the_edges_of_a_term(at, expected):
    assert only(award(), at) == expected
    assert only(award(), at.astimezone(UTC)) == expected


@pytest.mark.parametrize(
    ("at", "expected"), [(MARCH - TICK, 8), (MARCH, Cause.FORFEITED), (JULY, Cause.FORFEITED), (JANUARY, 8)]
)
def test_the_edges_of_a_forfeiture(at, expected):
    assert only(award(), at, [forfeited("HPC-1", MARCH)]) == expected


def test_the_edges_of_a_reduction_and_an_extension():
    happened = [reduced("HPC-1", MARCH, 3), extended("HPC-1", MARCH, date(2026, 7, 31))]
    assert [only(award(), at, happened) for at in (MARCH - TICK, MARCH, JULY)] == [8, 3, 3]
    assert only(award(), datetime.fromisoformat("2026-08-01T00:00+09:00"), happened) is Cause.ENDED


@pytest.mark.parametrize(
    ("one", "happened", "at", "cause", "reason"),
    [
        (award(status="waitlisted"), [], MARCH, Cause.WAITLISTED, "waitlisted in the award list"),
        (award(status="forfeited"), [], MARCH, Cause.FORFEITED_IN_LIST, "forfeited in the award list"),
        (award(), [], JANUARY - TICK, Cause.NOT_YET, "term starts at 2026-01-01T00:00+09:00"),
        (award(), [], JULY, Cause.ENDED, "term ended at 2026-07-01T00:00+09:00"),
        (
            award(),
            [forfeited("HPC-1", MARCH.astimezone(UTC))],
            MARCH,
            Cause.FORFEITED,
            "forfeited at 2026-03-01T12:00+09:00 by operator: as decided",
        ),
        (
            award(),
            [extended("HPC-1", MARCH, date(2026, 7, 31))],
            JULY + timedelta(days=31),
            Cause.ENDED,
            "term ended at 2026-08-01T00:00+09:00",
        ),
    ],
)
def test_every_cause_has_its_reason(one, happened, at, cause, reason):
    state = desired([one], CLUSTERS, at, happened)
    assert state.tenants == ()
    assert [(gone.award_id, gone.cause, gone.reason) for gone in state.absences] == [("HPC-1", cause, reason)]


@pytest.mark.parametrize("at", [JANUARY - TICK, MARCH, JULY])
def test_a_waitlisted_award_never_holds_anything(at):
    assert only(award(status="waitlisted"), at) is Cause.WAITLISTED


def test_a_forfeiture_does_not_act_before_its_instant():
    assert only(award(), JANUARY - timedelta(days=2), [forfeited("HPC-1", JANUARY - TICK)]) is Cause.NOT_YET
    assert only(award(), JANUARY - TICK, [forfeited("HPC-1", JANUARY - TICK)]) is Cause.FORFEITED


def test_an_award_whose_term_was_cut_to_nothing_has_ended_when_it_would_begin():
    cut = [extended("HPC-1", JANUARY - timedelta(days=9), date(2025, 12, 24))]
    assert only(award(), JANUARY - TICK, cut) is Cause.NOT_YET
    assert only(award(), JANUARY, cut) is Cause.ENDED


def test_a_tenant_carries_what_its_objects_need():
    listed = [award("A", 32, "A100"), award("B", 8, "H200", provider="kt-cloud")]
    state = desired(listed, CLUSTERS)
    first, second = state.tenants
    assert (first.pool, first.gpus, first.namespace) == (CLUSTERS[0].pools[1], 32, "gpu-a")
    assert (first.organization, first.term_start, first.term_end) == ("한빛대학교", JANUARY, JULY)
    assert (state.on("samsung-sds"), state.on("kt-cloud"), state.on("nobody")) == ((first,), (second,), ())


def test_an_extended_term_is_the_one_that_the_tenant_is_promised():
    (one,) = desired([award()], CLUSTERS, MARCH, [extended("HPC-1", MARCH, date(2026, 7, 31))]).tenants
    assert one.term_end == datetime.fromisoformat("2026-08-01T00:00+09:00")


def test_an_award_that_was_not_validated_is_no_tenant():
    with pytest.raises(KeyError):
        desired([award(provider="nobody")], CLUSTERS)


LISTED = [award("A", last_day=date(2026, 1, 7)), award("B", last_day=date(2026, 1, 7))]
LISTED += [award("C", status="waitlisted"), award("D", status="forfeited")]


@settings(max_examples=200)
@given(events(("A", "B", "C")), HOURS)
def test_every_award_is_a_tenant_or_absent_and_always_the_same(happened, at):
    state = desired(LISTED, CLUSTERS, at, happened)
    assert state == desired(LISTED, CLUSTERS, at.astimezone(UTC), list(happened))
    there, gone = [one.award_id for one in state.tenants], [one.award_id for one in state.absences]
    assert sorted(there + gone) == ["A", "B", "C", "D"]
    assert there == sorted(there)
    assert gone == sorted(gone)


@settings(max_examples=200)
@given(events(), st.lists(HOURS, min_size=2, max_size=6).map(sorted))
def test_what_was_taken_back_stays_taken_back(happened, instants):
    """While time passes and nothing new is written, GPUs appear once and only ever get fewer."""
    told = history(award(last_day=date(2026, 1, 7)), happened)
    states = [desired_state([told], CLUSTERS, at) for at in instants]
    held = [state.tenants[0].gpus if state.tenants else 0 for state in states]
    begun = [gpus for gpus, at in zip(held, instants, strict=True) if at >= JANUARY]
    assert begun == sorted(begun, reverse=True)
    assert not any(gpus for gpus, at in zip(held, instants, strict=True) if at < JANUARY)
    causes = [state.absences[0].cause for state in states if state.absences]
    order = [Cause.NOT_YET, Cause.ENDED, Cause.FORFEITED]
    assert [order.index(cause) for cause in causes] == sorted(order.index(cause) for cause in causes)
