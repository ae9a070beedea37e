"""What a look of the term guard does on a cluster, by what it asks of the API server over real HTTP."""

from datetime import UTC, datetime, timedelta

import pytest
from guarded import MARGIN, RETENTION, guarded
from played_api import RESET
from strategies import JULY, MARCH

from gpuprov.core.manifests import LEASE, TERM_END
from gpuprov.errors import ClusterError, ClusterUnreachable
from gpuprov.kube.leaseobject import HOLDER

DUE, GONE = JULY + MARGIN, JULY + MARGIN + RETENTION
SECOND = timedelta(seconds=1)


@pytest.fixture
def world(tmp_path, monkeypatch):
    with guarded(tmp_path, monkeypatch) as made:
        yield made


def test_before_the_margin_ends_it_only_reads(world):
    world.cluster.grant("A")
    for at in (MARCH, JULY, DUE - SECOND):
        assert world.look(at) == DUE
    assert world.writes() == []
    assert [asked.path for asked in world.server.asked if asked.path != "/version"] == ["/api/v1/namespaces"] * 3


def test_an_award_is_closed_and_later_deleted_and_each_is_told_once(world):
    a, b = world.cluster.grant("A", pods=2), world.cluster.grant("B", end=JULY + timedelta(days=9))
    assert world.look(DUE) == GONE
    assert (world.cluster.is_closed(a), world.cluster.is_closed(b)) == (True, False)
    assert world.cluster.reasons() == ["TermEnded"]
    message = world.cluster.events[0]["message"]
    assert "its term ended at 2026-07-01T00:00:00+09:00" in message
    assert "8 GPUs were proven free at 2026-06-30T17:00:00+00:00" in message
    assert (world.metric("freed_gpus_total"), world.metric("ended_awards_total", step="close")) == (8, 1)
    writes = world.writes()
    world.look(DUE + SECOND)
    assert world.writes() == writes  # nothing is left to take
    assert world.look(GONE) == JULY + timedelta(days=9) + MARGIN
    assert world.cluster.spaces.keys() == {b}
    assert world.cluster.reasons() == ["TermEnded", "NamespaceDeleted"]
    assert (world.metric("freed_gpus_total"), world.metric("ended_awards_total", step="delete")) == (8, 1)


def test_without_a_retention_namespaces_stay(tmp_path, monkeypatch):
    with guarded(tmp_path, monkeypatch, retention=None) as world:
        a = world.cluster.grant("A")
        assert world.look(JULY + timedelta(days=900)) is None
        assert world.cluster.is_closed(a)


def test_one_that_was_away_for_long_closes_and_deletes_in_one_look(world):
    world.cluster.grant("A")
    world.look(GONE + timedelta(days=30))
    assert world.cluster.spaces == {}
    assert world.cluster.reasons() == ["TermEnded", "NamespaceDeleted"]


def test_access_is_taken_before_the_quota_and_the_quota_before_the_pods(world):
    world.cluster.grant("A")
    world.look(DUE)
    kinds = [path.split("/")[-2 if path.endswith(("/awardee", "/gpu")) else -1] for path in world.writes()]
    leases = [kind for kind in kinds if kind.startswith("lease") or kind == "gpuprov"]
    assert [kind for kind in kinds if kind not in leases] == [
        *("rolebindings", "serviceaccounts", "resourcequotas", "pods", "events"),
    ]
    assert kinds[0] == "leases"  # in a turn of its own
    assert "term guard" in world.cluster.leases.object["metadata"]["annotations"][HOLDER]
    assert world.cluster.leases.spec["holderIdentity"] == ""  # and it was given back


def test_a_pod_that_does_not_end_is_told_and_the_award_is_free_when_it_has(world):
    a = world.cluster.grant("A")
    world.cluster.stubborn.add(a)
    for _ in range(2):
        with pytest.raises(ClusterError, match="not ended: A"):
            world.look(GONE)
    assert a in world.cluster.spaces  # not deleted: its GPUs are not free
    assert world.cluster.reasons() == ["TermNotEnded"]
    assert "pod-0" in world.cluster.events[0]["message"]
    assert world.metric("freed_gpus_total") == 0
    world.cluster.stubborn.clear()
    world.look(GONE)
    assert world.cluster.spaces == {}
    assert world.metric("freed_gpus_total") == 8


def test_a_namespace_that_is_slow_to_go_is_told_when_it_is_gone(world):
    a = world.cluster.grant("A")
    world.cluster.sticky.add(a)
    with pytest.raises(ClusterError, match="not ended: A"):
        world.look(GONE)
    writes = world.writes()
    world.look(GONE)  # it goes by itself now: nobody's turn is taken for it
    assert (world.writes(), world.cluster.reasons()) == (writes, ["TermEnded", "TermNotEnded"])
    del world.cluster.spaces[a]
    world.look(GONE)
    assert world.cluster.reasons() == ["TermEnded", "TermNotEnded", "NamespaceDeleted"]
    assert world.metric("ended_awards_total", step="delete") == 1


def test_an_end_that_cannot_be_read_is_told_once_and_never_acted_on(world):
    a = world.cluster.grant("A")
    world.cluster.annotate(a, **{TERM_END: "soon"})
    for _ in range(3):
        world.look(JULY + timedelta(days=900))
    assert not world.cluster.is_closed(a)
    assert world.cluster.reasons() == ["TermUnknown"]
    assert world.metric("problem_namespaces") == 1
    world.cluster.annotate(a, **{TERM_END: (JULY + timedelta(days=999)).isoformat()})
    world.look()
    assert world.metric("problem_namespaces") == 0
    world.cluster.annotate(a, **{TERM_END: "soon"})
    world.look()
    assert world.cluster.reasons() == ["TermUnknown"] * 2


def test_more_than_the_cap_are_told_and_none_is_touched(world):
    names = [world.cluster.grant(f"A{number}") for number in range(4)]
    world.look(MARCH)
    assert world.metric("crowded_ends") == 1
    for _ in range(2):
        world.look(GONE)
    assert not any(world.cluster.is_closed(name) for name in names)
    assert world.cluster.reasons() == ["TermGuardRefused"] * 4
    assert (world.metric("refused"), world.metric("overdue_awards", step="delete")) == (1, 4)
    del world.cluster.spaces[names[0]]  # somebody has ended one
    world.look(GONE)
    assert world.cluster.spaces == {}
    assert world.metric("refused") == 0


def test_a_dry_run_writes_nothing(tmp_path, monkeypatch, caplog):
    with guarded(tmp_path, monkeypatch, dry_run=True) as world, caplog.at_level("INFO"):
        a = world.cluster.grant("A")
        world.cluster.annotate(world.cluster.grant("B"), **{TERM_END: "soon"})
        for at in (DUE, DUE, GONE):
            world.look(at)
        assert world.writes() == []
        assert not world.cluster.is_closed(a)
        assert [record.message for record in caplog.records if "dry run" in record.message] == [
            f"dry run: would {step} it, its term ended at 2026-07-01T00:00:00+09:00" for step in ("close", "delete")
        ]
        assert world.metric("overdue_awards", step="delete") == 1


@pytest.mark.parametrize("hours", [-3, 3])
def test_with_a_clock_that_is_off_nothing_is_ended(world, hours):
    world.cluster.grant("A")
    object.__setattr__(world.guard, "machine_now", lambda: datetime.now(UTC) + timedelta(hours=hours))
    with pytest.raises(ClusterError, match="not certain which terms are over"):
        world.look(GONE)
    assert world.writes() == []
    assert abs(world.metric("clock_skew_seconds") + hours * 3600) < 60


def test_a_term_that_was_extended_while_it_waited_for_its_turn_is_not_ended(world):
    a, b = world.cluster.grant("A"), world.cluster.grant("B")

    def extend(asked):
        if "/leases" in asked.path:
            world.cluster.annotate(a, **{TERM_END: (JULY + timedelta(days=30)).isoformat()})

    world.cluster.before = extend
    world.look(DUE)
    assert (world.cluster.is_closed(a), world.cluster.is_closed(b)) == (False, True)


def test_while_somebody_else_acts_nothing_is_ended(world):
    a = world.cluster.grant("A")
    world.cluster.leases.held("another-host/1", seconds=3600)
    with pytest.raises(ClusterError, match="kim@office"):
        world.look(DUE)
    assert not world.cluster.is_closed(a)
    assert world.writes() == []


def test_where_all_were_ended_meanwhile_its_turn_does_not_count(world):
    world.cluster.grant("A")
    world.cluster.leases.held("", number=7)

    def end(asked):
        if "/leases" in asked.path:
            world.cluster.spaces.clear()

    world.cluster.before = end
    world.look(DUE)
    assert world.cluster.leases.spec["leaseTransitions"] == 7


def test_an_award_whose_quota_somebody_removed_is_closed_too(world):
    a = world.cluster.grant("A")
    del world.cluster.spaces[a]["ResourceQuota", "gpu"]
    world.look(DUE)
    assert world.cluster.pods[a] == []
    writes = world.writes()
    world.look(DUE)
    assert world.writes() == writes


def test_events_that_are_refused_hold_nothing_up(world):
    a = world.cluster.grant("A")
    world.cluster.forbidden = "/events"
    world.look(DUE)
    assert world.cluster.is_closed(a)


def test_without_the_right_to_the_lease_nothing_is_ended(world):
    a = world.cluster.grant("A")
    world.cluster.forbidden = f"/leases/{LEASE}"
    with pytest.raises(ClusterError, match="Lease"):
        world.look(DUE)
    assert not world.cluster.is_closed(a)


def test_a_server_that_does_not_answer_is_an_error(world):
    world.server.does(lambda asked: RESET)
    with pytest.raises(ClusterUnreachable):
        world.look(DUE)
