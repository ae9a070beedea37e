"""Builds with a go that is a script: what is run, and what is told when it fails."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gpuprov.toolchain.events import SourceFailed
from gpuprov.toolchain.gobuild import build, copy_recipe, run_go
from gpuprov.toolchain.pins import ETCD, KUBERNETES, LANGUAGE, ON_REQUEST, PLUGIN, PULUMI, UNITS, Unit
from toolchain.conftest import Script


def quiet(seconds: float, line: str) -> None:
    pass


def test_without_go_the_message_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match=r"install Go 1\.26 or newer .*or put etcd 3\.6\.16 on PATH"):
        build(ETCD, tmp_path / "work", tmp_path / "out", quiet)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("dial tcp: lookup proxy.example on 10.0.0.2:53: no such host", "Go modules cannot be downloaded"),
        ("dial tcp 10.1.1.1:443: connect: connection refused", "Go modules cannot be downloaded"),
        ("go: go.mod requires go >= 1.26 (running go 1.21.0; GOTOOLCHAIN=local)", "this Go is too old: install Go"),
        ("write /tmp/go-build1/b001/_pkg_.a: no space left on device", "a disk is full"),
        ("compile: signal: killed", "go or its compiler was killed"),
        ("x.go:1: undefined: y", "go ended with exit code 1"),
    ],
)
def test_failures_show_their_cause_and_the_last_lines(tmp_path: Path, script: Script, line: str, cause: str) -> None:
    script("go", f"for i in $(seq 40); do echo noise $i >&2; done; echo '{line}' >&2; exit 1")
    with pytest.raises(SourceFailed) as caught:
        build(ETCD, tmp_path / "work", tmp_path / "out", quiet)
    message = str(caught.value)
    assert message.startswith(cause)
    assert line in message
    assert "noise 40" in message
    assert "noise 5\n" not in message


def test_the_packages_that_go_compiles_are_shown_and_are_in_no_error(tmp_path: Path, script: Script) -> None:
    script("go", "echo k8s.io/api/core/v1 >&2; sleep 1.5; echo golang.org/x/net >&2; echo 'x.go:1: no x' >&2; exit 1")
    shown: list[str] = []
    with pytest.raises(SourceFailed) as caught:
        build(ETCD, tmp_path / "work", tmp_path / "out", lambda _, line: shown.append(line))
    assert "k8s.io/api/core/v1" in shown
    assert str(caught.value).endswith("its last lines were:\n  x.go:1: no x")


def test_a_module_that_cannot_be_fetched_shows_what_go_wrote_to_standard_output(tmp_path: Path, script: Script) -> None:
    script("go", """echo '{"Error": "dial tcp: i/o timeout"}'; exit 1""")
    with pytest.raises(SourceFailed, match=r"Go modules cannot be downloaded(.|\n)*i/o timeout"):
        build(PLUGIN, tmp_path / "work", tmp_path / "out", quiet)


def test_all_three_servers_come_from_one_build(tmp_path: Path, script: Script) -> None:
    script("go", f'printf "%s\\n" "$@" > {tmp_path}/args; echo "$GOWORK $PWD" > {tmp_path}/env')
    build(KUBERNETES, tmp_path / "work", tmp_path / "out", quiet)
    arguments = (tmp_path / "args").read_text().splitlines()
    assert arguments[:4] == ["build", "-v", "-mod=readonly", "-trimpath"]
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in arguments[5]
    assert "version.gitMajor=1 " in arguments[5]
    assert arguments[5].endswith("version.gitMinor=36")
    assert arguments[7] == f"{tmp_path}/out/bin/"
    assert arguments[8:] == [f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES.places]
    assert (tmp_path / "env").read_text() == f"off {tmp_path}/work/kubernetes\n"


def test_nothing_that_verifies_is_switched_off(tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOFLAGS", "GOINSECURE", "GOSUMDB"):
        monkeypatch.delenv(name, raising=False)
    script("go", f"env > {tmp_path}/env")
    build(ETCD, tmp_path / "work", tmp_path / "out", quiet)
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert {name for name in names if name.startswith("GO")} == {"GOWORK"}


def test_the_plugin_embeds_the_schema_with_its_version(tmp_path: Path, script: Script) -> None:
    module = tmp_path / "module" / "cmd" / "pulumi-resource-kubernetes"
    module.mkdir(parents=True)
    (module / "schema.json").write_text('{\n "name": "kubernetes",\n "version": "4.0.0-alpha"\n}')
    (module / "terraform-mapping.json").write_text('{\n "a": [1, 2]\n}')
    script("go", f"""[ "$1" = mod ] && echo '{{"Dir": "{tmp_path}/module"}}'; exit 0""")
    build(PLUGIN, tmp_path / "work", tmp_path / "out", quiet)
    source = tmp_path / "work" / PLUGIN.recipe.folder
    assert (source / "schema-embed.json").read_text() == '{"name":"kubernetes","version":"4.25.0"}'
    assert (source / "terraform-mapping-embed.json").read_text() == '{"a":[1,2]}'


def test_the_scripts_come_from_the_right_modules(tmp_path: Path, script: Script) -> None:
    for module, folder, name in (
        (PULUMI.recipe.folder, "cmd", "pulumi-language-python-exec"),
        (LANGUAGE.recipe.folder, "dist", "pulumi-analyzer-policy-python"),
    ):
        path = tmp_path / "modules" / module / "python" / folder / name
        path.parent.mkdir(parents=True)
        path.write_text(f"of {module}")
    script("go", f"""[ "$1" = mod ] && echo "{{\\"Dir\\": \\"{tmp_path}/modules/$(basename "$PWD")\\"}}"; exit 0""")
    out = tmp_path / "out"
    build(LANGUAGE, tmp_path / "work", out, quiet)
    assert (out / "host" / "pulumi-language-python-exec").read_text() == "of pulumi"
    assert (out / "analyzer" / "pulumi-analyzer-policy-python").read_text() == "of pulumi-language-python"
    assert all(os.access(out / place, os.X_OK) for place in LANGUAGE.files)


def test_an_error_while_go_runs_ends_it(tmp_path: Path, script: Script) -> None:
    go = script("go", f"echo $$ > {tmp_path}/pid; exec sleep 600")

    class Stopped(Exception):
        pass

    def stop(seconds: float, line: str) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        run_go([str(go)], tmp_path, stop)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("unit", [*UNITS, *ON_REQUEST], ids=lambda unit: unit.name)
def test_every_recipe_pins_its_module(tmp_path: Path, unit: Unit) -> None:
    folder = copy_recipe(unit.recipe, tmp_path)
    assert re.search(r"^go 1\.26", (folder / "go.mod").read_text(), re.MULTILINE)
    sums = (folder / "go.sum").read_text()
    assert " h1:" in sums
    for package in unit.recipe.packages:
        parts = package.split("/")
        modules = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
        assert package == "." or any(f"{module} v" in sums for module in modules)


def test_scripts_of_the_same_release_as_the_python_package_are_pinned(tmp_path: Path) -> None:
    sums = (copy_recipe(PULUMI.recipe, tmp_path) / "go.sum").read_text()
    assert f"github.com/pulumi/pulumi/sdk/v3 v{PULUMI.version} h1:" in sums
