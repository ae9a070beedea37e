"""The command line where no cluster and no toolchain is needed: files, options, help and exit codes."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from gpuprov import errors
from gpuprov.cli import main, toolchain
from gpuprov.cli.common import Exit, Instant, confirm, error_json, error_text, exit_code

REPOSITORY = Path(__file__).parents[2]
FIRST = "examples/awards-2026-h1.csv"
EXTRA = "examples/awards-2026-extra-cp949.csv"
EXCESSES = [
    (
        "elice-cloud H100: 434 GPUs allocated of 400, 34 too many (34 H100-equivalents), from "
        "2026-02-01T00:00:00+09:00 to 2026-07-01T00:00:00+09:00 by 64 awards; forfeit or reduce awards, or move them "
        "to another provider"
    ),
    (
        "samsung-sds H100: 207 GPUs allocated of 200, 7 too many (7 H100-equivalents), from "
        "2026-02-01T00:00:00+09:00 to 2026-07-01T00:00:00+09:00 by 29 awards; forfeit or reduce awards, or move them "
        "to another provider"
    ),
]
BROKEN = """과제번호,기관명,유형,신청수량(H100),공급사,배정GPU,배정수량,시작일,종료일
X-1,가나대학교,1,1,삼성SDS,H100,8대,2026-06-31,2026-06-30
X-2,가나대학교,1,3,엘리스클라우드,A100,4,2026-01-01,2026-06-30
X-1,가나대학교,1,1,없는회사,H100,1,2026-01-01,2026-06-30
"""


def make_project(root: Path) -> Path:
    """Copy what makes a project out of the repository."""
    root.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "Pulumi.yaml", root)
    for folder in ("stacks", "examples", "charts", "policies"):
        ignored = shutil.ignore_patterns("*.jsonl*", "__pycache__", ".venv")
        shutil.copytree(REPOSITORY / folder, root / folder, ignore=ignored)
    return root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, which is the working directory; no toolchain anywhere."""
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("GPUPROV_AT", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def forfeitures(ids: Sequence[str]) -> str:
    return "".join(
        json.dumps(
            {
                "award": one,
                "at": "2026-01-20T00:00:00+09:00",
                "by": "kim",
                "reason": "gave up",
                "recorded": "2026-01-20T09:00:00+09:00",
                "event": "forfeited",
            }
        )
        + "\n"
        for one in ids
    )


# ---- validate


def test_the_projects_list_is_valid(root: Path) -> None:
    result = run("validate")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "valid: 120 awards, 120 selected, 0 forfeited in the ledger"
    assert ["samsung-sds", "H100", "200", "200"] in [line.split() for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("name", "awards", "selected", "peaks"),
    [
        (
            FIRST,
            120,
            120,
            {"elice-cloud H100": 398, "elice-cloud A100": 0, "kt-cloud H200": 223, "samsung-sds H100": 200},
        ),
        (EXTRA, 12, 9, {"elice-cloud H100": 36, "elice-cloud A100": 68, "kt-cloud H200": 0, "samsung-sds H100": 7}),
    ],
)
def test_each_sample_list_is_valid_alone(
    root: Path, name: str, awards: int, selected: int, peaks: dict[str, int]
) -> None:
    result = run("validate", name, "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert data.keys() == {"valid", "awards", "selected", "forfeited", "pools"}
    assert (data["valid"], data["awards"], data["selected"], data["forfeited"]) == (True, awards, selected, 0)
    assert {f"{pool['provider']} {pool['model']}": pool["peak"] for pool in data["pools"]} == peaks


def test_both_lists_together_are_refused_with_the_exact_excess(root: Path) -> None:
    before = files(root)
    result = run("validate", FIRST, EXTRA)
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.splitlines() == ["refused, nothing was changed:", *(f"  - {line}" for line in EXCESSES)]
    assert files(root) == before


def test_both_lists_together_are_refused_in_json(root: Path) -> None:
    result = run("validate", FIRST, EXTRA, "--json")
    assert result.exit_code == 4
    assert json.loads(result.stdout) == {"error": "PlanRefused", "message": "\n".join(EXCESSES), "reasons": EXCESSES}


def test_forfeitures_in_the_ledger_make_room(root: Path) -> None:
    ledger = root / "examples" / "ledger.jsonl"
    enough = ["HPC-2026-1-018", "HPC-2026-1-021", "HPC-2026-1-006"]  # 32 at samsung-sds, 32 and 8 at elice-cloud
    ledger.write_text(forfeitures(enough[:2]))
    short = run("validate", FIRST, EXTRA)
    assert short.exit_code == 4
    assert "elice-cloud H100: 402 GPUs allocated of 400, 2 too many" in short.stderr
    assert "samsung-sds" not in short.stderr
    ledger.write_text(forfeitures(enough))
    result = run("validate", FIRST, EXTRA, "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["awards"], data["forfeited"]) == (0, 132, 3)


def test_an_event_of_an_unknown_award_is_a_warning(root: Path) -> None:
    (root / "examples" / "ledger.jsonl").write_text(forfeitures(["NOBODY"]))
    result = run("validate", "--json")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert "forfeited of NOBODY, which no award list has" in result.stderr
    assert json.loads(result.stdout)["forfeited"] == 0


def test_a_broken_list_tells_all_problems_at_once(root: Path) -> None:
    (root / "broken.csv").write_text(BROKEN, encoding="utf-8")
    before = files(root)
    result = run("validate", "broken.csv", "missing.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    for part in (
        "broken.csv:2 [배정수량] '8대': may count servers",
        "broken.csv:2 [시작일] '2026-06-31': is no day of the calendar",
        "broken.csv:3 [배정수량] '4': 3 H100 convert to 12 A100, not 4",
        "broken.csv:4 [공급사] '없는회사': is no configured supplier",
        "missing.csv does not exist",
    ):
        assert part in result.stderr
    count = len(result.stderr.splitlines()) - 1
    assert result.stderr.splitlines()[-1] == f"{count} problems, nothing was changed"
    assert count >= 5
    assert files(root) == before


def test_a_broken_list_and_a_broken_ledger_in_json(root: Path) -> None:
    (root / "broken.csv").write_text(BROKEN, encoding="utf-8")
    (root / "examples" / "ledger.jsonl").write_text(forfeitures(["HPC-2026-1-001"]) + '{"award":\n')
    result = run("validate", "broken.csv", "--json")
    data = json.loads(result.stdout)
    assert result.exit_code == 1
    assert data["error"] == "InputError"
    assert {one["file"].rsplit("/", 1)[-1] for one in data["problems"]} == {"broken.csv", "ledger.jsonl"}
    row = next(one for one in data["problems"] if one["column"] == "시작일")
    assert (row["file"], row["row"], row["value"]) == ("broken.csv", 2, "2026-06-31")
    assert row["remedy"]
    assert next(one["row"] for one in data["problems"] if one["file"].endswith("ledger.jsonl")) == 2


def test_the_schema_is_the_one_in_the_documents(root: Path) -> None:
    result = run("validate", "--schema")
    assert result.exit_code == 0
    assert result.stdout == (REPOSITORY / "docs" / "award-list.schema.json").read_text(encoding="utf-8")


def test_the_schema_needs_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("validate", "--schema").exit_code == 0


# ---- the project


def test_the_project_is_found_from_a_subfolder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = root / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert run("validate").stdout.startswith("valid: 120 awards")


@pytest.mark.parametrize("option", ["-C", "--project"])
def test_the_project_is_named_with_an_option(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("validate", option, "project").stdout.startswith("valid: 120 awards")


def test_without_a_project_the_message_says_what_to_do(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("validate", "--json")
    assert result.exit_code == 1
    assert "no Pulumi.yaml here or in a folder above; go to the project's folder or name it with -C" in result.stderr
    assert json.loads(result.stdout)["error"] == "InputError"


def test_a_folder_that_does_not_exist_is_wrong_usage(root: Path) -> None:
    assert run("validate", "-C", "nowhere").exit_code == 2


def test_every_problem_of_every_stack_file_is_told(root: Path) -> None:
    for name, old, new in (("kt-cloud", "capacity: 400", "capacity: many"), ("samsung-sds", "context:", "contexts:")):
        path = root / "stacks" / f"Pulumi.{name}.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    result = run("validate")
    assert result.exit_code == 1
    for part in (
        "Pulumi.kt-cloud.yaml [gpuprov:cluster.pools.0.capacity] 'many'",
        "Pulumi.samsung-sds.yaml [gpuprov:cluster.context]",
        "Pulumi.samsung-sds.yaml [gpuprov:cluster.contexts]",
    ):
        assert part in result.stderr


def test_a_stack_cannot_name_another_provider(root: Path) -> None:
    path = root / "stacks" / "Pulumi.kt-cloud.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("    context:", "    provider: samsung-sds\n    context:"), encoding="utf-8")
    result = run("validate")
    assert result.exit_code == 1
    assert "Pulumi.kt-cloud.yaml [gpuprov:cluster.provider]" in result.stderr


# ---- names and instants


def test_an_unknown_provider_is_told_with_those_that_exist(root: Path) -> None:
    result = run("status", "--provider", "nope", "--provider", "kt-cloud", "--provider", "nada", "--json")
    data = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [one["value"] for one in data["problems"]] == ["nope", "nada"]
    assert {one["remedy"] for one in data["problems"]} == {"use elice-cloud, kt-cloud, samsung-sds"}


def test_unknown_awards_are_all_named_and_nothing_is_written(root: Path) -> None:
    before = files(root)
    result = run("forfeit", "NOPE-1", "HPC-2026-1-001", "NOPE-2", "--reason", "x", "--yes", "--json")
    assert result.exit_code == 1
    assert [one["value"] for one in json.loads(result.stdout)["problems"]] == ["NOPE-1", "NOPE-2"]
    assert "'NOPE-1': is in none of awards-2026-h1.csv" in result.stderr
    assert "'NOPE-2': is in none of awards-2026-h1.csv" in result.stderr
    assert files(root) == before


def test_reducing_to_more_than_the_award_has_is_a_failure(root: Path) -> None:
    before = files(root)
    result = run("reduce", "HPC-2026-1-003", "--to", "9", "--reason", "x", "--yes", "--at", "2026-03-01")
    assert result.exit_code == 1
    assert "'HPC-2026-1-003': has 8 H100 at that instant" in result.stderr
    assert files(root) == before


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        ("2026-01-01T00:00:00", True),  # the first instant of the term in Korean time
        ("2025-12-31T23:59:59", False),
        ("2025-12-31T15:00:00+00:00", True),
        ("2026-06-30T23:59:59", True),
        ("2026-07-01", False),
    ],
)
def test_an_instant_without_offset_is_korean_time(root: Path, at: str, holds: bool) -> None:
    """More GPUs than the award holds is refused before anything else, and says what it holds at that instant."""
    result = run("reduce", "HPC-2026-1-003", "--to", "99", "--reason", "x", "--at", at)
    assert result.exit_code == 1
    assert f"has {'8 H100' if holds else 'nothing'} at that instant" in result.stderr


def test_the_instant_may_come_from_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUPROV_AT", "2026-07-01")
    command = ("reduce", "HPC-2026-1-003", "--to", "99", "--reason", "x")
    assert "has nothing at that instant" in run(*command).stderr
    assert "has 8 H100 at that instant" in run(*command, "--at", "2026-03-01").stderr


def test_an_instant_is_converted_as_korean_time() -> None:
    at = Instant().convert("2026-03-01T09:00:00", None, None)
    assert at == datetime.fromisoformat("2026-03-01T00:00:00+00:00")
    assert at.isoformat() == "2026-03-01T09:00:00+09:00"


@pytest.mark.parametrize("command", ["plan", "up", "expire"])
@pytest.mark.parametrize("at", ["tomorrow", "2026-02-30", "2026-03-01T25:00:00"])
def test_a_bad_instant_is_wrong_usage(root: Path, command: str, at: str) -> None:
    result = run(command, "--at", at)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"'{at}' is no instant; write it as 2026-06-30T23:59:59+09:00" in result.stderr


def test_a_bad_instant_in_the_environment_is_wrong_usage(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUPROV_AT", "tomorrow")
    result = run("plan")
    assert (result.exit_code, "is no instant" in result.stderr) == (2, True)


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


# ---- the toolchain is missing


@pytest.mark.parametrize(
    "command",
    [
        ("plan",),
        ("up", "--yes"),
        ("expire", "--yes"),
        ("forfeit", "HPC-2026-1-001", "--reason", "x", "--yes"),
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


# ---- asking


def test_without_a_terminal_nobody_is_asked() -> None:
    @click.command()
    def ask() -> None:
        confirm("Go on?", yes=False)
        click.echo("went on")

    result = CliRunner().invoke(ask, input="y\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give --yes: there is no terminal to ask at" in result.stderr


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


# ---- errors and exit codes

PROBLEM = errors.Problem(file="a.csv", message="is bad", remedy="mend it")
MADE = {
    errors.GpuprovError: errors.GpuprovError("x"),
    errors.InputError: errors.InputError([PROBLEM]),
    errors.PlanRefused: errors.PlanRefused(["one", "two"]),
    errors.ClusterError: errors.ClusterError("kt-cloud", "x"),
    errors.ClusterUnreachable: errors.ClusterUnreachable("kt-cloud", "x"),
    errors.NotReclaimed: errors.NotReclaimed("kt-cloud", "x"),
    errors.EngineError: errors.EngineError("x"),
    errors.ToolchainError: errors.ToolchainError("x"),
    errors.SandboxError: errors.SandboxError("x"),
}
CODES = {
    errors.GpuprovError: Exit.FAILURE,
    errors.InputError: Exit.FAILURE,
    errors.PlanRefused: Exit.REFUSED,
    errors.ClusterError: Exit.SOME_CLUSTERS_FAILED,
    errors.ClusterUnreachable: Exit.SOME_CLUSTERS_FAILED,
    errors.NotReclaimed: Exit.SOME_CLUSTERS_FAILED,
    errors.EngineError: Exit.FAILURE,
    errors.ToolchainError: Exit.FAILURE,
    errors.SandboxError: Exit.FAILURE,
}


def subclasses(kind: type[errors.GpuprovError]) -> set[type[errors.GpuprovError]]:
    return {kind}.union(*(subclasses(one) for one in kind.__subclasses__()))


def test_the_table_has_every_error() -> None:
    ours = {one for one in subclasses(errors.GpuprovError) if one.__module__ == errors.__name__}
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
    assert {one.name: int(one) for one in Exit} == {
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


def test_an_interruption_is_130(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpuprov.cli.status.read_status", interrupted)
    result = run("status", "--json")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "give the same command again" in result.stderr


def test_an_interrupted_installation_is_130_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(toolchain, "ensure", interrupted)
    monkeypatch.setattr("gpuprov.cli.toolchain.signal.signal", lambda *_: None)
    assert run("toolchain", "install").exit_code == 130


# ---- help


def every_command(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    below = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [path, *(one for name, found in below if found for one in every_command(found, (*path, name)))]


@pytest.mark.parametrize("path", every_command(main), ids=lambda path: " ".join(path) or "gpuprov")
def test_help_of_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)  # help needs no project
    result = run(*path, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: ")


def imported_by(*arguments: str) -> set[str]:
    """Return which of the slow packages a command imports, in a process of its own."""
    script = (
        "import sys\n"
        "from gpuprov.cli import main\n"
        "try:\n"
        f"    main({list(arguments)!r})\n"
        "finally:\n"
        "    slow = [name for name in ('pulumi', 'kubernetes') if name in sys.modules]\n"
        "    print('slow:', *slow, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.rpartition("slow:")[2].split())


def test_the_version_imports_neither_pulumi_nor_kubernetes() -> None:
    assert imported_by("--version") == set()


def test_help_imports_neither_pulumi_nor_kubernetes() -> None:
    assert imported_by("--help") == set()


def test_the_module_is_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpuprov", "--version"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.startswith("gpuprov, version ")
