"""The term guard decides by the written end alone: never before the margin, and never by what it cannot read."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import JANUARY, JULY, MARCH, award, cluster, desired, extended, live, seen, tenant

from gpuprov.core.manifests import TERM_END, TERM_START
from gpuprov.core.observed import ObservedTenant
from gpuprov.core.termguard import (
    DEFAULT_MARGIN,
    Rules,
    Step,
    crowded,
    judge,
    margin_on,
    next_step,
    outrun,
    to_do,
    too_many,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = Rules(margin=2 * HOUR, retention=3 * DAY, most=3)
FIRST = datetime.min.replace(tzinfo=UTC)
ANYTIME = st.datetimes(timezones=st.just(UTC))
RULE_SETS = st.builds(
    Rules,
    margin=st.timedeltas(min_value=timedelta(0), max_value=30 * DAY),
    retention=st.none() | st.timedeltas(min_value=timedelta(0), max_value=365 * DAY),
    most=st.integers(1, 5),
)


def written(name="gpu-hpc-1", *, deleted=False, **annotations):
    """A namespace with these annotations beside those that an award has."""
    values = {TERM_START: JANUARY.isoformat(), TERM_END: JULY.isoformat()} | annotations
    metadata = {"name": name, "annotations": {key: value for key, value in values.items() if value is not None}}
    if deleted:
        metadata["deletionTimestamp"] = "2026-07-01T00:00:00Z"
    return ObservedTenant(namespace=name, objects={("Namespace", name): {"metadata": metadata}})


def ending(end, name="gpu-hpc-1"):
    return written(name, **{TERM_START: FIRST.isoformat(), TERM_END: end.isoformat()})


@given(ANYTIME, ANYTIME, RULE_SETS)
@example(datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), RULES)
def test_nothing_is_ended_before_the_margin_and_nothing_deleted_before_the_retention(end, at, rules):
    steps = [item.step for item in judge([ending(end)], at, rules).overdue]
    passed = at - end
    if passed < rules.margin or end == FIRST:
        assert steps == []
    elif rules.retention is None or passed < rules.margin + rules.retention:
        assert steps == [Step.CLOSE]
    else:
        assert steps == [Step.DELETE]


@given(st.lists(ANYTIME, max_size=4), ANYTIME, RULE_SETS)
def test_until_the_next_step_nothing_changes(ends, at, rules):
    tenants = [ending(end, f"gpu-{number}") for number, end in enumerate(ends)]
    step = next_step(tenants, at, rules)
    last = datetime.max.replace(tzinfo=UTC) if step is None else step - timedelta(microseconds=1)
    assert judge(tenants, last, rules) == judge(tenants, at, rules)
    assert step is None or judge(tenants, step, rules) != judge(tenants, at, rules)


@pytest.mark.parametrize(
    ("annotations", "named"),
    [
        ({TERM_END: None}, TERM_END),
        ({TERM_END: ""}, TERM_END),
        ({TERM_END: "30 June"}, TERM_END),
        ({TERM_END: "2026-02-30T00:00:00+09:00"}, TERM_END),
        ({TERM_END: "2026-03-01T00:00:00"}, TERM_END),  # by which clock?
        ({TERM_START: None}, TERM_START),
        ({TERM_START: "2026-01-01"}, TERM_START),
        ({TERM_START: JULY.isoformat()}, TERM_START),
    ],
)
def test_what_cannot_be_read_is_reported_and_never_acted_on(annotations, named):
    verdict = judge([written(**annotations), ending(JANUARY, "gpu-other")], JULY + 300 * DAY, RULES)
    assert [item.namespace for item in verdict.overdue] == ["gpu-other"]
    assert verdict.problems.keys() == {"gpu-hpc-1"}
    assert named in verdict.problems["gpu-hpc-1"]


def test_a_namespace_that_is_being_deleted_is_left_alone():
    verdict = judge([written(deleted=True, **{TERM_END: None}), written("gpu-2", deleted=True)], JULY + 9 * DAY, RULES)
    assert (verdict.overdue, verdict.problems) == ((), {})
    assert next_step([written(deleted=True)], MARCH, RULES) is None


def test_what_is_closed_is_only_deleted():
    overdue = judge([ending(JULY, "gpu-a"), ending(JULY - 9 * DAY, "gpu-b")], JULY + DAY, RULES).overdue
    assert [(item.namespace, item.step) for item in to_do(overdue, {"gpu-a", "gpu-b"})] == [("gpu-b", Step.DELETE)]
    assert to_do(overdue, ()) == overdue


def test_more_than_the_most_at_once_are_refused_and_said_long_before():
    tenants = [ending(JULY, f"gpu-{number}") for number in range(4)]
    assert crowded(tenants, MARCH, RULES) == {JULY: 4}
    assert crowded(tenants[:3], MARCH, RULES) == {}
    assert crowded(tenants, JULY + RULES.margin, RULES) == {}
    overdue = judge(tenants, JULY + RULES.margin, RULES).overdue
    reason = too_many(to_do(overdue, ()), RULES)
    assert reason is not None
    assert "4 awards" in reason
    assert too_many(to_do(overdue, {"gpu-0"}), RULES) is None
    assert too_many((), RULES) is None


# ---- what the ledger promises and the namespace does not say yet


LAST_DAY = MARCH.date() + 30 * DAY
GUARDED = {"termGuard": {"enabled": True, "marginSeconds": 3600}}


def warnings(events, chart_values=GUARDED, at=MARCH):
    """Warn of an award to 31 March, as it was written, which the ledger may extend."""
    where = cluster().model_copy(update={"chart_values": chart_values})
    awards = [award(last_day=LAST_DAY)]
    written_then = live(desired(awards, [where], at).tenants[0], where)
    observed = [seen(where, written_then)]
    found = outrun(desired(awards, [where], at, events), observed, {where.provider: where})
    return [item.sentence for item in found]


def test_a_guard_that_would_end_an_award_before_its_term_is_shouted_about():
    (warning,) = warnings([extended("HPC-1", MARCH, JULY.date() - DAY)])
    assert "samsung-sds: the cluster's term guard ends HPC-1 at 2026-04-01T01:00+09:00" in warning
    assert "its term goes to 2026-07-01T00:00+09:00" in warning
    assert "gpuprov up" in warning


@pytest.mark.parametrize(
    ("events", "chart_values"),
    [
        ([], GUARDED),
        ([extended("HPC-1", MARCH, JULY.date() - DAY)], {}),
        ([extended("HPC-1", MARCH, JULY.date() - DAY)], {"termGuard": {"enabled": False}}),
    ],
)
def test_else_nobody_is_warned(events, chart_values):
    assert warnings(events, chart_values) == []


@pytest.mark.parametrize(
    ("values", "margin"),
    [
        ({}, None),
        ({"termGuard": {}}, None),
        ({"termGuard": None}, None),
        ({"termGuard": {"enabled": True}}, DEFAULT_MARGIN),
        ({"termGuard": {"enabled": True, "marginSeconds": 0}}, timedelta(0)),
        ({"termGuard": {"enabled": True, "marginSeconds": "?"}}, DEFAULT_MARGIN),  # `gpuprov setup` refuses it
    ],
)
def test_the_margin_is_what_the_chart_is_told(values, margin):
    assert margin_on(cluster().model_copy(update={"chart_values": values})) == margin


def test_a_tenant_of_the_strategies_is_one_of_an_award():
    assert judge([live(tenant(), cluster())], MARCH, RULES).problems == {}
