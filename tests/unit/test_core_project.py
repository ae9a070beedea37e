"""The project's files: Pulumi.yaml and the stacks."""

from datetime import datetime
from pathlib import Path

import pytest

from gpuprov.award import PROGRAMME_END, SEOUL
from gpuprov.errors import InputError
from gpuprov.project import find_root, open_project

ROOT = Path(__file__).parents[2]
MAIN = "name: shop\nruntime: python\nstackConfigDir: stacks\nconfig:\n  awards: {default: [a.csv]}\n"
STACK = """config:
  shop:cluster:
    context: there
    aliases: [Supplier]
    pools:
      - {model: H100, capacity: 8, nodeLabel: {gpu: h100}}
"""


def project(tmp_path, main=MAIN, **stacks):
    (tmp_path / "Pulumi.yaml").write_text(main, encoding="utf-8")
    (tmp_path / "stacks").mkdir()
    for name, text in (stacks or {"sds": STACK}).items():
        (tmp_path / f"stacks/Pulumi.{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def problems(call, *args):
    with pytest.raises(InputError) as caught:
        call(*args)
    return caught.value.problems


def test_the_repositorys_own_project():
    own = open_project(ROOT)
    assert (own.root, own.name, own.columns) == (ROOT, "gpuprov", None)
    assert {name: {str(pool.model): pool.capacity for pool in one.pools} for name, one in own.by_provider.items()} == {
        "elice-cloud": {"H100": 400, "A100": 80},
        "kt-cloud": {"H200": 400},
        "samsung-sds": {"H100": 200},
    }
    assert own.awards == (ROOT / "examples/awards-2026-h1.csv",)
    assert own.ledger == ROOT / "examples/ledger.jsonl"


def test_settings_may_be_bare_values_or_declarations(tmp_path):
    bare = MAIN.replace("{default: [a.csv]}", "[x.csv, y.csv]\n  ledger: {value: l.jsonl, default: m.jsonl}")
    read = open_project(project(tmp_path, bare + "  gpuprov:columns: columns.yaml\n"))
    assert read.awards == (tmp_path / "x.csv", tmp_path / "y.csv")
    assert (read.ledger, read.columns) == (tmp_path / "l.jsonl", tmp_path / "columns.yaml")


def test_without_settings_the_defaults_hold(tmp_path):
    read = open_project(project(tmp_path))
    assert (read.awards, read.ledger) == ((tmp_path / "a.csv",), tmp_path / "ledger.jsonl")
    (only,) = read.clusters
    assert (only.provider, only.context, only.aliases, only.uid) == ("sds", "there", ("Supplier",), None)


def test_clusters_come_in_order_and_other_stacks_are_left_out(tmp_path):
    other = "config:\n  shop:something: 1\n"
    read = open_project(project(tmp_path, zeta=STACK, alpha=STACK, dev=other, empty="config:\n"))
    assert [one.provider for one in read.clusters] == ["alpha", "zeta"]


def test_the_project_is_found_from_below(tmp_path):
    deep = project(tmp_path) / "stacks/deep"
    deep.mkdir()
    assert find_root(deep) == find_root(tmp_path) == tmp_path
    (problem,) = problems(find_root, tmp_path.parent)
    assert "no Pulumi.yaml here" in problem.message


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("context: there", "context: ''", "shop:cluster.context"),
        ("context: there\n", "kontext: there\n", "shop:cluster.context"),
        ("capacity: 8", "capacity: -1", "shop:cluster.pools.0.capacity"),
        ("capacity: 8", "capacity: '8'", "shop:cluster.pools.0.capacity"),
        ("model: H100", "model: B200", "shop:cluster.pools.0.model"),
        ("{gpu: h100}", "{gpu: h100, disk: ssd}", "shop:cluster.pools.0.nodeLabel"),
        ("{gpu: h100}", "{}", "shop:cluster.pools.0.nodeLabel"),
        ("{gpu: h100}}", "{gpu: h100}, resource: gpu}", "shop:cluster.pools.0.resource"),
        ("      - {", "      - {surprise: 1, ", "shop:cluster.pools.0.surprise"),
    ],
)
def test_a_wrong_setting_of_a_stack_is_told_by_its_place(old, new, column, tmp_path):
    assert old in STACK
    found = problems(open_project, project(tmp_path, sds=STACK.replace(old, new)))
    assert column in [one.column for one in found]
    assert {Path(one.file).name for one in found} == {"Pulumi.sds.yaml"}
    assert all(one.message and one.remedy for one in found)


def test_a_model_has_one_pool_only(tmp_path):
    twice = STACK + STACK.splitlines()[-1] + "\n"
    (problem,) = problems(open_project, project(tmp_path, sds=twice))
    assert "each GPU model needs exactly one pool" in problem.message


def test_all_problems_of_all_files_are_told_at_once(tmp_path):
    main = MAIN.replace("[a.csv]", "[]")
    bad = STACK + "      - {model: B200, capacity: -1, nodeLabel: {gpu: b200}}\n"
    root = project(tmp_path, main, good=STACK, one=bad, two="config: [", three="- a list\n")
    found = sorted((Path(one.file).name, (one.column or "").rpartition(".")[2]) for one in problems(open_project, root))
    assert found == [
        ("Pulumi.one.yaml", "capacity"),
        ("Pulumi.one.yaml", "model"),
        ("Pulumi.three.yaml", ""),
        ("Pulumi.two.yaml", ""),
        ("Pulumi.yaml", ""),
    ]


@pytest.mark.parametrize("awards", ["", "a.csv", "[]", "[1]", "{default: a.csv}", "{description: which}"])
def test_award_lists_must_be_named(awards, tmp_path):
    (problem,) = problems(open_project, project(tmp_path, MAIN.replace("{default: [a.csv]}", awards)))
    assert (Path(problem.file).name, problem.remedy) == ("Pulumi.yaml", "name the lists")


@pytest.mark.parametrize(
    "written", ['"2026-10-01T00:00+09:00"', "2026-10-01T00:00:00+09:00", "{default: 2026-09-30T15:00Z}"]
)
def test_the_programmes_end_is_an_instant(written, tmp_path):
    read = open_project(project(tmp_path, f"{MAIN}  programmeEnd: {written}\n"))
    assert read.programme_end == datetime(2026, 10, 1, tzinfo=SEOUL)


def test_the_programme_ends_with_june_unless_the_project_says_otherwise(tmp_path):
    declared = f"{MAIN}  programmeEnd: {{type: string}}\n"
    assert open_project(project(tmp_path, declared)).programme_end == PROGRAMME_END
    assert PROGRAMME_END.isoformat() == "2026-07-01T00:00:00+09:00"


@pytest.mark.parametrize("written", ["2026-10-01", "2026-10-01T00:00:00", "soon", "7", "[]", "''"])
def test_a_programmes_end_without_an_offset_is_a_problem(written, tmp_path):
    (problem,) = problems(open_project, project(tmp_path, f"{MAIN}  programmeEnd: {written}\n"))
    assert (problem.column, problem.message) == ("programmeEnd", "is no instant with an offset")


def test_a_project_without_clusters_is_refused(tmp_path):
    (problem,) = problems(open_project, project(tmp_path, dev="config:\n  shop:other: 1\n"))
    assert problem.message == "no stack has a gpuprov:cluster"


def test_a_folder_that_is_no_project(tmp_path):
    assert "cannot be read" in problems(open_project, tmp_path)[0].message
    (tmp_path / "Pulumi.yaml").write_bytes(b"\xff\xfe")
    assert "is no valid YAML" in problems(open_project, tmp_path)[0].message


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "x" * 43])
def test_a_stack_name_that_is_no_provider_name(name, tmp_path):
    (problem,) = problems(open_project, project(tmp_path, **{name: STACK}))
    assert problem.column == "shop:cluster.provider"


def test_the_stack_names_the_provider(tmp_path):
    second = STACK.replace("context: there", "context: there\n    provider: sds")
    try:
        read = open_project(project(tmp_path, sds=STACK, other=second))
    except InputError:
        return
    assert set(read.by_provider) == {"sds", "other"}


def test_a_project_without_a_name_is_told_so(tmp_path):
    root = project(tmp_path, MAIN.replace("name: shop\n", ""))
    assert any(Path(one.file).name == "Pulumi.yaml" for one in problems(open_project, root))
