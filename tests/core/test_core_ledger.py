"""The ledger's events, and the allocations that follow from them."""

import itertools
import json
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import (
    JANUARY,
    JULY,
    MARCH,
    SEOUL,
    accepted,
    award,
    events,
    extended,
    forfeited,
    histories,
    history,
    late_extensions,
    reduced,
    unlisted,
)

from gpuprov.core.award import Status
from gpuprov.core.ledger import EVENT, LedgerMark, Unlisted, lost, mark

SHORT = award(quantity=16, last_day=date(2026, 1, 7))
HOUR = timedelta(hours=1)
SAMPLES = [JANUARY + HOUR * hour for hour in range(-96, 24 * 22)]


def day(number):
    return datetime(2026, 1, number, tzinfo=SEOUL)


def simulate(award, happened):
    """What the award holds in each sampled hour: each event's effect is painted over the hours, one after another."""
    held = {at: award.quantity if at.date() <= award.last_day and at >= JANUARY else 0 for at in SAMPLES}
    end = datetime(2026, 1, 8, tzinfo=SEOUL)
    quantity = award.quantity
    for event in sorted(happened, key=lambda event: event.at):
        if event.event == "forfeited":
            return {at: 0 if at >= event.at else gpus for at, gpus in held.items()}
        if event.event == "reduced":
            quantity = min(quantity, event.quantity)
            held = {at: min(gpus, quantity) if at >= event.at else gpus for at, gpus in held.items()}
        if event.event == "extended" and event.at < end:
            end = max(JANUARY, datetime(event.last_day.year, event.last_day.month, event.last_day.day, tzinfo=SEOUL))
            if event.last_day >= JANUARY.date():
                end += timedelta(days=1)
            known = [(at, gpus) for at, gpus in held.items() if gpus]
            for at in SAMPLES:
                if JANUARY <= at < end:
                    before = [gpus for when, gpus in known if when <= at]
                    held[at] = (min(before[-1], quantity) if at >= event.at else before[-1]) if before else quantity
                else:
                    held[at] = 0
    return held


@settings(max_examples=150)
@given(events())
@example([reduced("HPC-1", day(3), 4), reduced("HPC-1", day(5), 8)])
@example([extended("HPC-1", day(3), date(2026, 1, 12)), forfeited("HPC-1", day(10))])
@example([extended("HPC-1", day(3), date(2026, 1, 1)), reduced("HPC-1", day(4), 2)])
@example([forfeited("HPC-1", day(3)), extended("HPC-1", day(4), date(2026, 1, 12))])
def test_what_an_award_holds_in_every_hour(happened):
    told = history(SHORT, happened)
    for at, gpus in simulate(SHORT, happened).items():
        held = told.at(at)
        assert (held.gpus if held else 0) == gpus, at


@settings(max_examples=150)
@given(events())
def test_allocations_follow_each_other_without_gap_or_overlap(happened):
    told = history(SHORT, happened)
    parts = told.allocations
    for part in parts:
        assert part.start < part.end
        assert 1 <= part.gpus <= SHORT.quantity
        assert (part.award_id, part.provider, part.model) == (SHORT.id, SHORT.provider, SHORT.model)
    assert all(earlier.end == other.start for earlier, other in itertools.pairwise(parts))
    assert [part.gpus for part in parts] == sorted((part.gpus for part in parts), reverse=True)
    if parts:
        assert (parts[0].start, parts[-1].end) == (told.term.start, told.term.end)
    else:
        assert told.term.start == told.term.end


@given(events(), events())
def test_nothing_counts_after_a_forfeiture(before, after):
    gone = forfeited("HPC-1", day(4))
    before = [event for event in before if event.at <= gone.at]
    after = [event for event in after if event.at > gone.at]
    told = history(SHORT, [*before, gone])
    assert told == history(SHORT, [*before, gone, *after])
    assert all(told.at(at) is None for at in SAMPLES if at >= gone.at)
    assert told.forfeited is not None


@given(events(), st.randoms())
def test_lines_may_stand_in_any_order_if_their_instants_differ(happened, random):
    happened = list({event.at: event for event in happened}.values())
    shuffled = list(happened)
    random.shuffle(shuffled)
    assert history(SHORT, happened) == history(SHORT, shuffled)


@given(events(), events(("OTHER", "hpc-1")))
def test_events_on_other_awards_do_not_count(mine, others):
    assert history(SHORT, [*others, *mine]) == history(SHORT, mine)


@given(events(("A", "B", "C")))
def test_histories_are_those_of_each_award_in_the_order_of_the_list(happened):
    awards = [award(name, last_day=date(2026, 1, 7)) for name in "CAB"]
    assert histories(awards, happened) == tuple(history(listed, happened) for listed in awards)


@pytest.mark.parametrize("status", [Status.WAITLISTED, Status.FORFEITED])
def test_only_a_selected_award_is_allocated(status):
    assert history(award(status=status), [extended("HPC-1", MARCH, date(2026, 12, 31))]).allocations == ()


def test_an_award_without_events_holds_its_quantity_for_its_term():
    (only,) = history(award(quantity=8), []).allocations
    assert (only.gpus, only.start, only.end) == (8, JANUARY, JULY)


def test_acceptance_changes_nothing():
    assert history(award(), [accepted("HPC-1", MARCH)]) == history(award(), [])


def test_a_reduction_never_raises():
    told = history(award(quantity=8), [reduced("HPC-1", MARCH, 2), reduced("HPC-1", MARCH + HOUR, 6)])
    assert [told.at(at).gpus for at in (MARCH - HOUR, MARCH, MARCH + 2 * HOUR)] == [8, 2, 2]


def test_a_reduction_before_the_term_counts_from_its_first_instant():
    told = history(award(quantity=8), [reduced("HPC-1", JANUARY - HOUR, 3)])
    assert [(part.gpus, part.start) for part in told.allocations] == [(3, JANUARY)]


def test_events_of_one_instant_apply_as_they_were_written():
    extension = extended("HPC-1", MARCH, date(2026, 12, 31))
    again = extended("HPC-1", MARCH, date(2026, 9, 30))
    assert history(award(), [extension, again]).term.end == datetime(2026, 10, 1, tzinfo=SEOUL)
    assert history(award(), [again, extension]).term.end == datetime(2027, 1, 1, tzinfo=SEOUL)


@pytest.mark.parametrize(("late", "counts"), [(timedelta(microseconds=-1), True), (timedelta(0), False), (HOUR, False)])
def test_an_extension_counts_only_while_the_term_runs(late, counts):
    told = history(award(), [extended("HPC-1", JULY + late, date(2026, 9, 30))])
    assert told.term.end == (datetime(2026, 10, 1, tzinfo=SEOUL) if counts else JULY)


def test_a_second_extension_counts_while_the_first_one_runs():
    late = [
        extended("HPC-1", MARCH, date(2026, 7, 31)),
        extended("HPC-1", datetime(2026, 7, 20, tzinfo=SEOUL), date(2026, 8, 31)),
    ]
    assert history(award(), late).term.end == datetime(2026, 9, 1, tzinfo=SEOUL)
    assert history(award(), late[1:]).term.end == JULY


@pytest.mark.parametrize("at", [JANUARY - HOUR, JANUARY])
def test_an_award_given_up_before_its_term_never_holds_anything(at):
    told = history(award(), [forfeited("HPC-1", at)])
    assert told.allocations == ()
    assert told.forfeited.at == at


def test_instants_of_other_time_zones_are_the_same_instants():
    utc = MARCH.astimezone(UTC)
    assert history(award(), [forfeited("HPC-1", utc)]).term == history(award(), [forfeited("HPC-1", MARCH)]).term


@given(events())
def test_every_event_survives_its_line(happened):
    for event in happened:
        line = EVENT.dump_json(event)
        assert b"\n" not in line
        again = EVENT.validate_json(line)
        assert again == event
        assert type(again) is type(event)
        assert EVENT.dump_json(again) == line


GOOD = {
    "event": "reduced",
    "award": "HPC-1",
    "at": "2026-03-01T12:00:00+09:00",
    "by": "operator",
    "reason": "as decided",
    "recorded": "2026-03-01T12:00:00+09:00",
    "quantity": 4,
}


def test_a_good_line_is_read():
    event = EVENT.validate_python(GOOD)
    assert (event.event, event.at, event.quantity) == ("reduced", MARCH, 4)


@pytest.mark.parametrize(
    "bad",
    [
        {"event": "forgiven"},
        {"event": "forfeited"},  # which has no quantity
        {"event": None},
        {"surprise": 1},
        {"at": "2026-03-01T12:00:00"},
        {"at": "2026-03-01"},
        {"recorded": "2026-03-01T12:00:00"},
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 4.0},
        {"quantity": "4"},
        {"quantity": None},
        {"award": ""},
        {"award": "A:B"},
        {"by": ""},
        {"reason": ""},
    ],
)
def test_a_line_that_is_not_understood_is_refused(bad):
    with pytest.raises(ValidationError):
        EVENT.validate_python(GOOD | bad)


@pytest.mark.parametrize("missing", GOOD)
def test_no_field_may_be_left_out(missing):
    with pytest.raises(ValidationError):
        EVENT.validate_python({name: value for name, value in GOOD.items() if name != missing})


def test_a_last_day_that_means_forever_is_refused_or_works():
    try:
        forever = extended("HPC-1", MARCH, date(9999, 12, 31))
    except ValidationError:
        return
    assert history(award(), [forever]).at(MARCH).gpus == 8


# The mark of what was applied.

LEDGERS = events(("A", "B", "C"))


@given(LEDGERS, LEDGERS)
def test_appending_to_what_was_applied_never_loses_it(applied, more):
    assert lost([*applied, *more], mark(applied)) is None


@given(LEDGERS.filter(bool), LEDGERS, st.data())
def test_a_removed_line_of_what_was_applied_is_a_loss(applied, more, data):
    place = data.draw(st.integers(0, len(applied) - 1))
    events = [*applied[:place], *applied[place + 1 :], *more]
    assume(events[: len(applied)] != applied)  # it may be that what came since says the same
    assert lost(events, mark(applied)) is not None


@given(LEDGERS.filter(bool), LEDGERS, events(("A", "B", "C", "D")).filter(bool), st.data())
def test_an_edited_line_of_what_was_applied_is_a_loss(applied, more, others, data):
    place = data.draw(st.integers(0, len(applied) - 1))
    changed = data.draw(
        st.sampled_from(
            [
                others[0],
                applied[place].model_copy(update={"by": "somebody"}),
                applied[place].model_copy(update={"reason": "as decided "}),
                applied[place].model_copy(update={"recorded": applied[place].recorded + timedelta(microseconds=1)}),
                applied[place].model_copy(update={"at": applied[place].at - HOUR}),
            ]
        )
    )
    assume(changed != applied[place])
    assert lost([*applied[:place], changed, *applied[place + 1 :], *more], mark(applied)) is not None


@given(LEDGERS, LEDGERS, st.randoms())
def test_lines_in_another_order_are_a_loss_where_they_were_applied(applied, more, random):
    shuffled = list(applied)
    random.shuffle(shuffled)
    assert (lost([*shuffled, *more], mark(applied)) is None) == (shuffled == applied)


@given(LEDGERS)
def test_a_mark_says_what_events_say_and_not_how_they_are_written(happened):
    elsewhere = [
        EVENT.validate_python(event.model_dump() | {"at": event.at.astimezone(UTC), "recorded": event.recorded})
        for event in happened
    ]
    read_again = [EVENT.validate_json(EVENT.dump_json(event)) for event in happened]
    assert mark(elsewhere) == mark(read_again) == mark(happened)


@given(LEDGERS)
def test_a_mark_survives_the_outputs_of_a_stack(happened):
    made = mark(happened)
    data = json.loads(json.dumps(made.to_json()))
    assert data == {"events": len(happened), "sha256": made.sha256}
    assert LedgerMark.from_json(data) == LedgerMark.from_json(data | {"events": float(len(happened))}) == made


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"events": 1},
        {"sha256": "x"},
        {"events": "1", "sha256": "x"},
        {"events": -1, "sha256": "x"},
        {"events": 1.5, "sha256": "x"},
        {"events": float("inf"), "sha256": "x"},
        {"events": 1, "sha256": None},
    ],
)
def test_what_is_no_mark_is_refused(data):
    with pytest.raises(ValueError, match="is not a mark of a ledger"):
        LedgerMark.from_json(data)


def test_a_loss_says_how_much_is_missing_and_what_to_do():
    applied = mark([accepted("A", MARCH), reduced("A", MARCH, 4), forfeited("A", MARCH)])
    missing, edited = lost([accepted("A", MARCH)], applied), lost([accepted("A", MARCH)] * 4, applied)
    assert missing.startswith("the ledger has 1 event where 3 were applied, 2 are missing; ")
    assert edited.startswith("the ledger does not begin with the 3 events that were applied: lines were changed, ")
    for text in (missing, edited):
        assert text.endswith(
            "Restore the file from git; only if it is meant, confirm with `gpuprov up --accept-ledger`"
        )
    assert lost([], mark([])) is None
    assert lost([], applied).startswith("the ledger has 0 events where 3 were applied, 3 are missing")


# Extensions that come too late.

SEPTEMBER = date(2026, 9, 30)


def late(award, *happened):
    return dict(late_extensions([award], happened))


def test_an_extension_at_the_end_of_the_term_is_told_with_what_to_do():
    happened = [accepted("HPC-1", MARCH), extended("HPC-1", JULY, SEPTEMBER)]
    assert late(award(), *happened) == {
        1: (
            "extended of HPC-1 to 2026-09-30 takes effect at 2026-07-01T00:00+09:00 and counts for nothing: "
            "the term ended at 2026-07-01T00:00+09:00; grant a new award, with an id and a row of its own; if it was "
            "decided before that end, append the line again with that instant as its `at`"
        )
    }


def test_the_advice_for_a_late_extension_makes_it_count():
    happened = [extended("HPC-1", JULY, SEPTEMBER), extended("HPC-1", JULY - HOUR, SEPTEMBER)]
    assert late(award(), *happened) == {}
    assert history(award(), happened).term.end == datetime(2026, 10, 1, tzinfo=SEOUL)


def test_an_extension_after_a_forfeiture_is_told():
    (text,) = late(award(), forfeited("HPC-1", MARCH), extended("HPC-1", MARCH + HOUR, SEPTEMBER)).values()
    assert "the award was forfeited at 2026-03-01T12:00+09:00, which is final; grant a new award" in text


def test_an_extension_that_a_later_line_forfeits_is_no_mistake():
    assert late(award(), extended("HPC-1", MARCH + HOUR, SEPTEMBER), forfeited("HPC-1", MARCH)) == {}


@given(events(("HPC-1", "OTHER")))
def test_an_extension_is_told_exactly_if_it_changes_nothing_and_no_later_line_overtook_it(happened):
    """Its place is that among all events; without it the award's history is the same."""
    happened = [event for index, event in enumerate(happened) if event not in happened[:index]]
    told = late(SHORT, *happened)
    whole = history(SHORT, happened)
    for place, event in enumerate(happened):
        if place in told:
            assert (event.event, event.award) == ("extended", "HPC-1")
            assert history(SHORT, [*happened[:place], *happened[place + 1 :]]) == whole
        elif event.event == "extended" and event.award == "HPC-1":
            since = [line for line in happened[place + 1 :] if line.event == "forfeited" and line.award == "HPC-1"]
            counted = simulated_end([line for line in happened if line.at <= event.at and line.award == "HPC-1"], event)
            assert counted or any(line.at <= event.at for line in since)


def simulated_end(happened, extension):
    """True where the extension came before the end that the events before it left."""
    end = datetime(2026, 1, 8, tzinfo=SEOUL)
    for event in sorted(happened, key=lambda event: event.at):
        if event is extension:
            return event.at < end
        if event.event == "forfeited":
            return False
        if event.event == "extended" and event.at < end:
            end = max(JANUARY, datetime.combine(event.last_day, time.min, SEOUL) + timedelta(days=1))
    raise AssertionError("the extension is not among the events")


# Awards that only the ledger knows.


def test_awards_that_no_list_has_are_told_with_what_the_ledger_decided():
    end = forfeited("GONE", MARCH)
    happened = [
        reduced("REDUCED", MARCH, 3),
        extended("CUT", MARCH, date(2026, 3, 31)),
        forfeited("LISTED", MARCH),
        extended("GONE", MARCH - HOUR, SEPTEMBER),
        end,
        extended("GONE", MARCH + HOUR, date(2026, 12, 31)),
        forfeited("GONE", MARCH + HOUR),
    ]
    assert unlisted({"LISTED"}, happened) == (
        Unlisted(award_id="REDUCED", zone=SEOUL, forfeited=None, end=None),
        Unlisted(award_id="CUT", zone=SEOUL, forfeited=None, end=datetime(2026, 4, 1, tzinfo=SEOUL)),
        Unlisted(award_id="GONE", zone=SEOUL, forfeited=end, end=datetime(2026, 10, 1, tzinfo=SEOUL)),
    )


@given(events())
def test_without_its_row_an_award_is_never_ended_earlier_than_with_it(happened):
    with_row = history(SHORT, happened)
    for told in unlisted((), happened):
        assert told.forfeited == with_row.forfeited
        if told.end is not None and told.forfeited is None:
            assert told.end >= with_row.term.end or with_row.term.end == JANUARY
