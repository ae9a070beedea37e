"""The example programmes: `validate`, `plan` and `status` on API servers that answer from a table."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_world import Api, World, answering, make_world
from loopback import serving
from projects import REPOSITORY, said_besides

from gpuprov.core.manifests import tenant_manifests
from gpuprov.load.project import open_project
from gpuprov.run.clock import instant
from gpuprov.run.loading import load

EXAMPLES = REPOSITORY / "examples" / "programmes"
DURING = {
    "2026-h1": "2026-05-01T09:00:00+09:00",
    "b200-loan": "2026-09-02T09:00:00+09:00",
    "npu-year": "2027-06-01T09:00:00+09:00",
}
AFTER = {
    "2026-h1": "2026-07-01T00:00:00+09:00",
    "b200-loan": "2026-09-15T00:00:00+09:00",
    "npu-year": "2028-01-01T00:00:00+09:00",
}
PROVIDERS = {"2026-h1": "samsung-sds", "b200-loan": "sky-cloud", "npu-year": "river-cloud"}
GRANTED = {
    "2026-h1": {"HPC-2026-1-001": (8, "H100"), "HPC-2026-1-002": (16, "A100"), "HPC-2026-2-001": (4, "A100")},
    "b200-loan": {"B200-001": (16, "B200"), "B200-002": (1, "B200"), "B200-003": (3, "B200")},
    "npu-year": {"NPU-2027-001": (8, "ATOM"), "NPU-2027-002": (4, "ATOM"), "GPU-2027-001": (3, "H100")},
}
POOLS = {
    "2026-h1": {
        "H100": {"capacity": 16, "allocated": 8, "free": 8, "h100": {"capacity": 16, "allocated": 8, "free": 8}},
        "A100": {"capacity": 24, "allocated": 20, "free": 4, "h100": {"capacity": 6, "allocated": 5, "free": 1}},
    },
    "b200-loan": {
        "B200": {"capacity": 32, "allocated": 20, "free": 12, "b200": {"capacity": 32, "allocated": 20, "free": 12}},
    },
    "npu-year": {
        "H100": {"capacity": 8, "allocated": 3, "free": 5, "h100": {"capacity": 8, "allocated": 3, "free": 5}},
        "ATOM": {"capacity": 16, "allocated": 12, "free": 4},
    },
}


@pytest.fixture(params=PROVIDERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def example(name: str, tmp_path: Path) -> World:
    """The example's project, in a world with a Pulumi that says that nothing was applied."""
    made = make_world(tmp_path)
    root = tmp_path / name
    shutil.copytree(EXAMPLES / name, root)
    world = replace(made, root=root)
    world.outputs(PROVIDERS[name], {})
    return world


@pytest.fixture
def api(name: str, example: World) -> Iterator[Api]:
    """The provider's API server, which has nothing of ours yet."""
    made = Api()
    with serving(answering(made)) as url:
        example.contexts({PROVIDERS[name]: f"{url}/{PROVIDERS[name]}"})
        yield made


def write_tenants(name: str, example: World, api: Api) -> None:
    """Put on the cluster what the list asks for."""
    project = open_project(example.root)
    for tenant in load(project).desired(instant(DURING[name], project.programme.zone)).tenants:
        for manifest in tenant_manifests(tenant, project.by_provider[tenant.provider]):
            item = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
            api.objects.setdefault((tenant.provider, manifest["kind"]), []).append(item)


def test_validate_accepts_the_lists(name: str, example: World) -> None:
    ran = example.run("validate", "--json", at=DURING[name])
    assert (ran.code, said_besides(ran.err)) == (0, "")
    assert {pool["model"] for pool in ran.data["pools"]} == POOLS[name].keys()


def test_plan_grants_what_the_lists_say_and_nothing_after_the_end(name: str, example: World, api: Api) -> None:
    ran = example.run("plan", "--json", at=DURING[name])
    assert (ran.code, ran.data["refused"], ran.data["failed"]) == (0, [], {}), ran
    changes = ran.data["changes"]
    assert {change["op"] for change in changes} == {"create"}
    assert {change["award_id"]: (change["after"], change["model"]) for change in changes} == GRANTED[name]
    over = example.run("plan", "--json", at=AFTER[name])
    assert (over.code, over.data["changes"]) == (0, [])
    assert api.writes == []


def test_plan_finds_nothing_to_do_where_everything_is_there(name: str, example: World, api: Api) -> None:
    write_tenants(name, example, api)
    ran = example.run("plan", "--json", at=DURING[name])
    assert (ran.code, ran.data["changes"], ran.data["unchanged"]) == (0, [], len(GRANTED[name]))


def test_status_counts_in_the_programmes_reference_and_shows_none_for_what_is_not_convertible(
    name: str, example: World, api: Api
) -> None:
    write_tenants(name, example, api)
    ran = example.run("status", "--json", at=DURING[name])
    assert ran.code == 0, ran
    told = {pool["model"]: pool for pool in ran.data["pools"]}
    keys = ("capacity", "allocated", "free", "h100", "b200", "atom")
    assert {model: {key: pool[key] for key in keys if key in pool} for model, pool in told.items()} == POOLS[name]
    text = example.run("status", at=DURING[name]).out
    reference = {"2026-h1": "H100", "b200-loan": "B200", "npu-year": "H100"}[name]
    assert f"free, {reference}-eq." in text
    lines = [line.split() for line in text.splitlines() if "ATOM" in line]
    assert all(line[-2:] == ["-", "-"] for line in lines)


def test_an_instant_without_an_offset_is_in_the_programmes_time_zone(name: str, example: World) -> None:
    path = example.root / "programme.yaml"
    text = path.read_text(encoding="utf-8").replace("timeZone: Asia/Seoul", "timeZone: Etc/GMT-10")
    path.write_text(text, encoding="utf-8")
    ran = example.run_as_typed("validate", "--at", DURING[name].removesuffix("+09:00"))
    assert ran.code == 0, ran
    assert f"deciding for {DURING[name][:16]}+10:00 (--at), not for now" in ran.err


def test_a_programme_with_problems_is_refused_with_all_of_them(name: str, example: World) -> None:
    path = example.root / "programme.yaml"
    text = path.read_text(encoding="utf-8").replace("timeZone: Asia/Seoul", "timeZone: Seoul")
    path.write_text(text.replace("least: 1\n", "least: 0\n", 1), encoding="utf-8")
    ran = example.run("validate", "--json", at=DURING[name])
    assert ran.code == 1
    columns = [problem["column"] for problem in ran.data["problems"]]
    assert columns == ["timeZone", "tracks.0.least"]
    assert {problem["file"] for problem in ran.data["problems"]} == {str(path)}


@pytest.mark.parametrize("name", ["b200-loan"])
def test_a_list_of_a_call_that_is_not_loaded_is_a_warning(name: str, example: World) -> None:
    path = example.root / "programme.yaml"
    text = path.read_text(encoding="utf-8").replace("lists: [awards.csv]", "lists: [award.csv]")
    path.write_text(text, encoding="utf-8")
    ran = example.run("validate", at=DURING[name])
    missing = "call September has the list award.csv, which is not among the award lists"
    assert (ran.code, said_besides(ran.err)) == (0, f"warning: B200 loan, September 2026: {missing}\n")
