"""Errors on the command line: their exit codes, text and JSON, a missing toolchain, and an interruption."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from cli_project import files, run
from click.testing import CliRunner

from gpuprov import errors
from gpuprov.cli import toolchain
from gpuprov.cli.errors import Exit, error_json, error_text, exit_code, reports_errors

PROBLEM = errors.Problem(file="a.csv", message="is bad", remedy="mend it")
PLACED = errors.Problem(file="a.csv", row=3, column="유형", value="4", message="is not a track", remedy="write 1 or 2")
MADE = {
    errors.GpuprovError: errors.GpuprovError("x"),
    errors.InputError: errors.InputError([PROBLEM]),
    errors.PlanRefused: errors.PlanRefused(["one", "two"]),
    errors.Stale: errors.Stale("x"),
    errors.ClusterError: errors.ClusterError("kt-cloud", "x"),
    errors.ClusterUnreachable: errors.ClusterUnreachable("kt-cloud", "x"),
    errors.NotReclaimed: errors.NotReclaimed("kt-cloud", "x"),
    errors.EngineError: errors.EngineError("x"),
    errors.ForgeError: errors.ForgeError("x"),
    errors.ToolchainError: errors.ToolchainError("x"),
    errors.SandboxError: errors.SandboxError("x"),
}
CODES = {
    errors.GpuprovError: Exit.FAILURE,
    errors.InputError: Exit.FAILURE,
    errors.PlanRefused: Exit.REFUSED,
    errors.Stale: Exit.FAILURE,
    errors.ClusterError: Exit.SOME_CLUSTERS_FAILED,
    errors.ClusterUnreachable: Exit.SOME_CLUSTERS_FAILED,
    errors.NotReclaimed: Exit.SOME_CLUSTERS_FAILED,
    errors.EngineError: Exit.FAILURE,
    errors.ForgeError: Exit.FAILURE,
    errors.ToolchainError: Exit.FAILURE,
    errors.SandboxError: Exit.FAILURE,
}


def subclasses(kind: type[errors.GpuprovError]) -> set[type[errors.GpuprovError]]:
    return {kind}.union(*(subclasses(subclass) for subclass in kind.__subclasses__()))


def test_the_table_has_every_error() -> None:
    ours = {error for error in subclasses(errors.GpuprovError) if error.__module__ == errors.__name__}
    assert MADE.keys() == CODES.keys() == ours


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_the_exit_code_of_each_error(kind: type[errors.GpuprovError]) -> None:
    assert exit_code(MADE[kind]) is CODES[kind]


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_each_error_as_json(kind: type[errors.GpuprovError]) -> None:
    data = json.loads(json.dumps(error_json(MADE[kind])))
    extra = {errors.InputError: {"problems"}, errors.PlanRefused: {"reasons"}}.get(kind, set())
    assert data.keys() == {"error", "message"} | extra
    assert (data["error"], data["message"]) == (kind.__name__, str(MADE[kind]))


def test_the_numbers_of_the_exit_codes() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0,
        "FAILURE": 1,
        "USAGE": 2,
        "CHANGES_PENDING": 3,
        "REFUSED": 4,
        "SOME_CLUSTERS_FAILED": 5,
        "INTERRUPTED": 130,
    }
    assert click.UsageError.exit_code == Exit.USAGE


def test_one_problem_is_an_error_and_several_are_counted() -> None:
    assert error_text(errors.InputError([PROBLEM])) == "error: a.csv is bad; mend it"
    assert error_text(errors.InputError([PROBLEM] * 2)).endswith("\n2 problems, nothing was changed")


def test_errors_as_text_and_as_data() -> None:
    assert str(PLACED) == "a.csv:3 [유형] '4': is not a track; write 1 or 2"
    assert error_text(errors.InputError([PLACED])) == f"error: {PLACED}"
    assert error_text(errors.InputError([PLACED, PLACED])).endswith("\n2 problems, nothing was changed")
    assert error_text(errors.PlanRefused(["a", "b"])) == "refused, nothing was changed:\n  - a\n  - b"
    assert error_json(errors.PlanRefused(["a", "b"]))["reasons"] == ["a", "b"]
    assert error_json(errors.InputError([PLACED]))["problems"] == [
        {
            "file": "a.csv",
            "row": 3,
            "column": "유형",
            "value": "4",
            "message": "is not a track",
            "remedy": "write 1 or 2",
        }
    ]
    typed = errors.Problem(argument="AWARD", value="HPC-9", message="is in no award list", remedy="check it")
    assert str(typed) == "AWARD 'HPC-9': is in no award list; check it"
    (data,) = error_json(errors.InputError([typed]))["problems"]
    assert (data["file"], data["argument"], data["row"]) == (None, "AWARD", None)


def test_an_interruption_is_130(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpuprov.cli.poolstatus.read_status", interrupted)
    result = run("status", "--json")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "rerun the same command" in result.stderr


def test_an_interrupted_installation_is_130_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(toolchain, "ensure", interrupted)
    monkeypatch.setattr("gpuprov.cli.toolchain.signal.signal", lambda *_: None)
    assert run("toolchain", "install").exit_code == 130


@pytest.mark.parametrize(("path", "told"), [("/dev/full", "a disk is full"), ("/", "")])
def test_a_full_disk_is_no_bug(path: str, told: str) -> None:
    @click.command
    @reports_errors
    def command() -> None:
        with Path(path).open("w", encoding="utf-8") as file:
            file.write("as much as it takes")

    result = CliRunner().invoke(command)
    assert told in result.stderr
    assert isinstance(result.exception, SystemExit if told else IsADirectoryError), result


@pytest.mark.parametrize(
    "command",
    [
        ("plan",),
        ("up", "--yes"),
        ("expire", "--yes"),
        ("forfeit", "HPC-2026-1-001", "--reason", "x", "--yes", "--at", "2026-03-01"),
        ("reduce", "HPC-2026-1-003", "--to", "4", "--reason", "x", "--yes", "--at", "2026-03-01"),
    ],
    ids=lambda command: command[0],
)
def test_a_missing_toolchain_is_told_with_the_way_out(root: Path, command: tuple[str, ...]) -> None:
    before = files(root)
    result = run(*command, "--json")
    data = json.loads(result.stdout)
    assert result.exit_code == 1
    assert data["error"] == "ToolchainError"
    assert re.fullmatch(r"pulumi, .* missing; run `gpuprov toolchain install`", data["message"])
    assert result.stderr == f"error: {data['message']}\n"
    assert files(root) == before
