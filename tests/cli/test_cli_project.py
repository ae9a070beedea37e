"""The command line and its project: how it is found, and what is told of its stack files."""

import json
from pathlib import Path

import pytest
from cli_project import run


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
