"""`gpuprov sandbox` where nothing runs."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gpuprov.cli import main
from gpuprov.cli.sandbox import _path
from gpuprov.sandbox import DEFAULT_CLUSTERS, state
from gpuprov.sandbox.files import private_folder


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["sandbox", *arguments], env=env)


def test_help_names_every_command() -> None:
    output = run("--help").output
    for name in ("up", "down", "status", "kubeconfig", "env", "stop", "start"):
        assert f"  {name} " in output


@pytest.mark.parametrize("name", ["kubeconfig", "env", "status"])
def test_without_a_sandbox_the_commands_say_what_to_do_and_print_no_data(tmp_path: Path, name: str) -> None:
    result = run("--dir", str(tmp_path / "none"), name)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "`gpuprov sandbox up` makes one" in result.stderr


def test_status_as_json_is_json_even_without_a_sandbox(tmp_path: Path) -> None:
    result = run("--dir", str(tmp_path / "none"), "status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"ready": False, "clusters": []}


def test_down_without_a_sandbox_is_fine(tmp_path: Path) -> None:
    assert run("--dir", str(tmp_path / "none"), "down").exit_code == 0


def test_the_folder_comes_from_the_environment(tmp_path: Path) -> None:
    root = private_folder(tmp_path / "from env")
    state.save(root, state.new_state(DEFAULT_CLUSTERS))
    result = run("kubeconfig", env={"GPUPROV_SANDBOX_DIR": str(root)})
    assert result.stdout == f"{root}/kubeconfig\n"


def test_env_is_safe_to_eval_for_any_folder(tmp_path: Path) -> None:
    root = private_folder(tmp_path / "it's $(here)")
    state.save(root, state.new_state(DEFAULT_CLUSTERS))
    result = run("--dir", str(root), "env")
    assert result.exit_code == 0
    words = [shlex.split(line) for line in result.stdout.splitlines()]
    assert {tuple(word[:1]) for word in words} == {("export",)}
    values = dict(word[1].split("=", 1) for word in words)
    assert values["KUBECONFIG"] == f"{root}/kubeconfig"
    assert values["PULUMI_CONFIG_PASSPHRASE"] == ""
    assert set(values) == {"KUBECONFIG", "PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PATH"}


def test_path_has_each_folder_once_and_ours_first() -> None:
    assert _path(["/venv/bin", "/tools"], {"PATH": "/usr/bin:/venv/bin"}) == "/venv/bin:/tools:/usr/bin"
