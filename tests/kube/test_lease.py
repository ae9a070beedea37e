"""One turn at a time on a cluster: who gets it, when it is over, and what its number tells."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from threading import Event

import pytest
from leases import keeping_leases
from played_api import not_found, refusal
from strategies import cluster

from gpuprov.errors import ClusterError, ClusterUnreachable
from gpuprov.kube import holders, lease
from gpuprov.kube.lease import take_turn, turns
from gpuprov.kube.leaseobject import LeaseObject, NoLease

SDS = cluster()
PATH = "/apis/coordination.k8s.io/v1/namespaces/gpuprov-system/leases"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with keeping_leases(tmp_path, monkeypatch) as (made, leases):
        made.leases = leases
        yield made


def take(server, patience=60.0, progress=None):
    return take_turn(SDS, "gpuprov up", patience=patience, progress=progress, api=server.api)


def test_the_first_turn_makes_the_lease_and_each_one_more_counts(server):
    assert turns(SDS, server.api)[:2] == (0, "")
    for number in (1, 2, 3):
        with take(server) as turn:
            assert (turn.number, server.leases.spec["leaseTransitions"]) == (number, number)
            assert server.leases.spec["holderIdentity"]
            assert turns(SDS, server.api)[0] == number - 1  # not over yet: whoever looks now has to look again
        assert server.leases.spec["holderIdentity"] == ""
        assert turns(SDS, server.api)[:2] == (number, f"{holders.words()} (gpuprov up)")
    assert {asked.path for asked in server.asked} == {PATH, f"{PATH}/gpuprov"}


def test_the_one_before_is_named(server):
    with take(server):
        pass
    with take(server) as turn:
        assert turn.previous == f"{holders.words()} (gpuprov up)"


def test_the_last_run_that_left_nothing_undone_is_kept(server):
    for good in (True, False, True):
        with take(server) as turn:
            turn.good = good
    with take(server) as turn:
        at, who = turn.last_good_run.split(" ", 1)
        assert datetime.fromisoformat(at) <= datetime.now(UTC)
        assert who == f"{holders.words()} (gpuprov up)"
        before = turn.last_good_run
    with take(server) as turn:
        assert turn.last_good_run == before


def test_since_when_somebody_is_at_work_is_told(server):
    with take(server):
        since = server.leases.spec["acquireTime"]
        with pytest.raises(ClusterError, match=rf"is at work on this cluster since {since}; rerun"), take(server, 0.0):
            pass


def test_a_turn_is_given_back_also_where_the_work_fails(server):
    with pytest.raises(RuntimeError), take(server):
        raise RuntimeError
    assert server.leases.spec["holderIdentity"] == ""


def test_whoever_waits_in_vain_is_told_for_whom(server):
    server.leases.held("kim@office/1")
    told = []
    with (
        pytest.raises(ClusterError, match=r"kim@office \(gpuprov up\) is at work on this cluster"),
        take(server, patience=10, progress=told.append),
    ):
        pass
    assert told == ["waiting for kim@office (gpuprov up) to end"]
    assert server.leases.spec["holderIdentity"] == "kim@office/1"


def test_a_turn_that_is_not_renewed_ends_by_the_clock_of_whoever_waits(server):
    server.leases.held("kim@office/1", seconds=30)
    with take(server) as turn:
        assert turn.number == 8
    assert 30 <= sum(server.watch.slept) < 32


def test_a_turn_that_is_renewed_goes_on(server):
    server.leases.held("kim@office/1", seconds=30)
    sleep = server.watch.sleep

    def renewing(seconds):
        sleep(seconds)
        if sum(server.watch.slept) < 100:
            server.leases.held("kim@office/1", seconds=30)

    server.watch.sleep = renewing
    server.api.clock = server.watch.clock
    with take(server, patience=600) as turn:
        assert turn.number == 8
    assert sum(server.watch.slept) >= 129


def test_of_two_that_find_it_free_one_gets_it(server):
    with take(server):
        pass
    server.leases.before_write = lambda: server.leases.held("lee@home/2", number=2, words="lee@home (gpuprov forfeit)")
    with pytest.raises(ClusterError, match=r"lee@home \(gpuprov forfeit\) is at work"), take(server, patience=5):
        pass


def test_of_two_that_make_it_one_gets_it(server):
    server.leases.before_write = lambda: server.leases.held("lee@home/2", number=1)
    with pytest.raises(ClusterError, match="is at work"), take(server, patience=5):
        pass


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_whoever_is_not_the_fastest_waits_before_it_looks_again(server, method):
    """As where each read is of a version that is not the last one any more."""
    if method == "PUT":
        with take(server):
            pass
    refused = [refusal(409, "Conflict")] * 4
    server.does(lambda asked: refused.pop() if asked.method == method and refused else server.leases(asked))
    with take(server) as turn:
        assert turn.number == (1 if method == "POST" else 2)
    assert server.watch.slept == [0.5] * 4


HOLDER = """
import sys
from gpuprov.kube.holders import present
with present() as presence:
    print(presence.identity, flush=True)
    sys.stdin.read()
"""


def test_the_turn_of_a_process_that_was_killed_here_is_over_at_once(server):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout is not None
    identity = process.stdout.readline().strip()
    server.leases.held(identity)
    with pytest.raises(ClusterError, match="is at work"), take(server, patience=5):  # it runs
        pass
    assert not turns(SDS, server.api).abandoned
    process.send_signal(signal.SIGKILL)
    process.communicate()
    slept = len(server.watch.slept)
    assert turns(SDS, server.api).abandoned
    with take(server) as turn:
        assert turn.number == 8
        assert not turns(SDS, server.api).abandoned
    assert len(server.watch.slept) == slept
    assert not turns(SDS, server.api).abandoned


@pytest.mark.parametrize("ending", [ClusterError("alpha", "no answer"), KeyboardInterrupt()])
def test_a_turn_that_could_not_be_given_back_is_over_at_once_for_this_user(ending, server, monkeypatch):
    """As after a second Ctrl-C, which comes while it is given back, or where the API server has gone."""

    def fail(*_: object, **__: object) -> None:
        raise ending

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt), take(server):
        patch.setattr(LeaseObject, "give_back", fail)
    assert server.leases.spec["holderIdentity"]
    with take(server) as turn:
        assert turn.number == 2
    assert server.watch.slept == []
    assert list((holders._folder()).iterdir()) == []


def test_whoever_did_not_get_a_turn_leaves_no_note(server):
    server.leases.held("lee@home/2")
    with pytest.raises(ClusterError, match="is at work"), take(server, patience=5):
        pass
    assert list((holders._folder()).iterdir()) == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_cluster_without_a_place_for_the_lease_is_told_what_to_do(status, server):
    server.does(lambda asked: refusal(status, "no") if asked.method != "GET" else not_found("gpuprov", "leases"))
    with pytest.raises(NoLease, match="gpuprov setup --provider samsung-sds"), take(server):
        pass
    server.does(lambda asked: refusal(403, "Forbidden"))
    assert turns(SDS, server.api)[:2] == (None, "")


def test_an_identity_that_has_expired_since_the_plan_is_told(server):
    server.does(lambda asked: refusal(401, "Unauthorized"))
    with pytest.raises(ClusterUnreachable, match=r"renew its credentials in the kubeconfig"), take(server):
        pass


def test_without_the_chart_the_lease_is_in_default():
    bare = SDS.model_copy(update={"require_chart": False})
    assert lease.path(bare) == "/apis/coordination.k8s.io/v1/namespaces/default/leases"


def test_without_the_chart_the_lease_needs_a_right_and_no_set_up(server):
    server.does(lambda asked: refusal(403, "Forbidden"))
    bare = SDS.model_copy(update={"require_chart": False})
    with (
        pytest.raises(NoLease, match="get, update and patch on leases in `default`"),
        take_turn(bare, "a test", patience=0, api=server.api),
    ):
        pass


def test_a_turn_is_renewed_and_its_loss_is_noticed(server, monkeypatch):
    monkeypatch.setattr(lease, "SECONDS", 0.03)
    renewed = Event()
    answer = server.leases.__call__

    def watching(asked):
        reply = answer(asked)
        if asked.method == "PUT" and asked.body["spec"]["holderIdentity"]:
            renewed.set()
        return reply

    server.does(watching)
    with ExitStack() as stack:
        turn = stack.enter_context(take(server))
        assert renewed.wait(30)
        turn.require_held()
        server.leases.held("lee@home/2", number=2)
        assert turn._lost.wait(30)
        with pytest.raises(ClusterError, match="another run has taken over"):
            turn.require_held()
    assert server.leases.spec["holderIdentity"] == "lee@home/2"  # giving back takes nothing from anybody


def test_a_stolen_identity_in_the_lease_reaches_no_file_outside(server, tmp_path):
    """The holder is text from the cluster: it names no path."""
    outside = tmp_path / "state" / "gpuprov" / "precious"
    outside.parent.mkdir(parents=True)
    outside.write_text(json.dumps("keep"))
    server.leases.held("kim@office/../precious")
    with pytest.raises(ClusterError), take(server, patience=3):
        pass
    assert outside.exists()
