"""What a shell completes, as Click's own protocol asks for it."""

import sys
from pathlib import Path

import pytest
from cli_world import World
from click.shell_completion import ShellComplete
from projects import REPOSITORY, run_command

from gpuprov.cli import main

CLI = REPOSITORY / "docs" / "cli.md"


def completed(*typed: str) -> list[str]:
    """Return what is proposed for the last of the words."""
    *words, incomplete = typed
    asked = ShellComplete(main, {}, "gpuprov", "_GPUPROV_COMPLETE")
    return [item.value for item in asked.get_completions(words, incomplete)]


@pytest.mark.parametrize("command", ["plan", "up", "expire", "setup", "preflight", "status"])
def test_providers_are_completed(root: Path, command: str) -> None:
    assert completed(command, "--provider", "") == ["elice-cloud", "kt-cloud", "samsung-sds"]
    assert completed(command, "--provider", "kt") == ["kt-cloud"]


def test_award_ids_are_completed_in_any_capitals_and_each_once(root: Path) -> None:
    for command in ("forfeit", "reduce", "kubeconfig"):
        assert completed(command, "hpc-2026-1-00") == [f"HPC-2026-1-00{number}" for number in range(1, 10)]
    assert "HPC-2026-1-001" not in completed("forfeit", "HPC-2026-1-001", "HPC-2026-1-00")


def test_the_project_that_is_named_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert completed("forfeit", "-C", str(root), "HPC-2026-1-001") == ["HPC-2026-1-001"]


def test_what_cannot_be_read_completes_nothing_and_says_nothing(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "examples" / "awards-2026-h1.csv").write_text("nonsense\n1\n")
    assert completed("forfeit", "HPC") == []
    monkeypatch.chdir("/")
    assert completed("plan", "--provider", "k") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_is_given_the_script_that_the_document_names(world: World, shell: str) -> None:
    assert f"_GPUPROV_COMPLETE={shell}_source gpuprov" in CLI.read_text(encoding="utf-8")
    variables = world.environment | {"_GPUPROV_COMPLETE": f"{shell}_source"}
    ran = run_command([sys.executable, "-m", "gpuprov"], world.root, variables)
    assert (ran.code, "_GPUPROV_COMPLETE" in ran.out) == (0, True)
