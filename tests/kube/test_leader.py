"""Which replica leads on a cluster: one at a time, and another soon after it is gone."""

from itertools import pairwise

import pytest
from leases import keeping_leases
from played_api import RESET, refusal
from strategies import cluster

from gpuprov.kube.leader import LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, Leader

ELSEWHERE = "another-host/1"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    with keeping_leases(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def leaders(kept):
    """Makes replicas of the service, whose Leases end with the test; they share the server's clock."""
    made = []

    def make():
        made.append(Leader(cluster(), "gpuprov watch", kept[0].api))
        return made[-1]

    yield make
    for leader in made:
        leader.resign()


def until(condition, server, *leaders, most=60):
    """Let everybody try as often as the service does; return the seconds until the condition holds."""
    begun = server.watch.at
    while not condition():
        assert server.watch.at - begun < most
        server.watch.at += RETRY_SECONDS
        for leader in leaders:
            leader.step()
    return round(server.watch.at - begun, 3)  # the clock's instants are floats


def test_the_first_leads_and_the_others_wait(leaders, kept):
    first, second = leaders(), leaders()
    assert (first.leads, first.has_stood) == (False, False)
    for _ in range(20):
        kept[0].watch.at += RETRY_SECONDS
        first.step()
        second.step()
        assert (first.leads, second.leads) == (True, False)
        assert (first.has_stood, second.has_stood) == (True, True)
    assert kept[1].spec["leaseTransitions"] == 1


def test_another_leads_at_once_where_the_leader_resigned(leaders, kept):
    first, second = leaders(), leaders()
    first.step()
    second.step()
    first.resign()
    assert until(lambda: second.leads, kept[0], second) <= RETRY_SECONDS
    assert not first.leads


def test_another_leads_after_the_lease_where_the_leader_is_silent(leaders, kept):
    server, leases = kept
    leases.held(ELSEWHERE, seconds=LEASE_SECONDS)
    second = leaders()
    seconds = until(lambda: second.leads, server, second)
    assert LEASE_SECONDS <= seconds <= LEASE_SECONDS + 2 * RETRY_SECONDS


def test_a_leader_that_is_cut_off_stops_before_others_may_lead(leaders, kept):
    server, leases = kept
    first = leaders()
    first.step()
    renewed = server.watch.at
    server.does(lambda asked: RESET)
    while server.watch.at < renewed + LEASE_SECONDS:
        assert first.leads == (server.watch.at < renewed + RENEW_SECONDS)
        first.step()  # which takes seconds: its requests are retried
        assert first.error
        server.watch.at += 0.1
    server.does(leases)
    first.step()  # nobody else has taken it
    assert first.leads
    assert first.error == ""


def test_a_leader_whose_lease_another_took_stops_at_once(leaders, kept):
    first = leaders()
    first.step()
    kept[1].held(ELSEWHERE)
    first.step()
    assert not first.leads
    first.step()
    assert not first.leads


def test_without_the_right_to_a_lease_it_leads_and_later_by_the_lease(leaders, kept, caplog):
    server, leases = kept
    first, second = leaders(), leaders()
    server.does(lambda asked: refusal(403, "Forbidden"))
    for leader in (first, second, first, second):
        leader.step()
    assert first.leads
    assert second.leads
    assert [record.getMessage().count("leads without it") for record in caplog.records] == [1, 1]
    server.does(leases)
    for leader in (first, second):
        leader.step()
    assert (first.leads, second.leads) == (True, False)


def test_one_renewal_that_fails_changes_nothing(leaders, kept):
    first = leaders()
    first.step()
    kept[0].does(lambda asked: refusal(422, "Invalid"))
    first.step()
    assert first.leads


def test_it_stands_for_election_by_itself(leaders, kept):
    first = leaders()
    first.start()
    for _ in range(200):
        if first.leads:
            break
        first._stopped.wait(0.05)
    assert first.leads
    first.resign()
    assert kept[1].spec["holderIdentity"] == ""


def test_the_numbers_are_those_that_keep_two_from_leading():
    assert all(less * 1.3 < more for less, more in pairwise((RETRY_SECONDS, RENEW_SECONDS, LEASE_SECONDS)))
