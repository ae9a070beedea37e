"""Commands on an award whose row is gone from the list: what the ledger knows is enough to finish a teardown."""

import json

import pytest
from cli_world import MARCH, World

ROW = (
    "HPC-2026-1-002,누리테크,연구기관,연구책임자002,award002@example.org,1,1,KT클라우드,H200,1,2026-01-01,2026-06-30,선정,"
    "2025-12-15\n"
)
FORFEIT = ("forfeit", "HPC-2026-1-002", "--reason", "x", "--yes")
PROVIDERS = {"elice-cloud", "kt-cloud", "samsung-sds"}


def lines(world: World) -> list[dict[str, str]]:
    return [json.loads(line) for line in world.ledger.read_text(encoding="utf-8").splitlines()]


def write(world: World, kind: str, **fields: object) -> None:
    """Write one line on the award to the ledger by hand."""
    event = {"event": kind, "award": "HPC-2026-1-002", "by": "kim", "reason": "no answer"}
    event |= {"at": MARCH, "recorded": MARCH, **fields}
    world.ledger.write_text(json.dumps(event) + "\n", encoding="utf-8")


def test_the_same_forfeit_finishes_the_teardown_though_the_row_is_gone_by_now(closed: World) -> None:
    """No cluster answers, and every cluster is asked: only they can tell where the award lives."""
    write(closed, "forfeited")
    closed.edit_list(ROW, "")
    before = closed.ledger.read_bytes()
    ran = closed.run(*FORFEIT, "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, PROVIDERS)
    assert f"HPC-2026-1-002 is forfeited from {MARCH} on already, by kim: no answer" in ran.err
    assert closed.ledger.read_bytes() == before


def test_an_award_that_only_the_ledger_knows_is_forfeited(closed: World) -> None:
    write(closed, "accepted")
    closed.edit_list(ROW, "")
    ran = closed.run(*FORFEIT, "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, PROVIDERS)
    assert [line["event"] for line in lines(closed)] == ["accepted", "forfeited"]


@pytest.mark.parametrize("at", [MARCH, "2026-05-01T00:00:00+09:00"])
def test_an_award_that_nothing_knows_is_refused_now_and_for_later(closed: World, at: str) -> None:
    closed.edit_list(ROW, "")
    ran = closed.run(*FORFEIT, "--at", at)
    assert (ran.code, ran.out, "'HPC-2026-1-002': is in no award list" in ran.err) == (1, "", True)
    assert not closed.ledger.exists()


def test_a_forfeiture_to_come_is_recorded_for_an_award_that_only_the_ledger_knows(closed: World) -> None:
    write(closed, "accepted")
    closed.edit_list(ROW, "")
    assert closed.run(*FORFEIT, "--at", "2026-05-01T00:00:00+09:00").code == 0
    assert [line["event"] for line in lines(closed)] == ["accepted", "forfeited"]
