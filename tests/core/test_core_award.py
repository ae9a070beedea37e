"""GPU conversion, terms, and the programme's rules on one award."""

import itertools
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import MODELS, PROGRAMME, SEOUL, award, breaches

from gpuprov.core.award import Award, Term
from gpuprov.core.days import midnight

SIDE_BY_SIDE = {"H100": 1, "A100": 4, "H200": 1}  # the programme's conversion table
KST = timezone(timedelta(hours=9))


@pytest.mark.parametrize("model", MODELS)
@given(h100=st.integers(0, 10_000))
def test_conversion_there_and_back_is_exact(model, h100):
    accelerator = PROGRAMME.accelerator(model)
    gpus = accelerator.devices_for(h100)
    assert gpus == sum(SIDE_BY_SIDE[model] for _ in range(h100))
    assert accelerator.equivalents(gpus) == h100
    assert gpus.denominator == 1
    assert type(accelerator.equivalents(int(gpus))) is int


@pytest.mark.parametrize(("a100", "h100"), [(0, 0), (1, 0), (3, 0), (4, 1), (7, 1), (12, 3), (13, 3), (15, 3), (32, 8)])
def test_spare_a100_are_worth_no_h100(a100, h100):
    assert PROGRAMME.accelerator("A100").equivalents(a100) == h100


def test_a_term_ends_after_its_last_day_in_korea():
    term = Term.of_days(date(2026, 1, 1), date(2026, 6, 30), SEOUL)
    assert term.start.isoformat() == "2026-01-01T00:00:00+09:00"
    assert term.end.isoformat() == "2026-07-01T00:00:00+09:00"
    assert award().term(SEOUL) == term


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        ("2025-12-31T23:59:59.999999+09:00", False),
        ("2025-12-31T14:59:59.999999+00:00", False),
        ("2026-01-01T00:00:00+09:00", True),
        ("2025-12-31T15:00:00+00:00", True),
        ("2026-06-30T23:59:59.999999+09:00", True),
        ("2026-06-30T14:59:59.999999+00:00", True),
        ("2026-07-01T00:00:00+09:00", False),
        ("2026-06-30T15:00:00+00:00", False),
        ("2026-06-30T08:00:00-07:00", False),
        ("2026-06-30T23:59:59+00:00", False),
    ],
)
def test_a_term_is_half_open_in_every_time_zone(at, inside):
    assert (datetime.fromisoformat(at) in award().term(SEOUL)) is inside


@given(st.dates(date(2020, 1, 1), date(2099, 1, 1)), st.integers(0, 400), st.integers(-50_000, 50_000))
def test_a_term_holds_the_instants_of_its_days(first, days, minutes):
    last = first + timedelta(days=days)
    at = datetime(first.year, first.month, first.day, tzinfo=KST) + timedelta(minutes=minutes)
    inside = first <= at.date() <= last
    assert (at in Term.of_days(first, last, SEOUL)) is inside
    assert (at.astimezone(UTC) in Term.of_days(first, last, SEOUL)) is inside


def test_midnight_is_the_time_zones():
    assert midnight(date(2026, 3, 1), SEOUL).astimezone(UTC) == datetime(2026, 2, 28, 15, tzinfo=UTC)


ALLOWED = {"1": {1, 2, 3, 4}, "2": {8, 16, 24, 32, 40, 48, 56, 64, 72, 80}}


@pytest.mark.parametrize(("track", "h100"), list(itertools.product("12", range(1, 82))))
def test_the_quantities_of_each_track(track, h100):
    found = [breach.field for breach in breaches(award(quantity=h100, track=track))]
    assert found == ([] if h100 in ALLOWED[track] else ["applied_h100"])


@given(st.sampled_from(MODELS), st.integers(1, 40), st.integers(1, 200))
def test_the_allocated_quantity_is_the_converted_one(model, h100, quantity):
    listed_award = award(track="1" if h100 <= 4 else "2", applied_h100=h100, model=model, quantity=quantity)
    wrong = [breach for breach in breaches(listed_award) if breach.field == "quantity"]
    right = h100 * SIDE_BY_SIDE[model]
    assert bool(wrong) is (quantity != right)
    assert all(f"{h100} H100 convert to {right} {model}, not {quantity}" == breach.message for breach in wrong)


@pytest.mark.parametrize("broken", list(itertools.product([False, True], repeat=3)))
def test_every_combination_of_breaches_is_reported_at_once(broken):
    applied, quantity, last_day = broken
    listed_award = award(
        track="1",
        applied_h100=5 if applied else 4,
        quantity=99 if quantity else (5 if applied else 4),
        last_day=date(2025, 12, 31) if last_day else date(2026, 1, 1),
    )
    names = [
        name
        for name, bad in zip(("applied_h100", "quantity", "last_day"), (applied, quantity, last_day), strict=True)
        if bad
    ]
    assert [breach.field for breach in breaches(listed_award)] == names
    assert all(breach.message and breach.remedy for breach in breaches(listed_award))


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": "A B"},
        {"id": "A:B"},
        {"id": "A\nB"},
        {"id": "A\n"},
        {"id": "HPC-*"},  # a wildcard where the engine is told what to touch
        {"id": "A" * 101},
        {"quantity": 0},
        {"quantity": 4.0},
        {"applied_h100": 0},
        {"applied_h100": 4.0},
        {"applied_h100": "4"},
        {"applied_h100": True},
        {"applied_h100": -8},
        {"organization": ""},
        {"track": ""},
        {"status": "maybe"},
        {"surprise": 1},
    ],
)
def test_values_that_no_award_can_have(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        Award.model_validate(award("A", 4).model_dump() | fields)
