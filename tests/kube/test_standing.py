"""Who acts on a cluster and how the last run ended: read from the Lease, and nothing is changed by it."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from leases import keeping_leases
from strategies import cluster

from gpuprov.core.standing import Standing
from gpuprov.kube import holders
from gpuprov.kube.lease import read_standing, take_turn

SDS = cluster()
HOLD = """
from gpuprov.kube import holders
with holders.present() as presence:
    print(presence.identity, flush=True)
    input()
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    with keeping_leases(tmp_path, monkeypatch) as (made, leases):
        made.leases = leases
        yield made


def standing(server):
    """What is read; reading it sends nothing but the question."""
    del server.asked[:]
    read = read_standing(SDS, server.api)
    assert [asked.method for asked in server.asked] == ["GET"]
    return read


def run(server, *, good=False, idle=False, purpose="gpuprov up"):
    with take_turn(SDS, purpose, patience=5.0, api=server.api) as turn:
        turn.good, turn.idle = good, idle


def test_before_the_first_run_there_is_nothing_to_tell(server):
    assert standing(server) == Standing()


def test_whether_the_last_run_left_something_undone(server):
    for good, purpose in ((True, "gpuprov up"), (False, "gpuprov up"), (True, "gpuprov expire")):
        run(server, good=good, purpose=purpose)
        read = standing(server)
        assert (read.undone, read.at_work, read.holder) == (not good, False, "")
        assert read.last == f"{holders.words()} ({purpose})"
    run(server, idle=True)  # one that found itself overtaken did nothing, and left nothing
    assert (standing(server).undone, standing(server).last) == (False, f"{holders.words()} (gpuprov expire)")


def test_while_somebody_is_at_work_that_is_told(server):
    with take_turn(SDS, "gpuprov up", patience=5.0, api=server.api):
        read = standing(server)
        assert (read.at_work, read.gone, read.undone, read.last) == (True, False, False, "")
        assert read.holder == f"{holders.words()} (gpuprov up)"
        assert read.since == server.leases.spec["acquireTime"]


def test_a_killed_process_of_this_machine_is_gone_however_often_that_is_asked(server):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        identity = process.stdout.readline().strip()
        server.leases.held(identity)
        assert standing(server).at_work
        process.send_signal(signal.SIGKILL)
        process.wait()
    for _ in range(2):
        read = standing(server)
        assert (read.gone, read.at_work, read.holder) == (True, False, "kim@office (gpuprov up)")
    assert holders.has_ended(identity)


@pytest.mark.parametrize(("silent", "gone"), [(0, False), (60, False), (120, True)])
def test_one_of_another_machine_is_gone_once_no_distance_of_clocks_explains_its_silence(server, silent, gone):
    server.leases.held("lee@night-shift/0")
    server.leases.spec["renewTime"] = (datetime.now(UTC) - timedelta(seconds=silent)).isoformat()
    assert (standing(server).gone, standing(server).at_work) == (gone, not gone)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-03-01T09:00:00"])
def test_a_lease_that_does_not_tell_its_time_is_somebodys(server, text):
    server.leases.held("lee@night-shift/0")
    server.leases.spec["renewTime"] = text
    assert standing(server).at_work


def test_of_a_lease_that_an_older_version_kept_nothing_is_guessed(server):
    run(server, good=True)
    del server.leases.object["metadata"]["annotations"]["gpuprov.dev/last-good-turn"]
    run(server)
    assert not standing(server).undone


def test_a_lease_that_cannot_be_read_is_not_known(server):
    from played_api import refusal

    server.does(lambda asked: refusal(403, "Forbidden"))
    assert read_standing(SDS, server.api) is None
