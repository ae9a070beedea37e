"""What `forfeit` and `reduce` write to the ledger, decided on the awards as they stand."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    HOURS,
    JANUARY,
    JULY,
    MARCH,
    accepted,
    award,
    events,
    extended,
    forfeited,
    histories,
    reduced,
    unlisted,
)

from gpuprov.core.decisions import Decision, find, forfeit, reduce
from gpuprov.core.ledger import Forfeited, Reduced
from gpuprov.errors import InputError

TICK = timedelta(microseconds=1)
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
WHO = {"by": "kim", "reason": "과제 중단", "recorded": NOW}
SHORT = award(quantity=16, last_day=date(2026, 1, 7))


def stands(*happened, listed=None):
    return histories([listed or award()], happened)


def problems(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return [(problem.value, problem.message, problem.remedy) for problem in caught.value.problems]


# ---- forfeit


def test_a_forfeiture_is_one_event_with_all_that_was_said():
    told = histories([award("A"), award("B"), award("C")], [])
    assert forfeit(told, ["B", "A", "B"], at=MARCH, **WHO) == Decision(
        award_ids=("B", "A"),
        events=(Forfeited(award="B", at=MARCH, **WHO), Forfeited(award="A", at=MARCH, **WHO)),
        notes=(),
    )


@pytest.mark.parametrize("before", [MARCH, MARCH - TICK, JANUARY - TICK])
def test_an_award_that_is_forfeited_by_then_gets_a_note_and_no_event(before):
    decided = forfeit(stands(forfeited("HPC-1", before)), ["HPC-1"], at=MARCH, **WHO)
    assert (decided.award_ids, decided.events) == (("HPC-1",), ())
    (note,) = decided.notes
    assert note == f"HPC-1 is forfeited from {before.isoformat()} on already, by operator: as decided"


def test_an_award_that_is_to_be_forfeited_can_be_forfeited_earlier_and_not_later_once_more():
    told = stands(forfeited("HPC-1", MARCH))
    assert [event.at for event in forfeit(told, ["HPC-1"], at=MARCH - TICK, **WHO).events] == [MARCH - TICK]
    assert forfeit(told, ["HPC-1"], at=JULY, **WHO).events == ()


@pytest.mark.parametrize("status", ["selected", "waitlisted", "forfeited"])
def test_the_ledger_can_forfeit_what_the_list_has_marked(status):
    (event,) = forfeit(stands(listed=award(status=status)), ["HPC-1"], at=MARCH, **WHO).events
    assert (event.award, event.at) == ("HPC-1", MARCH)


@pytest.mark.parametrize(
    ("happened", "end"),
    [
        ([], JULY),
        ([extended("HPC-1", MARCH, date(2026, 7, 31))], JULY + timedelta(days=31)),
        ([extended("HPC-1", MARCH, date(2026, 4, 30))], datetime.fromisoformat("2026-05-01T00:00+09:00")),
        ([reduced("HPC-1", MARCH, 2)], JULY),
    ],
)
def test_a_forfeiture_comes_before_the_end_of_the_term_as_the_ledger_has_it(happened, end):
    assert len(forfeit(stands(*happened), ["HPC-1"], at=end - TICK, **WHO).events) == 1
    for at in (end, end + TICK):
        ((value, message, remedy),) = problems(forfeit, stands(*happened), ["HPC-1"], at=at, **WHO)
        assert (value, message) == (
            "HPC-1",
            f"its term ends at {end.isoformat()}, so it has nothing at {at.isoformat()}",
        )
        assert remedy == (
            "if it was decided before the end, name that instant with --at; what has ended `gpuprov expire` takes back"
        )


def test_every_award_whose_term_has_ended_is_told():
    told = histories([award("A"), award("B", last_day=date(2026, 2, 28)), award("C", last_day=date(2026, 1, 1))], [])
    assert [value for value, *_ in problems(forfeit, told, ["A", "B", "C"], at=MARCH, **WHO)] == ["B", "C"]


def test_a_forfeiture_before_the_term_keeps_the_award_from_starting():
    told = stands()
    (event,) = forfeit(told, ["HPC-1"], at=JANUARY - TICK, **WHO).events
    assert stands(event)[0].allocations == ()


@given(events(), HOURS)
def test_a_forfeiture_decided_again_on_what_it_wrote_writes_nothing_more(happened, at):
    told = stands(*happened, listed=SHORT)
    try:
        decided = forfeit(told, ["HPC-1"], at=at, **WHO)
    except InputError:
        assert told[0].at(at) is None
        return
    after = stands(*happened, *decided.events, listed=SHORT)
    assert after[0].at(at) is None
    assert after[0].forfeited is not None
    again = forfeit(after, ["HPC-1"], at=at, **WHO)
    assert (again.award_ids, again.events, len(again.notes)) == (("HPC-1",), (), 1)


# ---- reduce


def test_a_reduction_is_one_event_with_all_that_was_said():
    assert reduce(stands(), "HPC-1", 3, at=MARCH, **WHO) == Decision(
        award_ids=("HPC-1",), events=(Reduced(award="HPC-1", at=MARCH, quantity=3, **WHO),), notes=()
    )


@pytest.mark.parametrize("happened", [[], [reduced("HPC-1", MARCH - TICK, 4)], [reduced("HPC-1", MARCH, 4)]])
def test_as_many_as_the_award_has_by_then_is_a_note_and_no_event(happened):
    gpus = 4 if happened else 8
    decided = reduce(stands(*happened), "HPC-1", gpus, at=MARCH, **WHO)
    assert (decided.award_ids, decided.events) == (("HPC-1",), ())
    assert decided.notes == (f"HPC-1 has {gpus} H100 at {MARCH.isoformat()} already",)


def test_a_reduction_to_come_is_not_written_twice_and_an_earlier_one_is():
    told = stands(reduced("HPC-1", MARCH, 4))
    assert reduce(told, "HPC-1", 4, at=MARCH + TICK, **WHO).events == ()
    assert [event.at for event in reduce(told, "HPC-1", 4, at=MARCH - TICK, **WHO).events] == [MARCH - TICK]


@pytest.mark.parametrize(("happened", "holds"), [([], 8), ([reduced("HPC-1", MARCH, 4)], 4)])
def test_a_reduction_to_more_than_the_award_has_is_refused(happened, holds):
    found = problems(reduce, stands(*happened), "HPC-1", holds + 1, at=MARCH, **WHO)
    assert found == [("HPC-1", f"has {holds} H100 at {MARCH.isoformat()}", "reduce to less, or forfeit it")]


def test_a_reduction_before_the_term_lets_it_start_with_fewer():
    (event,) = reduce(stands(), "HPC-1", 3, at=JANUARY - TICK, **WHO).events
    assert stands(event)[0].at(JANUARY).gpus == 3
    found = problems(reduce, stands(), "HPC-1", 9, at=JANUARY - TICK, **WHO)
    assert found[0][1] == f"has 8 H100 at {JANUARY.isoformat()}"
    assert reduce(stands(event), "HPC-1", 3, at=JANUARY - TICK, **WHO).events == ()


EARLIER = "if it was decided before the end, name that instant with --at"
GONE = "it has no GPUs left to reduce"
SELECTED = "only a selected award has GPUs to reduce"


@pytest.mark.parametrize(
    ("listed", "happened", "at", "message", "remedy"),
    [
        (award(), [], JULY, f"its term ends at {JULY.isoformat()}, so it has nothing at {JULY.isoformat()}", EARLIER),
        (award(), [forfeited("HPC-1", MARCH)], MARCH, f"is forfeited from {MARCH.isoformat()} on, by operator", GONE),
        (award(), [forfeited("HPC-1", JANUARY - TICK)], JANUARY - TICK, "is forfeited from 2025-12-31T23:59:59", GONE),
        (award(), [forfeited("HPC-1", JANUARY)], JANUARY - TICK, "is forfeited from 2026-01-01T00:00:00+09:00", GONE),
        (award(status="waitlisted"), [], MARCH, "has nothing: it is waitlisted in the award list", SELECTED),
        (award(status="forfeited"), [], MARCH, "has nothing: it is forfeited in the award list", SELECTED),
    ],
)
def test_an_award_that_has_nothing_then_cannot_be_reduced(listed, happened, at, message, remedy):
    ((value, told, advice),) = problems(reduce, stands(*happened, listed=listed), "HPC-1", 1, at=at, **WHO)
    assert (value, told.startswith(message), advice.startswith(remedy)) == ("HPC-1", True, True), (told, advice)


@given(events(), HOURS, st.integers(1, 20))
def test_a_reduction_decided_again_on_what_it_wrote_writes_nothing_more(happened, at, gpus):
    told = stands(*happened, listed=SHORT)
    begun = max(at, JANUARY)
    try:
        decided = reduce(told, "HPC-1", gpus, at=at, **WHO)
    except InputError:
        held = told[0].at(begun)
        assert held is None or held.gpus < gpus
        return
    after = stands(*happened, *decided.events, listed=SHORT)
    assert after[0].at(begun).gpus == gpus
    again = reduce(after, "HPC-1", gpus, at=at, **WHO)
    assert (again.award_ids, again.events, len(again.notes)) == (("HPC-1",), (), 1)


# ---- awards that are not there


def test_unknown_awards_are_all_told_with_those_that_are_like_them():
    told = histories([award("HPC-2026-1-001"), award("HPC-2026-1-002"), award("과제-7")], [])
    found = problems(find, told, ["HPC-2026-1-010", "과제-7", "과제-8", "zzz", "zzz"])
    assert found == [
        ("HPC-2026-1-010", "is in no award list", "check the award id; did you mean HPC-2026-1-001 or HPC-2026-1-002?"),
        ("과제-8", "is in no award list", "check the award id; did you mean 과제-7?"),
        ("zzz", "is in no award list", "check the award id"),
    ]
    assert problems(forfeit, told, ["zzz"], at=MARCH, **WHO) == found[2:]
    assert problems(reduce, told, "zzz", 1, at=MARCH, **WHO) == found[2:]


def test_awards_are_found_once_each_in_the_order_in_which_they_were_named():
    told = histories([award("A"), award("B")], [])
    assert find(told, ["B", "A", "B"]) == (told[1], told[0])


# ---- awards that only the ledger knows


def gone(*happened):
    """What the ledger says of awards that no list has."""
    return unlisted((), happened)


def test_a_forfeited_award_that_left_the_list_needs_no_event_and_is_taken_back_all_the_same():
    """Its cluster was down when it was forfeited; the next list does not have it any more."""
    told = gone(forfeited("HPC-1", MARCH - TICK))
    decided = forfeit([], ["HPC-1"], unlisted=told, at=MARCH, **WHO)
    assert (decided.award_ids, decided.events) == (("HPC-1",), ())
    assert decided.notes == (
        f"HPC-1 is forfeited from {(MARCH - TICK).isoformat()} on already, by operator: as decided",
    )


@pytest.mark.parametrize(
    "event",
    [
        accepted("HPC-1", JANUARY),
        reduced("HPC-1", JANUARY, 3),
        extended("HPC-1", JANUARY, date(2026, 8, 31)),
        forfeited("HPC-1", MARCH + TICK),
    ],
    ids=lambda event: event.event,
)
def test_an_award_that_only_the_ledger_knows_can_be_forfeited(event):
    decided = forfeit(stands(listed=award("A")), ["A", "HPC-1", "HPC-1"], unlisted=gone(event), at=MARCH, **WHO)
    assert decided.award_ids == ("A", "HPC-1")
    assert [(written.award, written.at) for written in decided.events] == [("A", MARCH), ("HPC-1", MARCH)]
    (after,) = gone(event, decided.events[1])
    assert after.forfeited == decided.events[1]


def test_what_ended_by_the_ledger_has_nothing_to_forfeit_though_no_list_has_it():
    end = datetime.fromisoformat("2026-03-01T00:00+09:00")
    told = gone(extended("HPC-1", JANUARY, date(2026, 2, 28)))
    assert len(forfeit([], ["HPC-1"], unlisted=told, at=end - TICK, **WHO).events) == 1
    ((value, message, _),) = problems(forfeit, [], ["HPC-1"], unlisted=told, at=end, **WHO)
    assert (value, message) == ("HPC-1", f"its term ends at {end.isoformat()}, so it has nothing at {end.isoformat()}")


def test_an_award_that_neither_a_list_nor_the_ledger_has_is_told_with_what_is_like_it():
    told = gone(accepted("HPC-2026-1-001", JANUARY))
    found = problems(
        forfeit, stands(listed=award("HPC-2026-1-002")), ["HPC-2026-1-003"], unlisted=told, at=MARCH, **WHO
    )
    remedy = "check the award id; did you mean HPC-2026-1-001 or HPC-2026-1-002?"
    assert found == [("HPC-2026-1-003", "is in no award list", remedy)]


def test_an_award_that_only_the_ledger_knows_has_nothing_to_reduce():
    assert [value for value, *_ in problems(reduce, [], "HPC-1", 1, at=MARCH, **WHO)] == ["HPC-1"]
