"""The desired state at an instant: a tenant or a reason for every award."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    HOURS,
    JANUARY,
    JULY,
    MARCH,
    accepted,
    award,
    cluster,
    desired,
    events,
    extended,
    forfeited,
    histories,
    history,
    reduced,
    unlisted,
)

from gpuprov.core.award import Status
from gpuprov.core.tenant import Cause, desired_state

CLUSTERS = (cluster("samsung-sds", H100=200, A100=40), cluster("kt-cloud", H200=400))
TICK = timedelta(microseconds=1)


def only(award, at, happened=()):
    """Return the cause of the award's absence, or its GPUs."""
    state = desired([award], CLUSTERS, at, happened)
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
    (desired_tenant,) = desired([award()], CLUSTERS, MARCH, [extended("HPC-1", MARCH, date(2026, 7, 31))]).tenants
    assert desired_tenant.term_end == datetime.fromisoformat("2026-08-01T00:00+09:00")


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
    present, gone = [tenant.award_id for tenant in state.tenants], [absence.award_id for absence in state.absences]
    assert sorted(present + gone) == ["A", "B", "C", "D"]
    assert present == sorted(present)
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


# What the list says now, and what the ledger says: the ledger decides.

LONG_AGO = datetime.fromisoformat("2026-02-01T00:00+09:00")
LISTS = {
    "selected": [award()],
    "forfeited": [award(status="forfeited")],
    "waitlisted": [award(status="waitlisted")],
    "gone": [],
}
LEDGERS = {
    "nothing": [],
    "accepted": [accepted("HPC-1", LONG_AGO)],
    "forfeited": [forfeited("HPC-1", LONG_AGO)],
    "forfeited before the term": [forfeited("HPC-1", JANUARY - TICK)],
    "to be forfeited": [forfeited("HPC-1", MARCH + TICK)],
    "reduced": [reduced("HPC-1", LONG_AGO, 3)],
    "to be reduced": [reduced("HPC-1", MARCH + TICK, 3)],
    "prolonged": [extended("HPC-1", LONG_AGO, date(2026, 8, 31))],
    "cut short": [extended("HPC-1", LONG_AGO, date(2026, 2, 28))],
    "to be cut short": [extended("HPC-1", LONG_AGO, date(2026, 3, 1))],
    "cut short and forfeited": [
        extended("HPC-1", LONG_AGO, date(2026, 2, 28)),
        forfeited("HPC-1", datetime.fromisoformat("2026-02-20T00:00+09:00")),
    ],
    "cut short and to be forfeited": [
        extended("HPC-1", LONG_AGO, date(2026, 2, 28)),
        forfeited("HPC-1", MARCH + TICK),
    ],
    "cut short, and prolonged too late": [
        extended("HPC-1", LONG_AGO, date(2026, 2, 28)),
        extended("HPC-1", MARCH - TICK, date(2026, 9, 30)),
    ],
}
BY_LEDGER = {
    "forfeited": (Cause.FORFEITED, "forfeited at 2026-02-01T00:00+09:00 by operator: as decided"),
    "forfeited before the term": (Cause.FORFEITED, "forfeited at 2025-12-31T23:59+09:00 by operator: as decided"),
    "cut short": (Cause.ENDED, "term ended at 2026-03-01T00:00+09:00"),
    "cut short and forfeited": (Cause.FORFEITED, "forfeited at 2026-02-20T00:00+09:00 by operator: as decided"),
    "cut short and to be forfeited": (Cause.ENDED, "term ended at 2026-03-01T00:00+09:00"),
    "cut short, and prolonged too late": (Cause.ENDED, "term ended at 2026-03-01T00:00+09:00"),
}
ALSO = {
    "selected": "",
    "forfeited": "; forfeited in the award list now",
    "waitlisted": "; waitlisted in the award list now",
    "gone": "; in no award list now",
}
UNKNOWN_END = ("gone", "cut short, and prolonged too late")
"""Without a row nobody knows that the second extension came too late, so the ledger ends nothing yet."""
BY_LIST = {
    "forfeited": (Cause.FORFEITED_IN_LIST, "forfeited in the award list"),
    "waitlisted": (Cause.WAITLISTED, "waitlisted in the award list"),
}


def decided(listed, happened, at=MARCH):
    """Decide as the commands do, with the awards that only the ledger knows."""
    return desired_state(histories(listed, happened), CLUSTERS, at, unlisted({award.id for award in listed}, happened))


@pytest.mark.parametrize("said_by_list", LISTS)
@pytest.mark.parametrize("said_by_ledger", LEDGERS)
def test_an_event_of_the_ledger_decides_whatever_the_list_says_now(said_by_list, said_by_ledger):
    state = decided(LISTS[said_by_list], LEDGERS[said_by_ledger])
    held = [tenant.gpus for tenant in state.tenants]
    absences = [(absence.award_id, absence.cause, absence.reason, absence.by_ledger) for absence in state.absences]
    if said_by_ledger in BY_LEDGER and (said_by_list, said_by_ledger) != UNKNOWN_END:
        cause, reason = BY_LEDGER[said_by_ledger]
        assert (held, absences) == ([], [("HPC-1", cause, reason + ALSO[said_by_list], True)])
    elif said_by_list in BY_LIST:
        assert (held, absences) == ([], [("HPC-1", *BY_LIST[said_by_list], False)])
    elif said_by_list == "gone":
        assert (held, absences) == ([], [])
    else:
        assert (held, absences) == ([3 if said_by_ledger == "reduced" else 8], [])


@pytest.mark.parametrize("said_by_list", LISTS)
@pytest.mark.parametrize(
    ("happened", "end"),
    [
        ([extended("HPC-1", MARCH, date(2026, 7, 31))], datetime.fromisoformat("2026-08-01T00:00+09:00")),
        ([forfeited("HPC-1", MARCH)], MARCH),
    ],
)
def test_the_ledgers_end_counts_from_its_first_instant_on(said_by_list, happened, end):
    before, after = (decided(LISTS[said_by_list], happened, at) for at in (end - TICK, end))
    assert not any(absence.by_ledger for absence in before.absences)
    assert [absence.by_ledger for absence in after.absences] == [True]


def test_awards_that_only_the_ledger_knows_come_after_those_of_the_list():
    happened = [forfeited("B", LONG_AGO), forfeited("A", LONG_AGO), reduced("C", LONG_AGO, 3)]
    state = decided([award("A"), award("Z", status="waitlisted")], happened)
    assert [absence.award_id for absence in state.absences] == ["A", "Z", "B"]


@settings(max_examples=200)
@given(events(), HOURS)
def test_what_the_ledger_took_back_is_taken_back_whatever_the_list_says_now(happened, at):
    """A row that was marked, or removed, after a forfeiture or a new end changes nothing about it."""
    short = award(last_day=date(2026, 1, 7))
    (listed,) = decided([short], happened, at).absences or (None,)
    if listed is None or not listed.by_ledger:
        return
    for now in ([short.model_copy(update={"status": status})] for status in (Status.WAITLISTED, Status.FORFEITED)):
        (absence,) = decided(now, happened, at).absences
        assert (absence.cause, absence.by_ledger) == (listed.cause, True)
    if listed.cause is Cause.FORFEITED:
        (absence,) = decided([], happened, at).absences
        assert (absence.cause, absence.by_ledger) == (Cause.FORFEITED, True)


@settings(max_examples=200)
@given(events(), HOURS)
def test_a_row_that_is_gone_never_hides_a_tenant_that_the_ledger_leaves_alone(happened, at):
    """What goes where the ledger alone is known goes with the row as well."""
    short = award(last_day=date(2026, 1, 7))
    absences = decided([], happened, at).absences
    if absences:
        assert decided([short], happened, at).tenants == ()


def test_what_the_ledger_decided_stays_its_decision_when_the_list_has_caught_up():
    """The ministry's next list often says what the ledger said first; a cluster that was down then has neither."""
    cut = award(last_day=date(2026, 2, 28))
    (absence,) = decided([cut], [extended("HPC-1", LONG_AGO, date(2026, 2, 28))]).absences
    assert (absence.cause, absence.by_ledger) == (Cause.ENDED, True)
    fewer = award(quantity=3)
    assert decided([fewer], [reduced("HPC-1", LONG_AGO, 3)]).reduced == {"HPC-1"}


@pytest.mark.parametrize(
    ("happened", "by_ledger"),
    [
        ([], False),
        ([reduced("HPC-1", LONG_AGO, 9)], False),  # the list has fewer by itself
        ([reduced("HPC-1", LONG_AGO, 8)], True),
        ([reduced("HPC-1", LONG_AGO, 7)], True),
        ([reduced("HPC-1", MARCH + TICK, 7)], False),
        ([reduced("HPC-1", LONG_AGO, 7), reduced("HPC-1", MARCH, 12)], True),
        ([forfeited("HPC-1", MARCH + TICK), reduced("HPC-1", MARCH + 2 * TICK, 7)], False),
    ],
)
def test_a_quantity_is_the_ledgers_where_the_list_allows_no_less(happened, by_ledger):
    assert bool(decided([award()], happened).reduced) is by_ledger


@pytest.mark.parametrize("said_by_list", LISTS)
@pytest.mark.parametrize(
    ("said_by_ledger", "until"),
    [
        ("prolonged", datetime.fromisoformat("2026-09-01T00:00+09:00")),
        ("nothing", None),
        ("cut short", None),
        ("to be forfeited", None),
        ("to be cut short", datetime.fromisoformat("2026-03-02T00:00+09:00")),
    ],
)
def test_an_end_of_the_ledger_that_is_still_to_come_is_told_whatever_the_list_says(said_by_list, said_by_ledger, until):
    state = decided(LISTS[said_by_list], LEDGERS[said_by_ledger])
    assert state.extended == ({} if until is None else {"gpu-hpc-1": until})
