"""The project's files: Pulumi.yaml and the stacks."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import MARCH, PROGRAMME, SEOUL, cluster

from gpuprov.core.cluster import ProviderCluster
from gpuprov.errors import InputError
from gpuprov.load.project import find_root, open_project

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
    assert {
        name: {str(pool.model): pool.capacity for pool in cluster.pools} for name, cluster in own.by_provider.items()
    } == {
        "elice-cloud": {"H100": 400, "A100": 80},
        "kt-cloud": {"H200": 400},
        "samsung-sds": {"H100": 200},
    }
    assert own.awards == (ROOT / "examples/awards-2026-h1.csv",)
    assert own.ledger == ROOT / "examples/ledger.jsonl"


@pytest.mark.parametrize(("name", "refused"), [("sds.1", False), ("sds.setup", False), ("kt", True)])
def test_an_empty_file_of_a_stack_without_settings_hinders_nobody(tmp_path, name, refused):
    """Pulumi leaves it where it meets a full disk, or is killed, while it makes the stack."""
    root = project(tmp_path, **{"sds": STACK, name: ""})
    if refused:
        assert [problem.message for problem in problems(open_project, root)] == ["is not a mapping"]
    else:
        assert list(open_project(root).by_provider) == ["sds"]


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
    assert [cluster.provider for cluster in read.clusters] == ["alpha", "zeta"]


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
        ("capacity: 8", "capacity: true", "shop:cluster.pools.0.capacity"),
        ("capacity: 8", "capacity: {gpus: 8}", "shop:cluster.pools.0.capacity"),
        ("capacity: 8", "capacity: []", "shop:cluster.pools.0.capacity"),
        ("capacity: 8", "capacity: [8]", "shop:cluster.pools.0.capacity.0"),
        ("capacity: 8", "capacity: [{gpus: -1}]", "shop:cluster.pools.0.capacity.0.gpus"),
        ("capacity: 8", "capacity: [{gpus: '8'}]", "shop:cluster.pools.0.capacity.0.gpus"),
        ("capacity: 8", "capacity: [{from: '2026-03-15'}]", "shop:cluster.pools.0.capacity.0.gpus"),
        ("capacity: 8", "capacity: [{gpus: 8, until: '2026-03-15'}]", "shop:cluster.pools.0.capacity.0.until"),
        ("capacity: 8", "capacity: [{gpus: 8, from: '2026-03-15'}]", "shop:cluster.pools.0.capacity.0.from"),
        ("capacity: 8", "capacity: [{gpus: 8}, {gpus: 7}]", "shop:cluster.pools.0.capacity.1.from"),
        ("capacity: 8", "capacity: [{gpus: 8}, {gpus: 7, from: soon}]", "shop:cluster.pools.0.capacity.1.from"),
        ("capacity: 8", "capacity: [{gpus: 8}, {gpus: 7, from: 20}]", "shop:cluster.pools.0.capacity.1.from"),
        (
            "capacity: 8",
            "capacity: [{gpus: 8}, {gpus: 7, from: '2026-03-15T10:00:00'}]",
            "shop:cluster.pools.0.capacity.1.from",
        ),
        (
            "capacity: 8",
            "capacity: [{gpus: 8}, {gpus: 7, from: '2026-03-15'}, {gpus: 8, from: 2026-03-14T15:00Z}]",
            "shop:cluster.pools.0.capacity.2.from",
        ),
        (
            "capacity: 8",
            "capacity: [{gpus: 8}, {gpus: 7, from: '9999-12-31T23:00:00Z'}]",
            "shop:cluster.pools.0.capacity.1.from",
        ),
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
    assert column in [problem.column for problem in found]
    assert {Path(problem.file).name for problem in found} == {"Pulumi.sds.yaml"}
    assert all(problem.message and problem.remedy for problem in found)


@pytest.mark.parametrize(
    ("written", "start"),
    [
        ("2026-03-15T10:00+09:00", "2026-03-15T10:00:00+09:00"),
        ('"2026-03-15T10:00:00+09:00"', "2026-03-15T10:00:00+09:00"),
        ('"2026-03-15T01:00:00Z"', "2026-03-15T10:00:00+09:00"),
        ("2026-03-15 01:00Z", "2026-03-15T10:00:00+09:00"),
        ('"2026-03-15"', "2026-03-15T00:00:00+09:00"),
    ],
)
def test_a_capacity_may_have_a_history(written, start, tmp_path):
    steps = f"capacity: [{{gpus: 8}}, {{gpus: 7, from: {written}}}, {{gpus: 9, from: '2026-05-01'}}]"
    (pool,) = open_project(project(tmp_path, sds=STACK.replace("capacity: 8", steps))).clusters[0].pools
    begins = datetime.fromisoformat(start)
    assert [(step.gpus, step.start) for step in pool.steps] == [
        (8, None),
        (7, begins),
        (9, datetime(2026, 5, 1, tzinfo=SEOUL)),
    ]
    just_before = begins - timedelta(microseconds=1)
    assert [pool.capacity_at(at) for at in (just_before, begins, datetime(2026, 5, 1, tzinfo=SEOUL))] == [8, 7, 9]
    assert pool.span_at(just_before) == (None, begins)
    assert pool.span_at(begins) == (begins, datetime(2026, 5, 1, tzinfo=SEOUL))
    assert pool.span_at(MARCH.replace(year=2030)) == (datetime(2026, 5, 1, tzinfo=SEOUL), None)


@pytest.mark.parametrize(
    "written", ["2026-03-15", "2026-03-15T10:00:00+09:00", "2026-03-15 01:00:00Z", "'2026-03-15 00:00:00 +0000 UTC'"]
)
def test_a_date_that_pulumi_rewrites_is_refused_before_and_after(written, tmp_path):
    """Making the stack writes its file anew, with Go's text of what YAML calls a date: a day would lose its meaning."""
    steps = f"capacity: [{{gpus: 8}}, {{gpus: 7, from: {written}}}]"
    (problem,) = problems(open_project, project(tmp_path, sds=STACK.replace("capacity: 8", steps)))
    assert problem.column == "shop:cluster.pools.0.capacity.1.from"
    quoted = written.startswith("'")
    assert ("put it in quotes" in problem.remedy) is not quoted
    assert ("is neither a timestamp with an offset nor a day" in problem.message) is quoted


def test_a_plain_capacity_holds_at_every_instant(tmp_path):
    (pool,) = open_project(project(tmp_path)).clusters[0].pools
    assert (pool.capacity, pool.capacity_at(MARCH), pool.span_at(MARCH)) == (8, 8, (None, None))
    assert [(step.gpus, step.start) for step in pool.steps] == [(8, None)]


def test_every_wrong_step_of_a_capacity_is_told_at_once(tmp_path):
    day = "from: '2026-03-15'"
    steps = f"capacity: [{{gpus: 8, {day}}}, {{gpus: 7}}, {{gpus: 6, {day}}}, {{gpus: 5, {day}}}]"
    found = problems(open_project, project(tmp_path, sds=STACK.replace("capacity: 8", steps)))
    assert [problem.column.rpartition("capacity.")[2] for problem in found] == ["0.from", "1.from", "3.from"]
    assert "since ever" in found[0].message
    assert "2026-03-15T10:00+09:00" in found[1].message
    assert "later than the step before" in found[2].message


INSTANTS = st.integers(0, 10**9).map(lambda seconds: MARCH + timedelta(seconds=seconds, microseconds=seconds % 7))


@given(st.one_of(st.integers(0, 10**6), st.tuples(st.integers(0, 999), st.dictionaries(INSTANTS, st.integers(0, 999)))))
def test_a_capacity_crosses_a_process_boundary_as_it_is(drawn):
    written = drawn
    if not isinstance(drawn, int):
        written = [{"gpus": drawn[0]}, *({"gpus": drawn[1][at], "from": at} for at in sorted(drawn[1]))]
    provider_cluster = cluster(H100=written)
    read = ProviderCluster.model_validate_json(provider_cluster.model_dump_json(by_alias=True))
    assert read == provider_cluster
    assert read.pools[0].steps == provider_cluster.pools[0].steps
    assert isinstance(
        json.loads(provider_cluster.model_dump_json(by_alias=True))["pools"][0]["capacity"], type(written)
    )


def test_a_day_that_the_calendar_does_not_have_is_a_problem_of_its_file(tmp_path):
    steps = "capacity: [{gpus: 8}, {gpus: 7, from: 2026-02-30}]"
    (problem,) = problems(open_project, project(tmp_path, sds=STACK.replace("capacity: 8", steps)))
    assert Path(problem.file).name == "Pulumi.sds.yaml"
    assert "is not valid YAML" in problem.message


def test_a_model_has_one_pool_only(tmp_path):
    twice = STACK + STACK.splitlines()[-1] + "\n"
    (problem,) = problems(open_project, project(tmp_path, sds=twice))
    assert "each GPU model needs exactly one pool" in problem.message


def test_all_problems_of_all_files_are_told_at_once(tmp_path):
    main = MAIN.replace("[a.csv]", "[]")
    bad = STACK + "      - {model: B200, capacity: -1, nodeLabel: {gpu: b200}}\n"
    root = project(tmp_path, main, good=STACK, one=bad, two="config: [", three="- a list\n")
    found = sorted(
        (Path(problem.file).name, (problem.column or "").rpartition(".")[2]) for problem in problems(open_project, root)
    )
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
    assert (Path(problem.file).name, problem.remedy) == ("Pulumi.yaml", "name the lists, such as [awards.csv]")


@pytest.mark.parametrize(
    "written", ['"2026-10-01T00:00+09:00"', "2026-10-01T00:00:00+09:00", "{default: 2026-09-30T15:00Z}"]
)
def test_the_programmes_end_is_an_instant(written, tmp_path):
    read = open_project(project(tmp_path, f"{MAIN}  programmeEnd: {written}\n"))
    assert read.programme.end == datetime(2026, 10, 1, tzinfo=SEOUL)


def test_the_programme_ends_with_june_unless_the_project_says_otherwise(tmp_path):
    declared = f"{MAIN}  programmeEnd: {{type: string}}\n"
    assert open_project(project(tmp_path, declared)).programme == PROGRAMME
    assert PROGRAMME.end.isoformat() == "2026-07-01T00:00:00+09:00"


@pytest.mark.parametrize("written", ["2026-10-01", "2026-10-01T00:00:00", "soon", "7", "[]", "''"])
def test_a_programmes_end_without_an_offset_is_a_problem(written, tmp_path):
    (problem,) = problems(open_project, project(tmp_path, f"{MAIN}  programmeEnd: {written}\n"))
    assert (problem.column, problem.message) == ("programmeEnd", "is not a timestamp with an offset")


def test_a_project_without_clusters_is_refused(tmp_path):
    (problem,) = problems(open_project, project(tmp_path, dev="config:\n  shop:other: 1\n"))
    assert problem.message == "no stack has a shop:cluster"


def test_messages_speak_of_the_projects_own_name(tmp_path):
    """A stack file that was copied from another project has settings that nobody would read."""
    (problem,) = problems(open_project, project(tmp_path, sds=STACK.replace("shop:", "gpuprov:")))
    assert (Path(problem.file).name, problem.column) == ("Pulumi.sds.yaml", "gpuprov:cluster")
    assert (problem.message, problem.remedy) == ("the project's name is shop", "write shop:cluster")


def test_settings_may_have_the_projects_name_before_them(tmp_path):
    read = open_project(project(tmp_path, f"{MAIN}  shop:ledger: own.jsonl\n"))
    assert read.ledger == tmp_path / "own.jsonl"


def test_retired_suppliers_are_those_that_the_project_lists(tmp_path):
    assert open_project(project(tmp_path)).retired == frozenset()
    declared = "  retired: {type: array, items: {type: string}, default: [kt-cloud, old-sds]}\n"
    (tmp_path / "Pulumi.yaml").write_text(MAIN + declared, encoding="utf-8")
    assert open_project(tmp_path).retired == {"kt-cloud", "old-sds"}


@pytest.mark.parametrize("written", ["kt-cloud", "[1]", "[KT Cloud]", "{default: kt-cloud}", "[[]]"])
def test_retired_suppliers_are_a_list_of_names(written, tmp_path):
    (problem,) = problems(open_project, project(tmp_path, f"{MAIN}  retired: {written}\n"))
    assert (Path(problem.file).name, problem.column) == ("Pulumi.yaml", "retired")
    assert problem.message == "is not a list of suppliers' names"


def test_a_supplier_is_not_both_there_and_retired(tmp_path):
    root = project(tmp_path, f"{MAIN}  retired: [other, sds]\n")
    (problem,) = problems(open_project, root)
    assert (Path(problem.file).name, problem.column, problem.value) == ("Pulumi.yaml", "retired", "sds")
    assert "Pulumi.sds.yaml" in problem.message
    assert "Taking a supplier out" in problem.remedy


def test_two_stacks_that_pin_one_cluster_are_refused(tmp_path):
    first, other = (STACK.replace("context: there", f"context: there\n    uid: {uid}") for uid in ("u-1", "u-2"))
    (problem,) = problems(open_project, project(tmp_path, alpha=first, beta=other, gamma=first, delta=STACK))
    assert (Path(problem.file).name, problem.column, problem.value) == ("Pulumi.gamma.yaml", "shop:cluster.uid", "u-1")
    assert "Pulumi.alpha.yaml" in problem.message
    assert "counted twice" in problem.message


def test_a_folder_that_is_no_project(tmp_path):
    (problem,) = problems(open_project, tmp_path)
    assert "cannot be read" in problem.message
    (tmp_path / "Pulumi.yaml").write_bytes(b"\xff\xfe")
    (problem,) = problems(open_project, tmp_path)
    assert problem.message == "is not valid YAML: it is not UTF-8"


def test_a_stack_file_that_is_no_yaml_is_told_with_its_row(tmp_path):
    root = project(tmp_path, sds="config:\n  shop:cluster: [\n")
    (problem,) = problems(open_project, root)
    assert (Path(problem.file).name, problem.row, problem.message) == ("Pulumi.sds.yaml", 3, "is not valid YAML")


def test_a_value_that_is_a_date_to_yaml_is_told_once(tmp_path):
    root = project(tmp_path, sds=STACK.replace("context: there", "context: 2026-01-01"))
    (problem,) = problems(open_project, root)
    assert (problem.column, problem.value) == ("shop:cluster.context", "2026-01-01")
    assert "put it in quotes" in problem.remedy


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
    (problem,) = problems(open_project, root)
    assert (Path(problem.file).name, problem.message) == ("Pulumi.yaml", "has no name")
