"""What counts as being there: the pinned version on PATH, or a complete folder in the cache."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from gpuprov.errors import ToolchainError
from gpuprov.toolchain import CLI_TOOLS, TOOL_NAMES, Installed, find, locate
from gpuprov.toolchain.lookup import MANIFEST
from gpuprov.toolchain.pins import ETCD, EXEC_SCRIPT, LANGUAGE, PLUGIN_VERSION, PULUMI_VERSION, UNITS, Unit, unit_of
from gpuprov.toolchain.settings import Settings
from toolchain.conftest import Script


def put_in_cache(settings: Settings, unit: Unit) -> Path:
    """Lay out a complete installation of a unit."""
    home = settings.home(unit)
    for place in (*unit.places.values(), *unit.files):
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_text("#!/bin/sh\nexit 1\n")
        (home / place).chmod(0o755)
    sizes = {place: (home / place).stat().st_size for place in (*unit.places.values(), *unit.files)}
    (home / MANIFEST).write_text(json.dumps({"revision": unit.revision, "files": sizes}))
    return home


def test_pins_match_the_python_packages() -> None:
    assert version("pulumi") == PULUMI_VERSION
    assert version("pulumi-kubernetes") == PLUGIN_VERSION


def test_the_pinned_version_on_path_is_used(settings: Settings, script: Script) -> None:
    path = script("etcd", 'echo "etcd Version: 3.6.16"; echo "Git SHA: 123"')
    found = locate("etcd", settings)
    assert found is not None
    assert (found.path, found.source) == (path, "path")


@pytest.mark.parametrize(
    "body",
    ['echo "etcd Version: 3.6.15"', 'echo "etcd Version: 3.6.161"', "exit 1", "kill -9 $$", "echo 3.6.16 >&2; exit 0"],
)
def test_another_version_or_no_answer_is_not_used(settings: Settings, script: Script, body: str) -> None:
    script("etcd", body)
    assert locate("etcd", settings) is None


def test_a_binary_that_hangs_is_not_used(settings: Settings, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuprov.toolchain.lookup.ASK_TIMEOUT", 0.1)
    script("etcd", "exec sleep 60")
    assert locate("etcd", settings) is None


def test_a_later_match_on_path_is_found(settings: Settings, script: Script, tmp_path: Path) -> None:
    script("etcd", 'echo "etcd Version: 3.5.0"')
    path = script("etcd", 'echo "etcd Version: 3.6.16"', tmp_path / "second")
    found = locate("etcd", replace(settings, search=f"{settings.search}:{tmp_path / 'second'}"))
    assert found is not None
    assert found.path == path


@pytest.mark.parametrize(
    ("tool", "answer"),
    [
        ("pulumi", "v3.259.0"),
        ("kube-apiserver", "Kubernetes v1.36.3"),
        ("kwok", "kwok version v0.7.0 go1.26.8 (linux/amd64)"),
        ("helm", "v3.20.2+g8fb76d6"),
        ("etcd", "etcd Version: 3.6.16\nGit SHA: Not provided\nGo Version: go1.26.8"),
    ],
)
def test_the_answer_of_every_tool_is_understood(settings: Settings, script: Script, tool: str, answer: str) -> None:
    script(tool, f"echo '{answer}'")
    assert locate(tool, settings) is not None


def test_the_cache_is_trusted_without_running_anything(settings: Settings) -> None:
    home = put_in_cache(settings, ETCD)
    found = locate("etcd", settings)
    assert found is not None
    assert (found.path, found.source) == (home / "bin/etcd", "cache")


def test_a_cache_folder_on_path_counts_as_cache(settings: Settings) -> None:
    home = put_in_cache(settings, ETCD)
    found = locate("etcd", replace(settings, search=str(home / "bin")))
    assert found is not None
    assert found.source == "cache"


@pytest.mark.parametrize("damage", ["no manifest", "not json", "a list", "truncated", "gone", "other revision"])
def test_a_damaged_installation_does_not_count(settings: Settings, damage: str) -> None:
    home = put_in_cache(settings, ETCD)
    manifest, binary = home / MANIFEST, home / "bin" / "etcd"
    match damage:
        case "no manifest":
            manifest.unlink()
        case "not json":
            manifest.write_text("{")
        case "a list":
            manifest.write_text("[]")
        case "truncated":
            binary.write_text("#!")
        case "gone":
            binary.unlink()
        case "other revision":
            manifest.write_text(manifest.read_text().replace('"revision": 1', '"revision": 0'))
    assert locate("etcd", settings) is None


def test_sources_that_are_not_chosen_are_not_looked_at(settings: Settings, script: Script) -> None:
    script("etcd", 'echo "etcd Version: 3.6.16"')
    home = put_in_cache(settings, ETCD)
    only_cache = locate("etcd", replace(settings, sources=("cache",)))
    assert only_cache is not None
    assert only_cache.path == home / "bin" / "etcd"
    assert locate("etcd", replace(settings, sources=("build",))) is None


def test_pulumis_own_release_brings_its_language_host(
    settings: Settings, script: Script, tmp_path: Path, bin_folder: Path
) -> None:
    release = tmp_path / "opt" / "pulumi"
    script("pulumi", "echo v3.259.0", release)
    host = script("pulumi-language-python", "exit 1", release)
    script(EXEC_SCRIPT, "exit 1", release)
    (bin_folder / "pulumi").symlink_to(release / "pulumi")
    found = locate("pulumi-language-python", settings)
    assert found is not None
    assert (found.path, found.version) == (host, "3.259.0")


def test_a_language_host_beside_another_pulumi_is_not_used(settings: Settings, script: Script) -> None:
    script("pulumi", "echo v3.200.0")
    script("pulumi-language-python", "exit 0")
    script(EXEC_SCRIPT, "exit 0")
    assert locate("pulumi-language-python", settings) is None


def test_the_plugin_of_the_pinned_version_is_taken_from_pulumis_folder(
    settings: Settings, script: Script, tmp_path: Path
) -> None:
    folder = tmp_path / "pulumi-home" / "plugins" / "resource-kubernetes-v4.25.0"
    path = script("pulumi-resource-kubernetes", "exit 1", folder)
    found = locate("pulumi-resource-kubernetes", settings)
    assert found is not None
    assert found.path == path
    folder.with_name(folder.name + ".partial").touch()
    assert locate("pulumi-resource-kubernetes", settings) is None


def installed_for_pulumi(settings: Settings) -> Installed:
    found = [locate(name, settings) for name in CLI_TOOLS]
    return Installed(tool for tool in found if tool is not None)


def test_path_for_cli_has_the_analyzer_but_not_our_language_host(settings: Settings) -> None:
    for name in CLI_TOOLS:
        put_in_cache(settings, unit_of(name))
    installed = installed_for_pulumi(settings)
    cli = installed.path_for_cli().split(":")
    language = settings.home(LANGUAGE)
    assert cli == [
        str(settings.home(unit_of("pulumi")) / "bin"),
        str(settings.home(unit_of("pulumi-resource-kubernetes")) / "bin"),
        str(language / "analyzer"),
    ]
    assert installed.path_for_hand().split(":") == [*cli, str(language / "host")]
    # The engine also looks beside its own resolved executable.
    assert not (installed.binary("pulumi").resolve().parent / "pulumi-language-python").exists()


def test_path_for_pulumis_own_release_is_its_folder(settings: Settings, script: Script, bin_folder: Path) -> None:
    script("pulumi", "echo v3.259.0")
    script("pulumi-language-python", "exit 1")
    script(EXEC_SCRIPT, "exit 1")
    put_in_cache(settings, unit_of("pulumi-resource-kubernetes"))
    installed = installed_for_pulumi(settings)
    plugin = str(settings.home(unit_of("pulumi-resource-kubernetes")) / "bin")
    assert installed.path_for_cli().split(":") == [str(bin_folder), plugin]
    assert installed.path_for_hand() == installed.path_for_cli()


def test_what_was_not_asked_for_is_an_error(settings: Settings) -> None:
    with pytest.raises(ToolchainError, match="etcd was not asked for"):
        Installed([]).binary("etcd")


def test_find_refuses_unknown_names(settings: Settings) -> None:
    with pytest.raises(ToolchainError, match="no such tool: kubectl; choose from etcd"):
        find("kubectl", settings)


def test_every_tool_belongs_to_one_unit() -> None:
    assert sorted(TOOL_NAMES) == sorted(name for unit in UNITS for name in unit.places)
    assert len(set(TOOL_NAMES)) == 9


def test_settings_are_read_from_the_environment() -> None:
    settings = Settings.load({"GPUPROV_TOOLCHAIN_SOURCES": "build, path", "GPUPROV_TOOLCHAIN_MIRROR": "https://m/x/"})
    assert settings.sources == ("path", "build")
    assert settings.mirror == "https://m/x"
    assert Settings.load({}).sources == ("path", "cache", "download", "build")


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ToolchainError, match="GPUPROV_TOOLCHAIN_SOURCES: magic unknown; choose from path,cache"):
        Settings.load({"GPUPROV_TOOLCHAIN_SOURCES": "path,magic"})
