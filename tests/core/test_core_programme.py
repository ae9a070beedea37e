"""A programme as data: exact conversions, tracks, calls, and what of it contradicts itself."""

from datetime import date, timedelta
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loan import LOAN, WRITTEN, changed
from pydantic import ValidationError
from strategies import PROGRAMME, TERMS, award

from gpuprov.core.accelerator import Accelerator
from gpuprov.core.award import Award, breaches, quantity_breaches, term_breaches
from gpuprov.core.capacity import excesses
from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.days import midnight
from gpuprov.core.ledger import histories
from gpuprov.core.programme import Programme
from gpuprov.core.steps import Terms


@given(st.fractions(min_value=Fraction(1, 12), max_value=12, max_denominator=12), st.integers(1, 5000))
def test_a_conversion_is_exact_and_back_again(made, applied):
    accelerator = Accelerator(name="X", per_reference=made, devices_per_server=8, resource="a.b/c")
    devices = accelerator.devices_for(applied)
    assert devices == sum(made for _ in range(applied))
    if devices.denominator == 1:
        assert accelerator.equivalents(int(devices)) == accelerator.equivalents_up(int(devices)) == applied


@given(st.fractions(min_value=Fraction(1, 12), max_value=12, max_denominator=12), st.integers(0, 5000))
def test_equivalents_are_the_whole_ones_below_and_above(made, devices):
    accelerator = Accelerator(name="X", per_reference=made, devices_per_server=8, resource="a.b/c")
    below, above = accelerator.equivalents(devices), accelerator.equivalents_up(devices)
    assert below * made <= devices < (below + 1) * made
    assert (above - 1) * made < devices <= above * made


def test_what_is_not_convertible_is_its_own_unit():
    npu = LOAN.accelerator("NPU")
    assert (npu.devices_for(12), npu.equivalents(12), npu.equivalents_up(12)) == (12, None, None)
    assert [LOAN.counted_in(accelerator) for accelerator in LOAN.accelerators] == ["B200", "B200", "B200", "NPU"]


def test_rules_are_told_in_the_programmes_words():
    assert [LOAN.rule(track) for track in LOAN.tracks] == [
        "track small is 1 to 16 B200",
        "track rack is by the server of 8 B200: 8 to 64",
        "track pairs is in steps of 2 B200: 2, 4, 6 and so on",
        "track open is 3 B200 or more",
        "track npu is in steps of 4 NPU: 4 to 32",
    ]
    assert [PROGRAMME.rule(track) for track in PROGRAMME.tracks] == [
        "track 1 is 1 to 4 H100",
        "track 2 is by the server of 8 H100: 8, 16, 24 and so on",
    ]


@pytest.mark.parametrize("name", [track.name for track in LOAN.tracks if track.counted_in is None])
@given(applied=st.integers(1, 200))
def test_a_track_allows_what_its_bounds_say(name, applied):
    track = LOAN.track(name)
    most = track.most or 10**9
    right = track.least <= applied <= most and applied % track.unit == 0
    found = list(quantity_breaches(name, applied, "B200", applied, LOAN))
    assert [(breach.field, breach.message) for breach in found] == (
        [] if right else [("applied_h100", LOAN.rule(track))]
    )


@given(applied=st.integers(1, 16), quantity=st.integers(1, 40))
def test_a_conversion_to_no_whole_number_is_a_breach_by_itself(applied, quantity):
    messages = [breach.message for breach in quantity_breaches("small", applied, "OLD", quantity, LOAN)]
    if applied % 2:
        assert messages == [f"{applied} B200 convert to {applied * 3}/2 OLD, which is no whole number"]
    elif quantity == applied * 3 // 2:
        assert messages == []
    else:
        assert messages == [f"{applied} B200 convert to {applied * 3 // 2} OLD, not {quantity}"]


@given(applied=st.integers(1, 16))
def test_one_device_may_count_as_two(applied):
    messages = [breach.message for breach in quantity_breaches("small", applied, "GB", applied // 2 or 1, LOAN)]
    assert messages == ([f"{applied} B200 convert to {applied}/2 GB, which is no whole number"] if applied % 2 else [])


def test_what_is_not_convertible_is_awarded_as_it_was_applied_for_on_its_own_track():
    assert list(quantity_breaches("npu", 8, "NPU", 8, LOAN)) == []
    (wrong,) = quantity_breaches("npu", 8, "NPU", 12, LOAN)
    assert (wrong.field, wrong.message) == (
        "quantity",
        "NPU is awarded in its own unit: 8 were applied for, not 12",
    )
    for track, model, unit in (("small", "NPU", "NPU"), ("npu", "B200", "B200")):
        (wrong,) = quantity_breaches(track, 8, model, 8, LOAN)
        rule = LOAN.rule(LOAN.track(track))
        assert (wrong.field, wrong.message) == ("track", f"{rule}, and applications for {model} count in {unit}")


@given(st.dates(date(2026, 1, 1), date(2026, 12, 31)), st.integers(0, 200))
def test_a_term_lies_within_the_call_that_the_award_names(first, days):
    last = first + timedelta(days=days)
    wrong = [
        field
        for field, day in (("first_day", first), ("last_day", last))
        if not date(2026, 3, 1) <= day <= date(2026, 5, 31)
    ]
    found = list(term_breaches(first, last, "spring", LOAN))
    assert [breach.field for breach in found] == wrong
    assert {breach.message for breach in found} <= {"terms of call spring lie within 2026-03-01 and 2026-05-31"}
    assert list(term_breaches(first, last, "", LOAN)) == []


def test_breaches_are_those_of_quantities_and_of_days():
    fields = award().model_dump() | {
        "track": "small",
        "applied_h100": 17,
        "model": "B200",
        "quantity": 1,
        "call": "spring",
    }
    found = [breach.field for breach in breaches(Award.model_validate(fields), LOAN)]
    assert found == ["applied_h100", "quantity", "first_day", "last_day"]


def test_days_begin_and_end_in_the_programmes_time_zone():
    (told,) = histories([award()], [], LOAN.zone)
    assert (told.term.start.isoformat(), told.term.end.isoformat()) == (
        "2026-01-01T00:00:00-05:00",
        "2026-07-01T00:00:00-04:00",
    )
    assert midnight(date(2026, 7, 1), LOAN.zone) == told.term.end


def cluster_of(model, capacity):
    terms = Terms(zone=LOAN.zone, resources=LOAN.resources)
    written = {"model": model, "capacity": capacity, "nodeLabel": {"a": "b"}}
    data = {"provider": "p", "context": "p", "pools": [written]}
    return ProviderCluster.model_validate(data, context=terms)


@pytest.mark.parametrize(("model", "resource"), LOAN.resources.items())
def test_a_pool_has_its_accelerators_resource_and_steps_in_the_programmes_time_zone(model, resource):
    (pool,) = cluster_of(model, [{"gpus": 8}, {"gpus": 9, "from": "2026-07-01"}]).pools
    assert pool.resource == resource
    assert pool.steps[1].start == midnight(date(2026, 7, 1), LOAN.zone)
    assert GpuPool.model_validate_json(pool.model_dump_json(by_alias=True)) == pool  # needs no programme any more


def test_a_pool_of_another_programmes_accelerator_is_refused_once():
    with pytest.raises(ValidationError) as caught:
        cluster_of("H100", 8)
    error, *rest = caught.value.errors()
    assert [detail["type"] for detail in rest] == ["too_short"]  # the list of pools without the one that is wrong
    assert error["loc"] == ("pools", 0, "model")
    assert error["msg"] == "is no accelerator of the programme: write one of B200, GB, OLD, NPU"
    GpuPool.model_validate({"model": "H100", "capacity": 8, "nodeLabel": {"a": "b"}}, context=TERMS)


@pytest.mark.parametrize(
    ("model", "worth"),
    [("B200", "4 too many (4 B200-equivalents)"), ("OLD", "4 too many (3 B200-equivalents)"), ("NPU", "4 too many")],
)
def test_an_excess_is_told_in_equivalents_where_there_are_any(model, worth):
    fields = award().model_dump() | {"provider": "p", "model": model, "quantity": 12}
    (told,) = histories([Award.model_validate(fields)], [], LOAN.zone)
    (found,) = excesses(told.allocations, [cluster_of(model, 8)], LOAN)
    assert f"p {model}: 12 GPUs allocated of 8, {worth}, from" in found.fact


@pytest.mark.parametrize(
    ("path", "value", "wrong", "message"),
    [
        (("timeZone",), "Seoul", ("timeZone",), "is no time zone"),
        (("end",), "2027-01-01T00:00", ("end",), "timezone"),
        (("end",), 20270101, ("end",), "is not a timestamp with an offset"),
        (("reference",), "H100", ("reference",), "is no accelerator of the programme"),
        (("reference",), "GB", ("accelerators", 1, "perReference"), "GB is the reference, so it counts 1"),
        *(
            (("accelerators", 1, "perReference"), value, ("accelerators", 1, "perReference"), "is not how many make")
            for value in (0, -1, "0", "1/0", "x", 0.5, True, None, "-1/2", [])
        ),
        (("accelerators", 1, "name"), "B200", ("accelerators", 1, "name"), "'B200' is a name twice"),
        (("accelerators", 1, "name"), "b-200", ("accelerators", 1, "name"), "'b-200' is a name twice"),
        (("accelerators", 1, "aliases"), ["x", "npu"], ("accelerators", 1, "aliases", 1), "'npu' means NPU already"),
        (("accelerators", 1, "resource"), "gpu", ("accelerators", 1, "resource"), "pattern"),
        (("tracks", 0, "least"), 17, ("tracks", 0, "most"), "is less than the least quantity 17"),
        (("tracks", 1, "least"), 4, ("tracks", 1, "least"), "is not a multiple of the unit 8"),
        (("tracks", 1, "most"), 63, ("tracks", 1, "most"), "is not a multiple of the unit 8"),
        (("tracks", 0, "countedIn"), "GB", ("tracks", 0, "countedIn"), "GB converts to the reference"),
        (("tracks", 0, "countedIn"), "TPU", ("tracks", 0, "countedIn"), "is no accelerator of the programme"),
        (("tracks", 0, "words"), ["Rack"], ("tracks", 0, "words", 0), "'Rack' means rack already"),
        (("calls", 0, "lastDay"), "2026-02-01", ("calls", 0, "lastDay"), "is before the call's first day 2026-03-01"),
        (("calls", 0, "lastDay"), "2027-01-01", ("calls", 0, "lastDay"), "is after the programme's end"),
        (
            ("statuses",),
            {"selected": ["a"], "forfeited": ["A"]},
            ("statuses", "forfeited", 0),
            "means selected already",
        ),
        (("surprise",), 1, ("surprise",), "Extra inputs"),
    ],
)
def test_what_a_programme_cannot_say(path, value, wrong, message):
    with pytest.raises(ValidationError) as caught:
        Programme.model_validate(changed(path, value))
    (error,) = caught.value.errors()
    assert error["loc"] == wrong
    assert message in error["msg"]


def test_without_a_reference_nothing_converts_and_every_track_says_what_it_counts():
    with pytest.raises(ValidationError) as caught:
        Programme.model_validate(changed(("reference",), None))
    assert [error["loc"] for error in caught.value.errors()] == [
        *(("accelerators", at, "perReference") for at in range(3)),
        *(("tracks", at, "countedIn") for at in range(4)),
    ]
    alone = WRITTEN | {"accelerators": WRITTEN["accelerators"][3:], "tracks": WRITTEN["tracks"][4:], "reference": None}
    made = Programme.model_validate(alone)
    assert list(quantity_breaches("npu", 8, "NPU", 8, made)) == []


@given(
    st.sampled_from(LOAN.accelerators), st.sampled_from(LOAN.tracks), st.integers(1, 80), st.sampled_from([-1, 0, 0, 1])
)
def test_no_breach_is_the_same_as_within_the_right_track_and_exactly_converted(accelerator, track, applied, off):
    exact = accelerator.devices_for(applied)
    quantity = max(1, floor(exact) + off)
    right = (track.counted_in or "B200") == (accelerator.name if accelerator.name == "NPU" else "B200")
    valid = right and track.allows(applied) and quantity == exact
    found = list(quantity_breaches(track.name, applied, accelerator.name, quantity, LOAN))
    assert (found == []) is valid
    assert all(breach.message and breach.remedy for breach in found)


def test_a_programme_survives_json():
    assert Programme.model_validate_json(LOAN.model_dump_json(by_alias=True)) == LOAN
