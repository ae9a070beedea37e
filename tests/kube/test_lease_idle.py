"""A turn in which nothing was done does not count: two that find themselves overtaken do not overtake each other."""

from copy import deepcopy

import pytest
from leases import keeping_leases
from strategies import cluster

from gpuprov.kube import holders
from gpuprov.kube.lease import take_turn, turns

SDS = cluster()


@pytest.fixture
def server(tmp_path, monkeypatch):
    with keeping_leases(tmp_path, monkeypatch) as (made, leases):
        made.leases = leases
        yield made


def test_an_idle_turn_is_not_counted_and_its_holder_is_not_named(server):
    with take_turn(SDS, "gpuprov forfeit", patience=5):
        pass
    seen = turns(SDS, server.api)[0]
    for _ in range(3):
        with take_turn(SDS, "gpuprov up", patience=5) as turn:
            assert turns(SDS, server.api)[0] == seen == turn.number - 1
            turn.idle = True
        assert turns(SDS, server.api)[:2] == (seen, f"{holders.words()} (gpuprov forfeit)")
        assert server.leases.object["spec"]["holderIdentity"] == ""
    with take_turn(SDS, "gpuprov expire", patience=5) as turn:
        assert turn.previous == f"{holders.words()} (gpuprov forfeit)"
    assert turns(SDS, server.api)[0] == seen + 1


def test_the_very_first_turn_may_be_idle(server):
    with take_turn(SDS, "gpuprov up", patience=5) as turn:
        turn.idle = True
    assert turns(SDS, server.api)[0] == 0
    with take_turn(SDS, "gpuprov up", patience=5) as turn:
        assert turn.number == 1


def test_an_idle_turn_after_a_holder_that_has_ended_keeps_what_that_one_counted(server):
    """Whoever was killed may have done anything: what was decided before has to be decided again."""
    with take_turn(SDS, "gpuprov up", patience=5):
        server.leases.object["spec"] |= {"holderIdentity": "kim@office/1", "leaseDurationSeconds": 1}
        killed = deepcopy(server.leases.object)
    server.leases.write(killed)
    seen = turns(SDS, server.api)[0]
    with take_turn(SDS, "gpuprov up", patience=30) as turn:
        assert turn.number - 1 != seen
        turn.idle = True
    assert turns(SDS, server.api)[0] == seen + 1
