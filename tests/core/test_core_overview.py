"""Rows of all awards: who has one, what it says, and how rows are chosen and sorted."""

import unicodedata
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    JANUARY,
    JULY,
    MARCH,
    PROGRAMME,
    accepted,
    award,
    cluster,
    extended,
    forfeited,
    histories,
    live,
    seen,
    tenant,
    unlisted,
)

from gpuprov.core.awardrow import make_rows
from gpuprov.core.lifecycle import AwardState
from gpuprov.core.overview import COLUMNS, USUAL, Order, Wanted, duration, in_order

SDS = cluster("samsung-sds")
KT = cluster("kt-cloud", H200=400)
BOTH = (SDS, KT)


def rows(awards, observed, happened=(), at=MARCH):
    return make_rows(
        histories=histories(awards, happened),
        unlisted=unlisted({row.id for row in awards}, happened),
        events=happened,
        observed={seen_cluster.provider: seen_cluster for seen_cluster in observed},
        clusters={where.provider: where for where in BOTH},
        programme=PROGRAMME,
        at=at,
    )


def with_pods(observed, **gpus):
    return observed.with_pods({f"gpu-{name.lower()}": {"nvidia.com/gpu": count} for name, count in gpus.items()})


def only(found, award_id):
    (row,) = [row for row in found if row.award == award_id]
    return row


def test_an_award_with_its_cluster():
    observed = with_pods(seen(SDS, live(tenant("A", 8, SDS), SDS, used=3)), A=5)
    (row,) = rows([award("A", accept_by=date(2026, 1, 31))], [observed, seen(KT)], [accepted("A", JANUARY)])
    assert {name: column.value(row) for name, column in COLUMNS.items()} == {
        "award": "A",
        "organization": "한빛대학교",
        "provider": "samsung-sds",
        "model": "H100",
        "gpus": 8,
        "in_use": 5,
        "state": "active",
        "accepted": True,
        "deadline": date(2026, 1, 31),
        "end": date(2026, 6, 30),
        "days_left": 121,
        "ends_at": JULY,
        "quota": 8,
        "clusters": "samsung-sds",
    }


def test_of_a_cluster_that_was_not_read_nothing_is_known():
    (row,) = rows([award("A")], [seen(KT)])
    assert (row.gpus, row.in_use, row.quota, row.clusters) == (8, None, None, ())


def test_what_a_moved_award_still_holds_elsewhere_counts():
    at_kt = live(tenant("A", 8, KT, "H200"), KT, used=2)
    (row,) = rows([award("A")], [seen(SDS, live(tenant("A", 8, SDS), SDS, used=1)), seen(KT, at_kt)])
    assert (row.provider, row.in_use, row.quota, row.clusters) == ("samsung-sds", 3, 16, ("samsung-sds", "kt-cloud"))


def test_what_only_a_cluster_knows_is_an_orphan():
    found = rows([award("A")], [seen(SDS), seen(KT, live(tenant("LOST", 6, KT, "H200"), KT, used=2))])
    lost = only(found, "LOST")
    assert [row.award for row in found] == ["A", "LOST"]
    assert (lost.state, lost.organization, lost.provider, lost.model) == ("orphan", "한빛대학교", "kt-cloud", "H200")
    assert (lost.gpus, lost.in_use, lost.end, lost.days_left) == (6, 2, date(2026, 6, 30), None)


def test_what_only_the_ledger_knows():
    happened = [accepted("KEPT", JANUARY), forfeited("GONE", JANUARY), accepted("LOST", JANUARY)]
    found = rows(
        [], [seen(SDS, live(tenant("LOST", 6, SDS), SDS), live(tenant("GONE", 4, SDS), SDS)), seen(KT)], happened
    )
    assert [(row.award, row.state, row.gpus, row.quota, row.accepted) for row in found] == [
        ("KEPT", AwardState.UNLISTED, 0, 0, True),
        ("GONE", AwardState.FORFEITED, 0, 4, False),
        ("LOST", AwardState.ORPHAN, 6, 6, True),
    ]
    assert only(rows([], [seen(SDS)], happened), "KEPT").in_use is None


@given(
    st.lists(st.sampled_from("ABCD"), unique=True),
    st.lists(st.sampled_from("ABCDE"), unique=True),
    st.lists(st.sampled_from("ABCDEF")),
)
def test_everybody_whom_anybody_knows_has_exactly_one_row(listed, living, in_ledger):
    observed = [seen(SDS, *(live(tenant(name, 8, SDS), SDS) for name in living))]
    found = rows([award(name) for name in listed], observed, [accepted(name, JANUARY) for name in in_ledger])
    assert sorted(row.award for row in found) == sorted({*listed, *living, *in_ledger})


# ---- filters


AWARDS = [
    award("HPC-1", organization="한빛대학교 AI연구소"),
    award("HPC-2", organization="누리테크", provider="kt-cloud", model="H200", last_day=date(2026, 3, 14)),
    award("hpc-3", organization="누리테크", first_day=date(2026, 4, 1)),
]
ALL = rows(
    AWARDS,
    [with_pods(seen(SDS, live(tenant("HPC-1", 8, SDS), SDS)), **{"HPC-1": 1}), seen(KT)],
    [accepted("HPC-1", JANUARY)],
)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (Wanted(), ["HPC-1", "HPC-2", "hpc-3"]),
        (Wanted(text="hpc-"), ["HPC-1", "HPC-2", "hpc-3"]),
        (Wanted(text="h200"), ["HPC-2"]),
        (Wanted(text="ai연구소 hpc"), ["HPC-1"]),
        (Wanted(text=unicodedata.normalize("NFD", "한빛")), ["HPC-1"]),  # as a Mac writes it
        (Wanted(text="HPC-1 H200"), []),
        (Wanted(providers=frozenset({"kt-cloud"})), ["HPC-2"]),
        (Wanted(states=frozenset({AwardState.UPCOMING, AwardState.EXPIRED})), ["hpc-3"]),
        (Wanted(ends_within=timedelta(days=13)), []),
        (Wanted(ends_within=timedelta(days=14)), ["HPC-2"]),
        (Wanted(not_accepted=True), ["HPC-2", "hpc-3"]),
        (Wanted(idle=True), ["HPC-2"]),
        (Wanted(idle=True, text="HPC-1"), []),
    ],
)
def test_what_is_wanted_is_chosen(wanted, chosen):
    assert [row.award for row in ALL if wanted.meets(row, MARCH)] == chosen


def test_the_edge_of_what_ends_within_belongs_to_it():
    (row,) = rows([award("A")], [])
    for most, meets in ((timedelta(days=14), True), (timedelta(days=14) - timedelta(microseconds=1), False)):
        assert Wanted(ends_within=most).meets(row, JULY - timedelta(days=14)) is meets


def test_what_has_ended_or_was_not_read_is_not_idle_and_awaits_no_acceptance():
    happened = [forfeited("A", MARCH), extended("LOST", JANUARY, date(2026, 12, 31))]
    found = rows([award("A"), award("B")], [], happened)
    assert [row.award for row in found if Wanted(idle=True).meets(row, MARCH)] == []
    assert [row.award for row in found if Wanted(not_accepted=True).meets(row, MARCH)] == ["B"]


def test_an_award_is_found_at_the_provider_that_still_has_it():
    (row,) = rows([award("A")], [seen(SDS), seen(KT, live(tenant("A", 8, KT, "H200"), KT))])
    for provider in ("samsung-sds", "kt-cloud"):
        assert Wanted(providers=frozenset({provider})).meets(row, MARCH)
    assert not Wanted(providers=frozenset({"elice-cloud"})).meets(row, MARCH)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("14d", timedelta(days=14)),
        ("2w", timedelta(days=14)),
        ("36h", timedelta(hours=36)),
        ("0h", timedelta()),
        ("9999w", timedelta(weeks=9999)),
        *((text, None) for text in ("", "14", "d", "-1d", "1.5d", "14 d", "1y", "10000d", "１４d", "14d2h", "14D")),
    ],
)
def test_durations(text, length):
    assert duration(text) == length


# ---- orders


def test_the_usual_columns_are_those_that_were_asked_for():
    assert tuple(COLUMNS)[: len(USUAL)] == USUAL
    assert USUAL[-1] == "days_left"


SOME = rows(
    [
        award(name, quantity, last_day=date(2026, 6, day))
        for name, quantity, day in (("A", 8, 3), ("B", 4, 1), ("C", 8, 2))
    ]
    + [award("D", first_day=date(2026, 4, 1))],
    [],
)


@pytest.mark.parametrize(
    ("orders", "ordered"),
    [
        ((), "ABCD"),
        ((("days_left", False),), "BCAD"),
        ((("days_left", True),), "ACBD"),
        ((("gpus", True),), "ACBD"),
        ((("gpus", True), ("end", False)), "CABD"),
        ((("in_use", True),), "ABCD"),
        ((("accepted", True), ("award", True)), "DCBA"),
    ],
)
def test_orders(orders, ordered):
    made = [Order(column=COLUMNS[name], descending=descending) for name, descending in orders]
    assert "".join(row.award for row in in_order(SOME, made)) == ordered


@given(st.permutations(SOME), st.sampled_from(sorted(COLUMNS)), st.booleans())
def test_sorting_loses_nothing_and_puts_what_is_unknown_last(shuffled, name, descending):
    column = COLUMNS[name]
    ordered = in_order(shuffled, [Order(column=column, descending=descending)])
    assert sorted(row.award for row in ordered) == ["A", "B", "C", "D"]
    values = [column.value(row) for row in ordered]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == sorted(known, reverse=descending)
