"""The capacity sweep against brute force, and the sample lists against their own sums."""

import csv
import io
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import JANUARY, award, cluster, excesses, forfeited, histories, reduced

from gpuprov.core.capacity import MOST_LINES, allocated_over_time, lines, not_over, peak
from gpuprov.core.ledger import Allocation
from gpuprov.load.awards import load_awards
from gpuprov.load.project import open_project

ROOT = Path(__file__).parents[2]
FIRST = ROOT / "examples/awards-2026-h1.csv"
EXTRA = ROOT / "examples/awards-2026-extra-cp949.csv"


def at(hour):
    return JANUARY + timedelta(hours=hour)


def part(name, gpus, start, end, *, provider="samsung-sds", model="H100"):
    return Allocation(award_id=name, provider=provider, model=model, gpus=gpus, start=at(start), end=at(end))


PARTS = st.lists(
    st.builds(
        lambda name, gpus, start, length, provider, model: part(
            name, gpus, start, start + length, provider=provider, model=model
        ),
        st.sampled_from("ABCDEF"),
        st.integers(1, 9),
        st.integers(0, 20),
        st.integers(1, 20),
        st.sampled_from(["samsung-sds", "kt-cloud", "unknown"]),
        st.sampled_from(["H100", "A100"]),
    ),
    max_size=12,
)
CLUSTERS = (cluster("samsung-sds", H100=10, A100=5), cluster("kt-cloud", H100=0))
WITH_HISTORY = st.one_of(
    st.integers(0, 20),
    st.tuples(
        st.integers(0, 20),
        st.dictionaries(st.integers(-2, 45).map(lambda half: at(half / 2)), st.integers(0, 20), max_size=4),
    ).map(
        lambda drawn: [
            {"gpus": drawn[0]},
            *({"gpus": drawn[1][start], "from": start.isoformat()} for start in sorted(drawn[1])),
        ]
    ),
)
CAPACITY = {("samsung-sds", "H100"): 10, ("samsung-sds", "A100"): 5}
HALF_HOURS = [at(half / 2) for half in range(-2, 90)]


@settings(max_examples=300)
@given(PARTS)
@example([part("A", 6, 0, 5), part("B", 6, 5, 10)])
@example([part("A", 11, 0, 5), part("B", 11, 5, 10)])
@example([part("A", 11, 0, 5), part("B", 12, 5, 10)])
def test_the_sweep_finds_what_adding_up_at_every_instant_finds(parts):
    found = excesses(parts, CLUSTERS)
    for provider in ("samsung-sds", "kt-cloud", "unknown"):
        for model in ("H100", "A100"):
            capacity = CAPACITY.get((provider, model), 0)
            pool = [part for part in parts if (part.provider, part.model) == (provider, model)]
            here = [excess for excess in found if (excess.provider, excess.model) == (provider, model)]
            for instant in HALF_HOURS:
                holding = [part for part in pool if part.start <= instant < part.end]
                total = sum(part.gpus for part in holding)
                over = [excess for excess in here if excess.start <= instant < excess.end]
                assert [(excess.allocated, excess.capacity, excess.excess) for excess in over] == (
                    [(total, capacity, total - capacity)] if total > capacity else []
                )
                assert not over or {part.award_id for part in holding} <= set(over[0].award_ids)


@settings(max_examples=300)
@given(PARTS)
def test_excesses_are_ordered_joined_and_name_only_awards_that_take_part(parts):
    found = excesses(parts, CLUSTERS)
    assert found == sorted(found, key=lambda excess: (excess.provider, excess.model, excess.start))
    for excess, other in pairwise(found):
        touching = (excess.provider, excess.model, excess.end) == (other.provider, other.model, other.start)
        assert not (touching and excess.allocated == other.allocated)
    for excess in found:
        involved = {
            a.award_id
            for a in parts
            if (a.provider, a.model) == (excess.provider, excess.model)
            and any(a.start <= instant < a.end and excess.start <= instant < excess.end for instant in HALF_HOURS)
        }
        assert excess.award_ids == tuple(sorted(involved))


def capacity_by_hand(written, instant):
    """What a capacity as it is written in a stack's file says of an instant."""
    if isinstance(written, int):
        return written
    steps = [step for step in written if "from" not in step or datetime.fromisoformat(step["from"]) <= instant]
    return steps[-1]["gpus"]


@settings(max_examples=300)
@given(PARTS, WITH_HISTORY, WITH_HISTORY)
@example([part("A", 8, 0, 10)], [{"gpus": 8}, {"gpus": 7, "from": at(5).isoformat()}], 0)
@example([part("A", 8, 0, 10)], [{"gpus": 7}, {"gpus": 8, "from": at(5).isoformat()}], 0)
@example([part("A", 8, 0, 10)], [{"gpus": 8}, {"gpus": 7, "from": at(10).isoformat()}], 0)
@example([part("A", 8, 0, 10)], [{"gpus": 9}, {"gpus": 7, "from": at(0).isoformat()}], 0)
@example([part("A", 9, 0, 10)], [{"gpus": 7}, {"gpus": 7, "from": at(5).isoformat()}], 0)
def test_a_capacity_with_a_history_is_compared_at_every_instant(parts, h100, a100):
    clusters = [cluster("samsung-sds", H100=h100, A100=a100)]
    found = excesses(parts, clusters)
    for model, written in (("H100", h100), ("A100", a100)):
        pool = [part for part in parts if (part.provider, part.model) == ("samsung-sds", model)]
        here = [excess for excess in found if (excess.provider, excess.model) == ("samsung-sds", model)]
        for instant in HALF_HOURS:
            total = sum(part.gpus for part in pool if part.start <= instant < part.end)
            capacity = capacity_by_hand(written, instant)
            over = [(excess.allocated, excess.capacity) for excess in here if excess.start <= instant < excess.end]
            assert over == ([(total, capacity)] if total > capacity else [])
        for excess, other in pairwise(here):
            assert excess.end <= other.start
            assert (excess.end, excess.allocated, excess.capacity) != (other.start, other.allocated, other.capacity)


@given(PARTS, st.integers(-2, 45), st.integers(1, 45))
def test_the_peak_of_a_span_is_the_highest_sum_within_it(parts, since, hours):
    until = since + hours
    inside = [instant for instant in HALF_HOURS if at(since) <= instant < at(until)]
    sums = [sum(part.gpus for part in parts if part.start <= instant < part.end) for instant in inside]
    assert peak(parts, at(since), at(until)) == max(sums, default=0)
    assert peak(parts) == peak(parts, None, at(90)) == peak(parts, at(-2), None)


def test_a_server_that_breaks_concerns_only_what_comes_after():
    holding = [part("A", 400, 0, 10, provider="kt-cloud"), part("B", 390, 10, 20, provider="kt-cloud")]
    broken = [{"gpus": 400}, {"gpus": 392, "from": at(10).isoformat()}]
    assert excesses(holding, [cluster("kt-cloud", H100=broken)]) == []
    (found,) = excesses(holding, [cluster("kt-cloud", H100=392)])
    assert (found.start, found.end, found.excess) == (at(0), at(10), 8)


def test_only_an_excess_that_is_not_over_yet_counts_against_a_decision():
    (found,) = excesses([part("A", 9, 2, 4)], [cluster(H100=8)])
    for hour in (0, 2, 3.5):
        assert not_over([found], at(hour)) == [found]
    for hour in (4, 5):
        assert not_over([found], at(hour)) == []


def test_a_long_list_of_excesses_is_cut_and_says_of_which_pools_the_rest_is():
    many = [part("A", 9, 2 * hour, 2 * hour + 1) for hour in range(MOST_LINES)]
    found = excesses(many, [cluster(H100=8)])
    assert lines(found) == [str(excess) for excess in found]
    more = [*many, part("B", 1, 0, 1, provider="zeta"), part("C", 1, 0, 1, provider="zeta", model="A100")]
    found = excesses(more, [cluster(H100=8)])
    assert lines(found) == [
        *(str(excess) for excess in found[:MOST_LINES]),
        "and 2 more intervals, of zeta A100 and zeta H100 (`gpuprov validate --json` has all)",
    ]


@given(PARTS, st.randoms())
def test_the_order_of_the_allocations_does_not_matter(parts, random):
    shuffled = list(parts)
    random.shuffle(shuffled)
    assert excesses(shuffled, CLUSTERS) == excesses(parts, CLUSTERS)
    assert allocated_over_time(shuffled) == allocated_over_time(parts)


@given(PARTS)
def test_sums_over_time_start_and_end_with_nothing(parts):
    sums = dict(allocated_over_time(parts))
    assert set(sums) == {part.start for part in parts} | {part.end for part in parts}
    for edge, total in sums.items():
        assert total == sum(part.gpus for part in parts if part.start <= edge < part.end)


def test_an_award_that_ends_as_another_starts_never_adds_to_it():
    before = award("A", 8, last_day=date(2026, 3, 31))
    after = award("B", 8, first_day=date(2026, 4, 1))
    parts = [part for told in histories([before, after], []) for part in told.allocations]
    assert excesses(parts, [cluster(H100=8)]) == []
    (found,) = excesses(parts, [cluster(H100=7)])
    assert (found.excess, found.award_ids) == (1, ("A", "B"))
    overlapping = [*parts[:1], *histories([award("B", 8, first_day=date(2026, 3, 31))], [])[0].allocations]
    assert len(excesses(overlapping, [cluster(H100=8)])) == 1


def test_the_excess_of_a100_is_told_in_whole_h100_that_must_go():
    (found,) = excesses([part("A", 13, 0, 1, model="A100")], [cluster(A100=8)])
    assert str(found) == (
        "samsung-sds A100: 13 GPUs allocated of 8, 5 too many (2 H100-equivalents), from 2026-01-01T00:00:00+09:00 "
        "to 2026-01-01T01:00:00+09:00 by 1 award; forfeit or reduce awards, or move them to another provider"
    )


def test_a_provider_or_model_without_a_pool_has_no_room():
    (found,) = excesses([part("A", 1, 0, 1, provider="nobody")], CLUSTERS)
    assert (found.provider, found.capacity, found.excess) == ("nobody", 0, 1)


# The sample lists, summed up by themselves: nothing of the loader or the sweep takes part.

NAMES = {"삼성SDS": "samsung-sds", "엘리스클라우드": "elice-cloud", "KT클라우드": "kt-cloud"}


def rows(path, encoding):
    return [
        (NAMES[row["공급사"]], row["배정GPU"], int(row["배정수량"]), row["시작일"].replace(".", "-"), row["과제번호"])
        for row in csv.DictReader(io.StringIO(path.read_text(encoding)))
        if row["상태"] == "선정"
    ]


def sums(listed):
    """GPUs by pool in January and from February on; every row of the samples ends on 30 June."""
    totals = {}
    for provider, model, gpus, first, _ in listed:
        january, later = totals.get((provider, model), (0, 0))
        totals[provider, model] = (january + gpus * (first < "2026-02-01"), later + gpus)
    return totals


@pytest.fixture(scope="module")
def clusters():
    return open_project(ROOT).clusters


def allocations(paths, clusters, events=()):
    awards = load_awards(paths, clusters).awards
    return [part for told in histories(awards, events) for part in told.allocations]


LISTED = {FIRST: rows(FIRST, "utf-8-sig"), EXTRA: rows(EXTRA, "cp949")}
ROOM = {("samsung-sds", "H100"): 200, ("elice-cloud", "H100"): 400, ("elice-cloud", "A100"): 80}
ROOM["kt-cloud", "H200"] = 400


@pytest.mark.parametrize("path", [FIRST, EXTRA], ids=["first", "extra"])
def test_each_sample_list_fits_by_itself(path, clusters):
    assert all(max(total) <= ROOM[pool] for pool, total in sums(LISTED[path]).items())
    assert excesses(allocations([path], clusters), clusters) == []


def test_both_sample_lists_together_exceed_two_pools(clusters):
    both = sums(LISTED[FIRST] + LISTED[EXTRA])
    assert {pool: total[1] - ROOM[pool] for pool, total in both.items() if total[1] > ROOM[pool]} == {
        ("samsung-sds", "H100"): 7,
        ("elice-cloud", "H100"): 34,
    }
    assert all(january <= ROOM[pool] for pool, (january, _) in both.items())
    holders = {pool: tuple(sorted(row[4] for row in LISTED[FIRST] + LISTED[EXTRA] if row[:2] == pool)) for pool in both}
    elice, samsung = excesses(allocations([FIRST, EXTRA], clusters), clusters)
    assert str(samsung) == (
        "samsung-sds H100: 207 GPUs allocated of 200, 7 too many (7 H100-equivalents), from 2026-02-01T00:00:00+09:00 "
        f"to 2026-07-01T00:00:00+09:00 by {len(holders['samsung-sds', 'H100'])} awards; "
        "forfeit or reduce awards, or move them to another provider"
    )
    assert str(elice) == (
        "elice-cloud H100: 434 GPUs allocated of 400, 34 too many (34 H100-equivalents), from "
        f"2026-02-01T00:00:00+09:00 to 2026-07-01T00:00:00+09:00 by {len(holders['elice-cloud', 'H100'])} awards; "
        "forfeit or reduce awards, or move them to another provider"
    )
    assert samsung.award_ids == holders["samsung-sds", "H100"]
    assert elice.award_ids == holders["elice-cloud", "H100"]


def test_forfeited_and_reduced_awards_make_room_for_the_second_list(clusters):
    february = datetime.fromisoformat("2026-02-01T00:00:00+09:00")
    events, freed = [], {("samsung-sds", "H100"): -7, ("elice-cloud", "H100"): -34}
    for provider, model, gpus, _, award_id in LISTED[FIRST]:
        if freed.get((provider, model), 0) < 0:
            events.append(forfeited(award_id, february))
            freed[provider, model] += gpus
    assert excesses(allocations([FIRST, EXTRA], clusters, events), clusters) == []
    late = [event.model_copy(update={"at": event.at + timedelta(hours=1)}) for event in events]
    assert {excess.end for excess in excesses(allocations([FIRST, EXTRA], clusters, late), clusters)} == {late[0].at}
    assert len(excesses(allocations([FIRST, EXTRA], clusters, events[:-1]), clusters)) == 1
    big = next(row for row in LISTED[FIRST] if row[0] == "samsung-sds" and row[2] >= 16)
    events = [event for event in events if event.award in {row[4] for row in LISTED[FIRST] if row[0] == "elice-cloud"}]
    enough, short = (reduced(big[4], february, big[2] - less) for less in (7, 6))
    assert excesses(allocations([FIRST, EXTRA], clusters, [*events, enough]), clusters) == []
    (excess,) = excesses(allocations([FIRST, EXTRA], clusters, [*events, short]), clusters)
    assert excess.excess == 1
