"""`gpuprov toolchain`: data on standard output, everything else on standard error, exit codes."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpuprov.cli import main
from gpuprov.toolchain import TOOL_NAMES, Settings
from gpuprov.toolchain.pins import EXEC_SCRIPT
from toolchain.conftest import Script


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["toolchain", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def etcd(script: Script) -> Path:
    return script("etcd", 'echo "etcd Version: 3.6.16"')


def test_list_tells_what_is_there_and_what_is_missing(etcd: Path) -> None:
    code, output, _ = run("list")
    lines = output.splitlines()
    assert code == 0
    assert lines[0].split() == ["TOOL", "VERSION", "FOUND", "PATH"]
    assert ["etcd", "3.6.16", "PATH", str(etcd)] in [line.split() for line in lines]
    assert ["helm", "3.20.2", "missing", "-"] in [line.split() for line in lines]
    assert len(lines) == 1 + len(TOOL_NAMES)


def test_list_as_json(etcd: Path) -> None:
    code, output, _ = run("list", "--json")
    rows = {row["tool"]: row for row in json.loads(output)}
    assert code == 0
    assert rows["etcd"] == {"tool": "etcd", "version": "3.6.16", "found": "PATH", "path": str(etcd)}
    assert rows["kwok"] == {"tool": "kwok", "version": "0.7.0", "found": "missing", "path": None}


def test_install_of_what_is_there_only_prints_it(etcd: Path) -> None:
    assert run("install", "etcd") == (0, f"etcd\t3.6.16\t{etcd}\n", "")


def test_install_shows_progress_on_standard_error(fake_go: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go[1].touch()
    monkeypatch.setenv("GPUPROV_TOOLCHAIN_SOURCES", "cache,build")
    code, output, progress = run("install", "etcd", "--json")
    settings = Settings.load()
    assert code == 0
    assert [row["found"] for row in json.loads(output)] == ["cache"]
    assert progress.startswith("building etcd 3.6.16 from Go modules (about 1 min on 2 cores; 1 of 1)\nbuilt etcd")
    assert (
        stat.S_IMODE((settings.root / "etcd" / "3.6.16" / settings.platform / "bin" / "etcd").stat().st_mode) == 0o755
    )


def test_a_tool_that_cannot_be_had_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUPROV_TOOLCHAIN_SOURCES", "path")
    code, output, message = run("install", "kwok")
    assert (code, output) == (1, "")
    assert "kwok 0.7.0 cannot be had:" in message


def test_an_unknown_tool_is_exit_code_2() -> None:
    code, _, message = run("install", "kubectl")
    assert code == 2
    assert "kubectl" in message


def test_an_unknown_source_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUPROV_TOOLCHAIN_SOURCES", "magic")
    code, _, message = run("list")
    assert code == 1
    assert "GPUPROV_TOOLCHAIN_SOURCES: magic unknown" in message


def test_path_without_tools_says_what_to_install() -> None:
    code, output, message = run("path")
    assert (code, output) == (1, "")
    missing = "pulumi, pulumi-language-python, pulumi-resource-kubernetes missing"
    assert f"{missing}; run `gpuprov toolchain install`" in message


def test_path_prints_the_folders(script: Script, bin_folder: Path, tmp_path: Path) -> None:
    for name in ("pulumi", "pulumi-language-python", EXEC_SCRIPT):
        script(name, "echo v3.259.0")
    plugins = tmp_path / "pulumi-home" / "plugins" / "resource-kubernetes-v4.25.0"
    script("pulumi-resource-kubernetes", "exit 1", plugins)
    assert run("path") == (0, f"{bin_folder}:{plugins}\n", "")
    assert json.loads(run("path", "--hand", "--json")[1]) == [str(bin_folder), str(plugins)]
