"""Commands of officers and operators in Korean: what people read is translated, what machines read is not."""

import re
from pathlib import Path

import pytest
from cli_project import run
from cli_world import PROVIDERS, Api, World

MEDICAL = "HPC-2026-1-003"
EVENT = ("--reason", "x", "--at", "2026-05-01T00:00:00+09:00")

PLAIN = re.compile(
    r"`[^`]*`|'[^']*'|\([^()]*\.[a-z]+\)|--?[a-z][\w-]*|https?://\S+|\S*[/\\.:_=\d-]\S*|[A-Z]\w*[A-Z]\w*|\|"
)
"""What is the same in every language: commands, options, quoted values, paths, names, ids and timestamps."""

SENTENCE = re.compile(r"[A-Za-z][a-z']+(?: [A-Za-z][a-z']*){2,}")
"""Three English words or more; names in a list have commas between, and titles of columns more blanks."""

KUBERNETES = ("does not answer", "no rights here")
"""What API servers say, and what is said of them, stays English."""


def english(text: str) -> list[str]:
    """Return the English sentences of a text."""
    found = []
    for line in text.splitlines():
        if not line.startswith("Usage: ") and not any(phrase in line for phrase in KUBERNETES):
            found += SENTENCE.findall(PLAIN.sub("…", line))
    return found


def remaining(world: World, *commands: tuple[str, ...]) -> dict[tuple[str, ...], list[str]]:
    """Return the English sentences that each command still prints."""
    ran = {command: world.run(*command, "--lang", "ko") for command in commands}
    return {
        command: sentences for command, done in ran.items() if (sentences := english("\n".join([done.out, *done.told])))
    }


def test_the_search_for_english_finds_sentences_and_no_names() -> None:
    assert english("nothing was changed") == ["nothing was changed"]
    assert english("기관 NIPA: `gpuprov plan --full` kt-cloud HPC-2026-1-003 LimitRange defaults, 공급사") == []


def test_what_is_read_of_clusters_is_told_in_korean(world: World, full: Api) -> None:
    assert not remaining(
        world,
        ("status",),
        ("awards", "HPC-2026-1-00"),
        ("awards", "--state", "x", "--columns", "", "--xlsx", "x.txt", "--csv"),
        ("show", MEDICAL),
        ("show", "HPC-2026-1-0003"),
        ("plan",),
        ("plan", "--markdown"),
        ("up",),
    )


def test_what_would_change_is_told_in_korean(world: World, api: Api) -> None:
    api.forbidden.add("kt-cloud")
    assert not remaining(
        world,
        ("plan",),
        ("plan", "--full", "--markdown"),
        ("up", "--provider", "samsung-sds"),
        ("forfeit", MEDICAL, "--reason", "x"),
        ("reduce", MEDICAL, "--to", "4", "--reason", "x"),
        ("expire",),
        ("awards", "--state", "active"),
        ("status",),
        ("show", MEDICAL),
    )


def test_what_is_told_without_any_cluster_is_in_korean(closed: World) -> None:
    (closed.root / "bad.csv").write_text("")
    assert not remaining(
        closed,
        ("validate",),
        ("validate", "examples/awards-2026-h1.csv", "examples/awards-2026-extra-cp949.csv"),
        ("plan", "--markdown"),
        ("forfeit", MEDICAL, *EVENT, "--yes"),
        ("reduce", "HPC-2026-1-006", "--to", "4", *EVENT),
        ("forfeit", MEDICAL, "--reason", "x", "--yes"),
        ("kubeconfig", "--revoke", MEDICAL),
        ("kubeconfig", "--revoke", MEDICAL, "--hours", "3"),
        ("init", "mine", "--supplier", "kt=kt", "--pool", "kt:H200=16:a/b=c"),
        ("init", "mine", "--supplier", "kt=kt", "--pool", "kt:H200=16:a/b=c"),
        ("init", "other", "--supplier", "KT=kt"),
        ("init", "other"),
    )


@pytest.mark.parametrize(
    "command",
    [
        ("plna",),
        ("plan", "--fulll"),
        ("plan", "--at", "x"),
        ("forfeit", "--reason", "x"),
        ("forfeit", MEDICAL, "--reason", " "),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_in_korean(root: Path, command: tuple[str, ...]) -> None:
    result = run("--lang", "ko", *command)
    assert (result.exit_code, english(result.stderr)) == (2, [])
    assert result.stderr.splitlines()[-1].startswith("오류: ")


def test_the_language_may_stand_before_the_command_or_after_it(root: Path) -> None:
    korean = run("validate", "--lang", "ko").stdout
    assert korean.startswith("유효함: ")
    assert run("--lang", "ko", "validate").stdout == korean
    assert run("--lang", "ko", "validate", "--lang", "en").stdout == run("validate").stdout != korean


@pytest.mark.parametrize(
    "command",
    [
        ("validate", "--json"),
        ("status", "--json"),
        ("plan", "--json"),
        ("awards", "--json"),
        ("awards", "--csv"),
        ("show", MEDICAL, "--json"),
        ("show", "HPC-0", "--json"),
    ],
    ids=" ".join,
)
def test_what_machines_read_is_the_same_in_every_language(world: World, api: Api, command: tuple[str, ...]) -> None:
    api.forbidden.add("kt-cloud")
    assert world.run(*command, "--lang", "ko").out == world.run(*command).out


@pytest.mark.parametrize(
    "command",
    [("plan",), ("forfeit", MEDICAL, "--reason", "x", "--yes"), ("kubeconfig", "--revoke", MEDICAL)],
    ids=" ".join,
)
def test_errors_for_machines_are_the_same_in_every_language(closed: World, command: tuple[str, ...]) -> None:
    first = closed.run(*command, "--json", "--lang", "ko")
    again = closed.run(*command, "--json")
    assert first.data == again.data
    assert first.data["failed"].keys() <= set(PROVIDERS)
