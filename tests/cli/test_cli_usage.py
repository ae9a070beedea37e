"""What is typed on the command line: names, instants, options, and the answer to a question."""

import json
import re
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from cli_project import files, run
from click.testing import CliRunner

from gpuprov.cli import main
from gpuprov.cli.asking import confirm
from gpuprov.cli.common import Instant
from gpuprov.core.tenant import Desired
from gpuprov.run.clock import in_zone

# ---- names and instants


def test_an_unknown_provider_is_told_with_those_that_exist(root: Path) -> None:
    result = run("status", "--provider", "nope", "--provider", "kt-cloud", "--provider", "nada", "--json")
    data = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [problem["value"] for problem in data["problems"]] == ["nope", "nada"]
    assert {problem["remedy"] for problem in data["problems"]} == {"use elice-cloud, kt-cloud, samsung-sds"}


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("plna",), "No such command 'plna'; did you mean plan?"),
        (("qqqq",), "No such command 'qqqq'.\n"),
        (("plan", "--provder", "kt-cloud"), "'--provider'"),
        (("sandbox", "strat"), "'start'"),
    ],
)
def test_a_mistyped_command_or_option_gets_suggestions(arguments: tuple[str, ...], meant: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, meant in result.stderr) == (2, True)


def test_a_mistyped_provider_gets_suggestions(root: Path) -> None:
    result = run("status", "--provider", "ktcloud")
    assert (result.exit_code, "; did you mean kt-cloud?" in result.stderr) == (1, True)


def test_the_short_option_for_yes_is_the_same(root: Path) -> None:
    """Without it there would be a question, or wrong usage; the term that is over ends both commands."""
    event = ("forfeit", "HPC-2026-1-003", "--reason", "x", "--at", "2999-01-01")
    assert run(*event, "-y").stderr == run(*event, "--yes").stderr


def test_unknown_awards_are_all_named_and_nothing_is_written(root: Path) -> None:
    before = files(root)
    result = run("forfeit", "NOPE-1", "HPC-2026-1-001", "NOPE-2", "--reason", "x", "--yes", "--json")
    assert result.exit_code == 1
    assert [problem["value"] for problem in json.loads(result.stdout)["problems"]] == ["NOPE-1", "NOPE-2"]
    assert "'NOPE-1': is in no award list; check the award id" in result.stderr
    assert "'NOPE-2': is in no award list; check the award id" in result.stderr
    assert files(root) == before


def test_reducing_to_more_than_the_award_has_is_a_failure(root: Path) -> None:
    before = files(root)
    result = run("reduce", "HPC-2026-1-003", "--to", "9", "--reason", "x", "--yes", "--at", "2026-03-01")
    assert result.exit_code == 1
    assert "'HPC-2026-1-003': has 8 H100 at 2026-03-01T00:00:00+09:00; reduce to less" in result.stderr
    assert files(root) == before


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-01-01T00:00:00", "has 8 H100 at 2026-01-01T00:00:00+09:00"),
        ("2025-12-31T23:59:59", "has 8 H100 at 2026-01-01T00:00:00+09:00"),  # when its term begins
        ("2025-12-31T15:00:01+00:00", "has 8 H100 at 2026-01-01T00:00:01+09:00"),
        ("2026-06-30T23:59:59", "has 8 H100 at 2026-06-30T23:59:59+09:00"),
        ("2026-07-01", "its term ends at 2026-07-01T00:00:00+09:00, so it has nothing at 2026-07-01T00:00:00+09:00"),
    ],
)
def test_an_instant_without_offset_is_korean_time(root: Path, at: str, told: str) -> None:
    """More GPUs than the award holds is refused before anything else, and says what it holds at that instant."""
    result = run("reduce", "HPC-2026-1-003", "--to", "99", "--reason", "x", "--at", at)
    assert result.exit_code == 1
    assert f"'HPC-2026-1-003': {told}; " in result.stderr


def test_the_instant_may_come_from_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It wins over the real clock, and --at wins over it."""
    monkeypatch.setattr("gpuprov.cli.planning.use_toolchain", lambda: None)
    monkeypatch.setattr("gpuprov.cli.planning.observe_and_plan", stop)
    monkeypatch.setenv("GPUPROV_AT", "2026-07-01")
    for typed, at in (((), "2026-07-01T00:00:00+09:00"), (("--at", "2026-03-01"), "2026-03-01T00:00:00+09:00")):
        with pytest.raises(Stopped, match=re.escape(at)):
            CliRunner().invoke(main, ["plan", *typed], catch_exceptions=False)


class Stopped(Exception):
    """Says for which instant a command would have gone on."""


def stop(project: object, desired: Desired, *_: object) -> None:
    raise Stopped(desired.at.isoformat())


def test_an_instant_without_an_offset_is_in_the_programmes_time_zone() -> None:
    at = in_zone(Instant().convert("2026-03-01T09:00:00", None, None), ZoneInfo("Asia/Seoul"))
    assert at == datetime.fromisoformat("2026-03-01T00:00:00+00:00")
    assert at.isoformat() == "2026-03-01T09:00:00+09:00"


@pytest.mark.parametrize("command", ["plan", "up", "expire"])
@pytest.mark.parametrize("at", ["tomorrow", "2026-02-30", "2026-03-01T25:00:00"])
def test_a_bad_instant_is_wrong_usage(root: Path, command: str, at: str) -> None:
    result = run(command, "--at", at)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"'{at}' is not a timestamp; write it as 2026-06-30T23:59:59+09:00" in result.stderr


def test_a_bad_instant_in_the_environment_is_wrong_usage(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUPROV_AT", "tomorrow")
    result = run("plan")
    assert (result.exit_code, "is not a timestamp" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nope",),
        ("plan", "--nope"),
        ("forfeit", "--reason", "x"),
        ("forfeit", "HPC-2026-1-001"),
        ("reduce", "HPC-2026-1-003", "--reason", "x"),
        ("reduce", "HPC-2026-1-003", "--to", "0", "--reason", "x"),
        ("up", "--allow-teardown", "-1"),
        ("up", "--timeout", "0"),
    ],
)
def test_wrong_usage(root: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")


@pytest.mark.parametrize("option", ["--reason", "--by"])
def test_an_empty_reason_or_name_is_wrong_usage(root: Path, option: str) -> None:
    result = run("forfeit", "HPC-2026-1-001", "--reason", "x", "--yes", option, "")
    assert result.exit_code == 2


# ---- asking


def test_without_a_terminal_nobody_is_asked() -> None:
    @click.command()
    def ask() -> None:
        confirm("Go on?", yes=False)
        click.echo("went on")

    result = CliRunner().invoke(ask, input="y\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pass --yes: there is no terminal to ask at" in result.stderr


def test_yes_asks_nobody() -> None:
    confirm("Go on?", yes=True)


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_at_a_terminal_the_answer_counts(monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    @click.command()
    def ask() -> None:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        confirm("Go on?", yes=False)

    result = CliRunner().invoke(ask, input=answer)
    assert (result.exit_code, result.stdout) == (code, "")
    assert "Go on? [y/N]" in result.stderr
    assert ("nothing was changed" in result.stderr) is (code == 1)
