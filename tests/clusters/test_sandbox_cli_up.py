"""`gpuprov sandbox` with the three clusters of the programme, run for real."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sandbox_fixtures import programs

from gpuprov import toolchain
from gpuprov.cli import main

pytestmark = pytest.mark.sandbox


class Given:
    """Stands for the toolchain's answer where the test's programs come from a folder."""

    def binary(self, name: str) -> Path:
        return programs()[name]


def run(root: Path, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("GPUPROV_TEST_BINARIES"):
            patch.setattr(toolchain, "ensure", lambda *names: Given())
        return CliRunner().invoke(main, ["sandbox", "--dir", str(root), *arguments])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cli") / "sandbox"
    try:
        result = run(folder, "up")
        assert result.exit_code == 0, result.stderr
        assert result.stdout == ""
        assert f"kubeconfig: {folder}/kubeconfig" in result.stderr
        yield folder
    finally:
        assert run(folder, "down").exit_code == 0
        assert not folder.exists()


def clusters(result: Result) -> dict[str, dict[str, Any]]:
    return {cluster["name"]: cluster for cluster in json.loads(result.stdout)["clusters"]}


def test_status_shows_the_suppliers_and_their_gpus(root: Path) -> None:
    result = run(root, "status", "--json")
    assert result.exit_code == 0
    assert {name: (c["nodes_ready"], c["gpus"], c["ready"]) for name, c in clusters(result).items()} == {
        "samsung-sds": (25, 200, True),
        "elice-cloud": (60, 480, True),
        "kt-cloud": (50, 400, True),
    }
    table = run(root, "status")
    assert table.exit_code == 0
    for word in ("samsung-sds", "60/60", "400", clusters(result)["kt-cloud"]["url"]):
        assert word in table.stdout


def test_an_outage_of_one_supplier_is_seen_and_ends(root: Path) -> None:
    before = clusters(run(root, "status", "--json"))
    assert run(root, "stop", "elice-cloud").exit_code == 0
    result = run(root, "status", "--json")
    assert result.exit_code == 1
    assert [name for name, cluster in clusters(result).items() if cluster["ready"]] == ["samsung-sds", "kt-cloud"]
    assert "elice-cloud: not running" in run(root, "status").stderr
    assert run(root, "start", "elice-cloud").exit_code == 0
    after = clusters(run(root, "status", "--json"))
    assert after["elice-cloud"]["uid"] == before["elice-cloud"]["uid"]
    assert after["elice-cloud"]["url"] == before["elice-cloud"]["url"]


def test_an_unknown_cluster_is_exit_code_1(root: Path) -> None:
    result = run(root, "stop", "nobody")
    assert result.exit_code == 1
    assert "no cluster 'nobody'" in result.stderr


def test_env_works_in_a_shell(root: Path) -> None:
    script = run(root, "env").stdout + 'printf "%s\\n" "$KUBECONFIG" "$PULUMI_BACKEND_URL"\n'
    shell = subprocess.run(["sh", "-eu"], input=script, capture_output=True, text=True, check=True)
    kubeconfig, backend = shell.stdout.splitlines()
    assert Path(kubeconfig).is_file()
    assert Path(backend.removeprefix("file://")).is_dir()
