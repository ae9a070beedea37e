"""Plans that take back: why a tenant goes, and whether that was to be expected."""

from datetime import date, timedelta

import pytest
from plans import CLUSTERS, KT, SDS, edited, only, plan
from strategies import JULY, MARCH, award, extended, forfeited, histories, live, seen, tenant, unlisted

from gpuprov.core.plan import Loss, Op, make_plan
from gpuprov.core.tenant import desired_state


def _promise(text):
    def edit(namespace):
        namespace["metadata"]["annotations"]["gpuprov.dev/term-end"] = text

    return edit


HERE = live(tenant(where=SDS), SDS, used=5)
ENDED = "term ended at 2026-07-01T00:00+09:00"
SHORTENED = award(last_day=date(2026, 2, 28))


@pytest.mark.parametrize(
    ("awards", "events", "at", "there", "because"),
    [
        ([award()], [], JULY, HERE, (True, ENDED)),
        (
            [award()],
            [forfeited("HPC-1", MARCH)],
            MARCH,
            HERE,
            (True, "forfeited at 2026-03-01T12:00+09:00 by operator: as decided"),
        ),
        (
            [SHORTENED],
            [],
            MARCH,
            HERE,
            (False, "term ended at 2026-03-01T00:00+09:00; the cluster was promised 2026-07-01T00:00+09:00"),
        ),
        ([], [], MARCH, HERE, (False, "not in the award list")),
        ([], [], JULY, HERE, (True, "not in the award list")),  # the end that it was promised has come
        ([award(status="waitlisted")], [], JULY, HERE, (True, "waitlisted in the award list")),
        ([award(status="waitlisted")], [], MARCH, HERE, (False, "waitlisted in the award list")),
        ([award(status="forfeited")], [], MARCH, HERE, (False, "forfeited in the award list")),
        (
            [award(first_day=date(2026, 4, 1))],
            [],
            MARCH,
            HERE,
            (False, "term starts at 2026-04-01T00:00+09:00"),
        ),
        ([award(quantity=8, model="H200", provider="kt-cloud")], [], MARCH, HERE, (False, "now at kt-cloud")),
        (
            [award()],
            [],
            JULY,
            edited(HERE, "Namespace", _promise("soon")),
            (False, ENDED + "; its namespace does not say what end was promised"),
        ),
        (
            [award()],
            [],
            JULY,
            edited(HERE, "Namespace", _promise("2026-06-30T23:00:00")),
            (False, ENDED + "; its namespace does not say what end was promised"),
        ),
        ([award()], [], JULY, edited(HERE, "Namespace", _promise("2026-06-30T15:00:00+00:00")), (True, ENDED)),
        (
            [award()],
            [],
            JULY,
            edited(HERE, "Namespace", _promise("2026-06-30T15:00:01+00:00")),
            (False, ENDED + "; the cluster was promised 2026-06-30T15:00+00:00"),
        ),
    ],
)
def test_why_a_tenant_goes_and_whether_that_was_to_be_expected(awards, events, at, there, because):
    change = only(awards, there, at=at, events=events)
    assert (change.op, change.before, change.after, change.used) == (Op.RECLAIM, 8, 0, 5)
    assert (change.expected, *change.reasons) == because


def test_a_term_that_the_ledger_shortened_is_expected_to_end():
    events = [extended("HPC-1", MARCH - timedelta(days=10), date(2026, 2, 28))]
    assert only([award()], HERE, events=events).expected


def test_an_ended_award_is_recognised_by_its_namespace_alone():
    def forget(namespace):
        del namespace["metadata"]["annotations"]["gpuprov.dev/award-id"]

    change = only([award()], edited(HERE, "Namespace", forget), at=JULY)
    assert (change.award_id, change.expected, change.reasons) == ("HPC-1", True, (ENDED,))


def test_a_moved_award_is_created_there_and_reclaimed_here():
    listed = [award(quantity=8, model="H200", provider="kt-cloud")]
    made = plan(listed, seen(SDS, HERE), seen(KT))
    assert [(change.provider, change.op, change.model) for change in made.changes] == [
        ("kt-cloud", Op.CREATE, "H200"),
        ("samsung-sds", Op.RECLAIM, "H100"),
    ]
    assert made.on("kt-cloud") == made.changes[:1]


def test_a_reclaimed_tenant_is_counted_in_its_own_model():
    change = only([], live(tenant("HPC-1", 12, SDS, "A100"), SDS, used=4))
    assert (change.model, change.before, change.used) == ("A100", 12, 4)


# The end that a cluster was promised.

LATER = extended("HPC-1", MARCH, date(2026, 8, 31))
SOON_OVER = JULY + timedelta(days=9)
LISTED = {
    "gone": [],
    "waitlisted": [award(status="waitlisted")],
    "forfeited": [award(status="forfeited")],
    "at another supplier": [award(quantity=8, model="H200", provider="kt-cloud", last_day=date(2026, 12, 31))],
    "of another model": [award(quantity=32, model="A100", last_day=date(2026, 12, 31))],
}


@pytest.mark.parametrize("listed", LISTED)
def test_the_promised_end_explains_a_teardown_unless_the_ledger_has_a_later_one(listed):
    """A cluster that was down when the term was extended still has the old promise, and the awardee a new one."""
    awards = LISTED[listed]
    for events, expected in (([], True), ([LATER], False)):
        known = {award.id for award in awards}
        state = desired_state(histories(awards, events), [SDS, KT], SOON_OVER, unlisted(known, events))
        changes = make_plan(state, [seen(SDS, HERE), seen(KT)], CLUSTERS).on("samsung-sds")
        ((op, is_expected, reason),) = [(change.op, change.expected, change.reasons[0]) for change in changes]
        assert (op, is_expected) == (Op.RECLAIM, expected), reason
        assert reason.endswith("; the ledger extends it to 2026-09-01T00:00+09:00") is not expected


def test_a_change_of_model_within_the_promised_term_is_a_loss():
    change = only(LISTED["of another model"], HERE)
    assert (change.op, change.loss) == (Op.RECLAIM, Loss.MODEL)
