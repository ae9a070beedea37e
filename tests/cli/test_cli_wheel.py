"""The wheel outside of the repository: unpacked into a folder, in an empty home, with a project that it makes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from cli_world import MARCH, Api, World, answering, make_world
from loopback import serving
from projects import REPOSITORY, Ran, run_command

PRODUCT = "nvidia.com/gpu.product"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and return the folder that it is unpacked into."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


@pytest.fixture
def outside(tmp_path: Path, installed: Path) -> World:
    """A folder and a home that have nothing, and the wheel's gpuprov before any other."""
    made = make_world(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "home").mkdir()
    environment = made.environment | {"PYTHONPATH": str(installed), "HOME": str(tmp_path / "home")}
    return World(tmp_path / "empty", environment)


@pytest.fixture
def api(outside: World) -> Iterator[Api]:
    """A supplier's API server with one node."""
    played = Api()
    ready = [{"type": "Ready", "status": "True"}]
    status = {"allocatable": {"nvidia.com/gpu": "8"}, "conditions": ready}
    metadata = {"name": "k1", "labels": {PRODUCT: "NVIDIA-H200"}}
    played.objects["kt-cloud", "Node"] = [{"metadata": metadata, "status": status}]
    with serving(answering(played)) as url:
        outside.contexts({"kt-cloud": f"{url}/kt-cloud"})
        yield played
    assert played.writes == []


def python(world: World, *arguments: str) -> Ran:
    ran = run_command([sys.executable, *arguments], world.root, world.environment)
    assert ran.code == 0, ran
    return ran


def test_a_project_of_the_wheel_is_valid_and_planned(outside: World, api: Api, installed: Path) -> None:
    ran = outside.run_as_typed("init", "mine", "--supplier", "kt-cloud=kt-cloud", "--json")
    assert ran.code == 0, ran
    project = replace(outside, root=outside.root / "mine")
    assert project.run("validate", "--json").data["awards"] == 1
    plan = project.run("plan", "--json", at=MARCH)
    assert (plan.code, plan.data["refused"]) == (0, []), plan
    assert [(change["op"], change["award_id"], change["after"]) for change in plan.data["changes"]] == [
        ("create", "SAMPLE-1", 1)
    ]
    markdown = project.run("plan", "--markdown", at=MARCH)
    assert "SAMPLE-1" in markdown.out


def test_what_comes_with_it_is_found_in_it(outside: World, installed: Path) -> None:
    script = (
        "import gpuprov, json; from gpuprov.load.packaged import packaged, programmes; from pathlib import Path;"
        "from gpuprov.run.chart import chart_of;"
        "found = [gpuprov.__file__, chart_of(Path.cwd()), packaged('policies/setup'), packaged('stacks/__main__.py'),"
        " *programmes().values()];"
        "print(json.dumps([str(path) for path in found]))"
    )
    assert json.loads(python(outside, "-c", script).out) == [
        str(installed / "gpuprov" / name)
        for name in (
            "__init__.py",
            "charts/gpu-cluster",
            "policies/setup",
            "stacks/__main__.py",
            "programmes/2026-h1.yaml",
        )
    ]


def test_the_chart_in_it_is_the_repositorys(installed: Path) -> None:
    folders = [REPOSITORY / "charts", installed / "gpuprov" / "charts"]
    texts = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    ]
    assert len(texts[0]) > 10
    assert texts[0] == texts[1]


def test_an_editable_install_has_no_copy_of_what_is_in_the_repository(tmp_path: Path) -> None:
    build = f"from hatchling.build import build_editable; build_editable({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert [Path(name).suffix for name in names] == [".pth"]


def test_it_prints_the_schemas(outside: World) -> None:
    docs = REPOSITORY / "docs"
    awards = python(outside, "-m", "gpuprov", "validate", "--schema").data
    assert awards == json.loads((docs / "award-list.schema.json").read_text(encoding="utf-8"))
    programme = python(outside, "-m", "gpuprov.load", "programme").data
    assert programme == json.loads((docs / "programme.schema.json").read_text(encoding="utf-8"))


def test_nothing_of_this_machine_is_in_it(installed: Path) -> None:
    (wheel,) = installed.parent.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "gpuprov/charts/gpu-cluster/templates/_cel.tpl" in names
    assert not {part for name in names for part in name.split("/")} & {".venv", "__pycache__", "tests", ".story"}
    assert not [name for name in names if name.endswith((".kubeconfig", ".lock", ".jsonl"))]
