"""What is played in a round follows from the seed and its number, fits the pool, and plays every kind as often."""

from itertools import islice, pairwise

from faults import KINDS
from hypothesis import given
from hypothesis import strategies as st
from operators import CAPACITY
from script import AWARDS, LATEST, TEARDOWNS, scripts

SEEDS = st.integers(0, 10**6)


def played(seed, rounds=30, kinds=tuple(KINDS)):
    return list(islice(scripts(seed, kinds), rounds))


@given(SEEDS)
def test_the_same_seed_is_the_same_rounds(seed):
    assert played(seed) == played(seed)
    assert [script.dice.random() for script in played(seed, 3)] == [script.dice.random() for script in played(seed, 3)]


@given(SEEDS)
def test_lists_fit_the_pool_and_change_from_round_to_round(seed):
    scripted = played(seed)
    assert sum(script.before == script.rows for script in scripted) < len(scripted) / 4
    for script in scripted:
        for rows in (script.before, script.rows):
            assert 0 < sum(row.gpus for row in rows if row.status == "selected") <= CAPACITY
            assert len(rows) <= AWARDS
            assert len({row.award_id for row in rows}) == len(rows)
        assert script.then < script.at or script.number % 1800 == 0
        assert 0 < script.moment <= LATEST


@given(SEEDS)
def test_a_round_begins_with_the_list_that_the_one_before_has_left_but_for_what_it_recorded(seed):
    scripted = played(seed)
    for one, following in pairwise(scripted):
        left = {row.award_id for row in one.rows}
        forfeited = {typed.words[1] for typed in one.typed if typed.words[0] == "forfeit"}
        assert {row.award_id for row in following.before} == left - forfeited


@given(SEEDS)
def test_every_kind_comes_once_in_as_many_rounds_as_there_are_kinds(seed):
    numbers = len(KINDS)
    for turn in range(2):
        assert sorted(script.fault for script in played(seed, 2 * numbers)[turn * numbers :][:numbers]) == sorted(KINDS)


@given(SEEDS)
def test_where_a_fault_needs_it_there_is_a_second_operator_or_an_award_that_goes(seed):
    for script in played(seed, 30, ("two operators",)):
        assert len(script.typed) == 2
    for script in played(seed, 30, TEARDOWNS):
        wanted = {row.award_id for row in script.rows if row.status == "selected"}
        assert {row.award_id for row in script.before if row.status == "selected"} - wanted


@given(SEEDS)
def test_the_state_is_shared_between_stacks_as_the_round_before_has_left_it(seed):
    scripted = played(seed)
    assert all(one.shards == following.shards_before for one, following in pairwise(scripted))
    by_hand = [script for script in scripted if script.typed[0].words[0] == "pulumi"]
    assert {(script.shards_before, script.shards) for script in by_hand} <= {(1, 1)}


@given(SEEDS)
def test_only_awards_that_are_there_are_reduced_or_forfeited(seed):
    for script in played(seed):
        for words in (typed.words for typed in script.typed):
            if words[0] in ("forfeit", "reduce"):
                assert words[1] in {row.award_id for row in script.rows if row.status == "selected"}
