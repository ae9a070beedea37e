"""What `gpuprov forfeit` and `reduce` record, though the cluster does not answer: the ledger comes first."""

import json

import pytest
from cli_world import JULY, MARCH, World


def test_forfeiting_is_recorded_once_though_the_cluster_does_not_answer(closed: World) -> None:
    command = ("forfeit", "HPC-2026-1-002", "--reason", "과제 중단", "--by", "kim", "--yes", "--json")
    ran = closed.run(*command)
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud"})
    assert "recorded in ledger.jsonl: forfeited HPC-2026-1-002" in ran.err
    written = closed.ledger.read_bytes()
    (line,) = written.splitlines()
    event = json.loads(line)
    assert event.pop("recorded")
    assert event == {"award": "HPC-2026-1-002", "at": MARCH, "by": "kim", "reason": "과제 중단", "event": "forfeited"}

    again = closed.run(*command)
    assert (again.code, again.data["failed"].keys()) == (5, {"kt-cloud"})
    assert f"HPC-2026-1-002 was forfeited at {MARCH} already" in again.err
    assert closed.ledger.read_bytes() == written


def test_naming_an_award_twice_writes_one_event(closed: World) -> None:
    ran = closed.run("forfeit", "HPC-2026-1-002", "HPC-2026-1-002", "--reason", "x", "--yes")
    assert (ran.code, len(closed.ledger.read_text().splitlines())) == (5, 1)


def test_reducing_is_recorded_once_though_the_cluster_does_not_answer(closed: World) -> None:
    command = ("reduce", "HPC-2026-1-003", "--to", "4", "--reason", "x", "--yes")
    assert closed.run(*command).code == 5
    (line,) = closed.ledger.read_text().splitlines()
    assert (json.loads(line)["event"], json.loads(line)["quantity"]) == ("reduced", 4)
    again = closed.run(*command)
    assert (again.code, "HPC-2026-1-003 has 4 H100 already" in again.err) == (5, True)
    assert closed.ledger.read_text().splitlines() == [line]


@pytest.mark.parametrize(
    "command",
    [("forfeit", "HPC-2026-1-002"), ("reduce", "HPC-2026-1-003", "--to", "4")],
    ids=lambda command: command[0],
)
def test_without_yes_and_terminal_nothing_is_recorded(closed: World, command: tuple[str, ...]) -> None:
    ran = closed.run(*command, "--reason", "x")
    assert (ran.code, ran.out) == (2, "")
    assert "give --yes: there is no terminal to ask at" in ran.err
    assert not closed.ledger.exists()


def test_an_award_that_will_be_forfeited_can_be_forfeited_now(closed: World) -> None:
    command = ("forfeit", "HPC-2026-1-002", "--reason", "x", "--yes")
    assert closed.run(*command, at=JULY.replace("07-01", "06-01")).code == 5
    assert closed.run(*command, at=MARCH).code == 5
    last = json.loads(closed.ledger.read_text().splitlines()[-1])
    assert last["at"] == MARCH
