"""What `gpuprov forfeit` and `reduce` record, though the cluster does not answer: the ledger comes first."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from cli_world import JULY, MARCH, PROVIDERS, Api, World
from projects import run_command

MAY = "2026-05-01T00:00:00+09:00"
FORFEIT = ("forfeit", "HPC-2026-1-002", "--reason", "x", "--yes")
REDUCE = ("reduce", "HPC-2026-1-003", "--to", "4", "--reason", "x", "--yes")
BOTH = pytest.mark.parametrize("command", [FORFEIT, REDUCE], ids=lambda command: command[0])


def lines(world: World) -> list[dict[str, str]]:
    """Return the ledger's lines."""
    return [json.loads(line) for line in world.ledger.read_text(encoding="utf-8").splitlines()]


def forfeited(world: World, award: str, at: str = MARCH) -> None:
    """Write a forfeiture to the ledger by hand."""
    event = {"event": "forfeited", "award": award, "at": at, "by": "kim", "reason": "no answer", "recorded": at}
    world.ledger.write_text(json.dumps(event) + "\n", encoding="utf-8")


def test_forfeiting_is_recorded_once_though_the_cluster_does_not_answer(closed: World) -> None:
    command = ("forfeit", "HPC-2026-1-002", "--reason", "과제 중단", "--by", "kim", "--yes", "--json")
    ran = closed.run(*command)
    assert (ran.code, ran.data["failed"].keys()) == (5, set(PROVIDERS))
    assert "it is not known whether the awards have namespaces here too" in ran.data["failed"]["samsung-sds"]
    assert "recorded in ledger.jsonl: forfeited HPC-2026-1-002" in ran.err
    written = closed.ledger.read_bytes()
    (line,) = written.splitlines()
    event = json.loads(line)
    assert event.pop("recorded")
    assert event == {"award": "HPC-2026-1-002", "at": MARCH, "by": "kim", "reason": "과제 중단", "event": "forfeited"}

    again = closed.run(*command)
    assert (again.code, again.data["failed"].keys()) == (5, set(PROVIDERS))
    assert f"HPC-2026-1-002 is forfeited from {MARCH} on already, by kim: 과제 중단" in again.err
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
    assert (again.code, f"HPC-2026-1-003 has 4 H100 at {MARCH} already" in again.err) == (5, True)
    assert closed.ledger.read_text().splitlines() == [line]


@pytest.mark.parametrize(
    "command",
    [("forfeit", "HPC-2026-1-002"), ("reduce", "HPC-2026-1-003", "--to", "4")],
    ids=lambda command: command[0],
)
def test_without_yes_and_terminal_nothing_is_recorded(closed: World, command: tuple[str, ...]) -> None:
    ran = closed.run(*command, "--reason", "x")
    assert (ran.code, ran.out) == (2, "")
    assert "pass --yes: there is no terminal to ask at" in ran.err
    assert not closed.ledger.exists()


def test_an_award_that_will_be_forfeited_can_be_forfeited_now(closed: World) -> None:
    command = ("forfeit", "HPC-2026-1-002", "--reason", "x", "--yes")
    assert closed.run(*command, "--at", MAY).code == 0
    assert closed.run(*command, at=MARCH).code == 5
    last = json.loads(closed.ledger.read_text().splitlines()[-1])
    assert last["at"] == MARCH


# ---- the clock


@BOTH
def test_a_rehearsals_clock_does_not_go_into_the_ledger_by_itself(closed: World, command: tuple[str, ...]) -> None:
    ran = closed.run_as_typed(*command, "--json", at=MARCH)
    assert (ran.code, ran.data["error"]) == (1, "InputError")
    assert ran.err == (
        f"error: GPUPROV_AT {MARCH!r}: a rehearsal's clock does not go into the ledger by itself; "
        f"type --at {MARCH}, or unset GPUPROV_AT\n"
    )
    assert not closed.ledger.exists()


@BOTH
def test_a_rehearsals_clock_that_is_no_instant_is_wrong_usage(closed: World, command: tuple[str, ...]) -> None:
    ran = closed.run_as_typed(*command, "--at", MARCH, at="tomorrow")
    assert (ran.code, ran.out) == (2, "")
    assert "'tomorrow' is not a timestamp; write it as" in ran.err
    assert not closed.ledger.exists()


@BOTH
def test_an_event_takes_effect_when_it_was_typed_and_was_recorded_by_the_real_clock(
    closed: World, command: tuple[str, ...]
) -> None:
    before = datetime.now(UTC)
    assert closed.run(*command, at=MARCH).code == 5
    (line,) = lines(closed)
    assert line["at"] == MARCH
    assert before <= datetime.fromisoformat(line["recorded"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("arguments", "at", "said"),
    [
        (("plan",), "2026-03-01T09:00+09:00", "2026-03-01T09:00+09:00 (GPUPROV_AT)"),
        (("plan",), "2026-03-01T00:00:07Z", "2026-03-01T09:00:07+09:00 (GPUPROV_AT)"),
        (("plan", "--at", "2026-03-01"), "", "2026-03-01T00:00+09:00 (--at)"),
        (("plan", "--at", "2026-03-01"), "2026-02-01", "2026-03-01T00:00+09:00 (--at)"),
        (("up", "--yes"), "2026-03-01", "2026-03-01T00:00+09:00 (GPUPROV_AT)"),
        (("expire", "--yes"), "2026-03-01", "2026-03-01T00:00+09:00 (GPUPROV_AT)"),
        (("kubeconfig", "HPC-2026-1-002"), "2026-03-01", "2026-03-01T00:00+09:00 (GPUPROV_AT)"),
        ((*FORFEIT, "--at", "2026-02-01"), "2026-03-01", "2026-03-01T00:00+09:00 (GPUPROV_AT)"),
        ((*REDUCE, "--at", "2026-02-01"), "2026-03-01", "2026-03-01T00:00+09:00 (GPUPROV_AT)"),
        ((*REDUCE, "--at", "2026-02-01"), "", None),
        (("plan",), "", None),
    ],
)
def test_whoever_decides_for_another_instant_than_now_is_told(
    closed: World, arguments: tuple[str, ...], at: str, said: str | None
) -> None:
    ran = closed.run_as_typed(*arguments, at=at)
    told = [line for line in ran.err.splitlines() if line.startswith("deciding for ")]
    assert told == ([] if said is None else [f"deciding for {said}, not for now"])
    assert "deciding for" not in ran.out


RUN_BY_PULUMI = "from pathlib import Path; from gpuprov.load.project import open_project; "
RUN_BY_PULUMI += "from gpuprov.run.byhand import decide; decide(open_project(Path()), 'kt-cloud')"


@pytest.mark.parametrize(
    ("at", "said"), [("", ""), (MARCH, "deciding for 2026-03-01T09:00+09:00 (GPUPROV_AT), not for now\n")]
)
def test_pulumi_by_hand_is_told_too(world: World, api: Api, at: str, said: str) -> None:
    """The program that `pulumi up` runs decides in the same way; Pulumi shows what it says."""
    variable = {"GPUPROV_AT": at} if at else {}
    ran = run_command([sys.executable, "-c", RUN_BY_PULUMI], world.root, world.environment | variable)
    assert (ran.code, ran.err) == (0, said)


# ---- events of the future


@BOTH
def test_an_event_to_come_is_recorded_and_touches_no_cluster(closed: World, command: tuple[str, ...]) -> None:
    """No cluster answers, and none is asked."""
    ran = closed.run(*command, "--at", MAY, "--json")
    assert (ran.code, ran.data) == (0, {"providers": [], "failed": {}})
    (line,) = lines(closed)
    assert line["at"] == MAY
    assert f"recorded in ledger.jsonl: {line['event']} {line['award']}" in ran.err
    assert f" INFO recorded {line['event']} from {MAY} on award={line['award']}\n" in ran.err
    assert f"{MAY} is in the future: no cluster was changed; `gpuprov up`" in ran.err

    again = closed.run(*command, "--at", MAY)
    assert (again.code, again.out, len(lines(closed))) == (0, "", 1)
    assert "already" in again.err
    assert again.err.endswith(f"{MAY} is in the future: no cluster was changed; there was nothing to record\n")


@BOTH
def test_an_event_to_come_is_not_recorded_without_yes_and_terminal(closed: World, command: tuple[str, ...]) -> None:
    ran = closed.run(*(part for part in command if part != "--yes"), "--at", MAY)
    assert (ran.code, "pass --yes: there is no terminal to ask at" in ran.err) == (2, True)
    assert not closed.ledger.exists()


def test_a_forfeiture_to_come_is_carried_out_when_its_time_has_come(world: World, full: Api) -> None:
    assert world.run(*FORFEIT, "--at", MAY).code == 0
    for at, reclaims in ((MARCH, []), ("2026-04-30T23:59:59+09:00", []), (MAY, [("HPC-2026-1-002", True)])):
        changes = world.run("plan", "--json", at=at).data["changes"]
        assert [(change["award_id"], change["expected"]) for change in changes if change["op"] == "reclaim"] == reclaims
        assert "create" not in {change["op"] for change in changes}


@BOTH
@pytest.mark.parametrize("at", [JULY, "2026-12-01"])
def test_an_event_at_the_end_of_the_term_or_later_is_refused(closed: World, command: tuple[str, ...], at: str) -> None:
    ran = closed.run(*command, "--at", at)
    assert (ran.code, ran.out) == (1, "")
    assert f"its term ends at {JULY}, so it has nothing at " in ran.err
    assert not closed.ledger.exists()


def test_an_award_can_be_forfeited_before_its_term(closed: World) -> None:
    before = "2025-12-20T09:00:00+09:00"
    assert closed.run(*FORFEIT, at=before).code == 5
    assert [line["at"] for line in lines(closed)] == [before]


# ---- two commands at once


def test_forfeiting_an_award_twice_at_once_writes_one_event(closed: World) -> None:
    command = [sys.executable, "-m", "gpuprov", *FORFEIT, "--at", MARCH]
    environment = closed.environment | {"GPUPROV_AT": MARCH}
    both = [
        subprocess.Popen(command, cwd=closed.root, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    messages = [process.communicate()[1] for process in both]
    assert len(lines(closed)) == 1
    assert sum("recorded in ledger.jsonl" in text for text in messages) == 1


# ---- what the list says afterwards


ROW = (
    "HPC-2026-1-002,누리테크,연구기관,연구책임자002,award002@example.org,1,1,KT클라우드,H200,1,2026-01-01,2026-06-30,선정,"
    "2025-12-15\n"
)


@pytest.mark.parametrize(
    ("row", "also"),
    [
        (ROW, ""),
        (ROW.replace("선정", "포기"), "; forfeited in the award list now"),
        (ROW.replace("선정", "예비"), "; waitlisted in the award list now"),
        ("", "; in no award list now"),
    ],
    ids=["selected", "포기", "예비", "gone"],
)
def test_a_forfeiture_stays_one_whatever_the_list_says_afterwards(world: World, full: Api, row: str, also: str) -> None:
    """Its cluster was down when it was forfeited: `expire` has to find it, and `up` needs no confirmation."""
    forfeited(world, "HPC-2026-1-002")
    world.edit_list(ROW, row)
    ran = world.run("plan", "--json")
    (change,) = ran.data["changes"]
    assert change["reasons"] == [f"forfeited at 2026-03-01T09:00+09:00 by kim: no answer{also}"]
    assert (change["op"], change["award_id"], change["expected"]) == ("reclaim", "HPC-2026-1-002", True)
    expired = world.run("expire")
    assert (expired.code, "pass --yes: there is no terminal to ask at" in expired.err) == (2, True)


# ---- lines that count for nothing


@pytest.mark.parametrize("command", [("validate",), ("plan",), ("up", "--yes"), ("expire", "--yes"), FORFEIT, REDUCE])
def test_an_extension_that_comes_too_late_is_a_warning_with_its_line(closed: World, command: tuple[str, ...]) -> None:
    event = {"event": "extended", "award": "HPC-2026-1-009", "by": "lee", "reason": "continued"}
    event |= {"at": JULY, "recorded": JULY, "last_day": "2026-09-30"}
    closed.ledger.write_text("\n" + json.dumps(event) + "\n", encoding="utf-8")
    ran = closed.run(*command)
    (warning,) = [line for line in ran.err.splitlines() if line.startswith("warning: ")]
    assert warning.startswith(f"warning: {closed.ledger}:2: extended of HPC-2026-1-009 to 2026-09-30 takes effect at ")
    assert "counts for nothing: the term ended at 2026-07-01T00:00+09:00; grant a new award" in warning
