"""Programme files, and award lists under other programmes than the packaged one."""

# mypy: allow-untyped-defs, allow-untyped-calls

import csv
import json
from datetime import datetime
from pathlib import Path

import jsonschema
import openpyxl
import pytest
import yaml
from strategies import JULY

from gpuprov.core.award import Status
from gpuprov.errors import InputError
from gpuprov.load import cells
from gpuprov.load.awards import load_awards
from gpuprov.load.programme import default_programme, json_schema, read_programme
from gpuprov.load.project import open_project
from gpuprov.load.words import Words

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "programmes"
PROJECTS = {path.name: path for path in sorted(EXAMPLES.iterdir())}
FILES = [ROOT / "gpuprov/programmes/2026-h1.yaml", *(path / "programme.yaml" for path in PROJECTS.values())]


def problems(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return caught.value.problems


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_programmes_are_read_and_keep_the_schema(path):
    read_programme(path)
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str)), schema)


@pytest.mark.parametrize("wrong", [{"surprise": 1}, {"accelerators": []}, {"tracks": [{"name": "x"}]}, {"name": ""}])
def test_the_schema_refuses_what_the_reader_refuses(wrong, tmp_path):
    data = yaml.safe_load(FILES[0].read_text(encoding="utf-8")) | wrong
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema())
    path = tmp_path / "programme.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    assert problems(read_programme, path)


def test_the_example_of_the_first_half_is_the_packaged_programme_with_calls():
    example = read_programme(EXAMPLES / "2026-h1" / "programme.yaml")
    assert example.model_copy(update={"calls": ()}) == default_programme()
    assert [call.name for call in example.calls] == ["1차", "추가"]
    assert default_programme().end == JULY


def test_a_project_without_a_programme_has_the_packaged_one():
    assert open_project(ROOT).programme == default_programme()


WRONG = """name: ''
timeZone: Korea
end: 2026-07-01
reference: X1
accelerators:
- {name: H100, perReference: 0.5, devicesPerServer: 8, resource: nvidia.com/gpu}
- {name: X1, perReference: 2, devicesPerServer: 8, resource: nvidia.com/gpu}
tracks:
- {name: a, least: 9, most: 4, unit: 2}
calls:
- {name: a, firstDay: 2026-03-03, lastDay: 2026-01-01}
- {name: A, firstDay: soon, lastDay: 2026-01-01}
statuses: {selected: [a, b], forfeited: [B]}
"""


def test_all_problems_of_a_programme_file_come_at_once(tmp_path):
    path = tmp_path / "programme.yaml"
    path.write_text(WRONG, encoding="utf-8")
    found = problems(read_programme, path)
    assert {problem.file for problem in found} == {str(path)}
    assert [(problem.column, problem.value) for problem in found] == [
        ("name", ""),
        ("timeZone", "Korea"),
        ("end", "2026-07-01"),
        ("accelerators.0.perReference", "0.5"),
        ("calls.1.firstDay", "soon"),
        ("accelerators.1.perReference", "2"),
        ("tracks.0.least", "9"),
        ("tracks.0.most", "4"),
        ("calls.0.lastDay", "2026-01-01"),
        ("statuses.forfeited.0", "B"),
    ]
    assert all(problem.message and problem.remedy for problem in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "is not a mapping"),
        ("a: [", "is not valid YAML"),
        ("a: 2026-02-30", "is not valid YAML"),
        ("", "is not a mapping"),
    ],
)
def test_what_is_no_programme_file(text, message, tmp_path):
    path = tmp_path / "programme.yaml"
    path.write_text(text, encoding="utf-8")
    (problem,) = problems(read_programme, path)
    assert message in problem.message
    (missing,) = problems(read_programme, tmp_path / "none.yaml")
    assert missing.file == str(tmp_path / "none.yaml")


STACK = """config:
  shop:cluster:
    context: there
    pools:
      - {model: B200, capacity: [{gpus: 8}, {gpus: 16, from: '2026-09-03'}], nodeLabel: {gpu: b200}}
"""
MAIN = "name: shop\nruntime: python\nconfig:\n  awards: [a.csv]\n  programme: {default: programme.yaml}\n"


def project(tmp_path, programme, main=MAIN):
    (tmp_path / "Pulumi.yaml").write_text(main, encoding="utf-8")
    (tmp_path / "Pulumi.sky.yaml").write_text(STACK, encoding="utf-8")
    (tmp_path / "programme.yaml").write_text(programme, encoding="utf-8")
    return tmp_path


LOAN = (EXAMPLES / "b200-loan" / "programme.yaml").read_text(encoding="utf-8")


def test_a_projects_programme_gives_pools_their_resource_and_days_their_time_zone(tmp_path):
    opened = open_project(project(tmp_path, LOAN.replace("Asia/Seoul", "UTC").replace("+09:00", "Z")))
    (pool,) = opened.clusters[0].pools
    assert pool.resource == "nvidia.com/gpu"
    assert pool.steps[1].start == datetime.fromisoformat("2026-09-03T00:00Z")
    assert tmp_path / "programme.yaml" in opened.files


def test_programme_end_replaces_the_end_of_the_programme(tmp_path):
    main = MAIN + '  programmeEnd: "2026-10-01T00:00+09:00"\n'
    assert open_project(project(tmp_path, LOAN, main)).programme.end == datetime.fromisoformat("2026-09-30T15:00Z")


def test_problems_of_programme_and_stacks_come_at_once_and_each_once(tmp_path):
    root = project(tmp_path, LOAN.replace("least: 1", "least: 0"))
    (root / "Pulumi.sky.yaml").write_text(STACK.replace("context: there", "kontext: there"), encoding="utf-8")
    found = [(Path(problem.file).name, problem.column) for problem in problems(open_project, root)]
    assert found == [
        ("programme.yaml", "tracks.0.least"),
        ("Pulumi.sky.yaml", "shop:cluster.context"),
        ("Pulumi.sky.yaml", "shop:cluster.kontext"),
    ]


def test_a_pool_must_be_of_the_projects_programme(tmp_path):
    (problem,) = problems(open_project, project(tmp_path, LOAN, MAIN.replace("{default: programme.yaml}", "null")))
    assert (problem.column, problem.message) == (
        "shop:cluster.pools.0.model",
        "is no accelerator of the programme: write one of H100, A100, H200",
    )
    (problem,) = problems(open_project, project(tmp_path, LOAN, MAIN.replace("{default: programme.yaml}", "[a]")))
    assert (problem.column, problem.message) == ("programme", "is not a path")


def opened(name):
    return open_project(PROJECTS[name])


def rewritten(tmp_path, name, file="awards.csv", **columns):
    """Load the example's list with some columns of its first award changed."""
    own = opened(name)
    rows = list(csv.DictReader((own.root / file).read_text(encoding="utf-8").splitlines()))
    rows[0] |= columns
    path = tmp_path / file
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return load_awards([path], own.clusters, programme=own.programme).awards


def wrong(tmp_path, name, file="awards.csv", **columns):
    found = problems(rewritten, tmp_path, name, file, **columns)
    return [(problem.row, problem.column, problem.message) for problem in found]


def test_the_examples_load_with_their_programmes():
    loaded = {
        name: load_awards(project.awards, project.clusters, programme=project.programme).awards
        for name in PROJECTS
        if (project := opened(name))
    }
    told = {
        name: [(award.track, award.applied_h100, award.model, award.quantity, award.call) for award in awards]
        for name, awards in loaded.items()
    }
    assert told == {
        "2026-h1": [
            ("2", 8, "H100", 8, "1차"),
            ("1", 4, "A100", 16, "1차"),
            ("1", 2, "H100", 2, "1차"),
            ("1", 1, "A100", 4, "추가"),
        ],
        "b200-loan": [("small", gpus, "B200", gpus, "September") for gpus in (16, 1, 3, 12)],
        "npu-year": [
            ("NPU", 8, "ATOM", 8, "2027"),
            ("NPU", 4, "ATOM", 4, "2027"),
            ("GPU", 3, "H100", 3, "2027"),
        ],
    }
    assert loaded["2026-h1"][2].status is Status.WAITLISTED


def test_errors_name_the_rule_as_the_programme_states_it(tmp_path):
    assert wrong(tmp_path, "b200-loan", 유형="대규모") == [(2, "유형", "is not a track")]
    assert wrong(tmp_path, "b200-loan", **{"신청수량(B200)": "17", "배정수량": "17"}) == [
        (2, "신청수량(B200)", "track small is 1 to 16 B200")
    ]
    assert wrong(tmp_path, "b200-loan", 배정GPU="H100") == [(2, "배정GPU", "is no GPU model of the programme")]
    assert wrong(tmp_path, "b200-loan", 종료일="2026-09-15") == [
        (2, "종료일", "terms of call September lie within 2026-09-01 and 2026-09-14")
    ]
    assert wrong(tmp_path, "npu-year", 배정수량="4") == [
        (2, "배정수량", "ATOM is awarded in its own unit: 8 were applied for, not 4")
    ]
    assert wrong(tmp_path, "npu-year", 유형="GPU") == [
        (2, "유형", "track GPU is 1 to 8 H100, and applications for ATOM count in ATOM")
    ]
    assert wrong(tmp_path, "npu-year", 차수="2028") == [(2, "차수", "is not a call of the programme")]
    assert wrong(tmp_path, "npu-year", 상태="보류") == [(2, "상태", "is not a status of an award")]


def test_an_award_without_a_call_is_held_to_none_and_one_with_a_call_to_its_days(tmp_path):
    assert rewritten(tmp_path, "npu-year", 차수="", 시작일="2026-12-01")[0].call == ""
    assert wrong(tmp_path, "npu-year", 시작일="2026-12-01") == [
        (2, "시작일", "terms of call 2027 lie within 2027-01-01 and 2027-12-31")
    ]


def test_a_row_may_not_contradict_the_call_of_its_list(tmp_path):
    own = opened("2026-h1")
    text = (own.root / "awards-extra.csv").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "awards-extra.csv"
    for call, message in (("2차", None), ("", None), ("정기", "is in a list of call 추가")):
        path.write_text(f"{text[0]},차수\n{text[1]},{call}\n", encoding="utf-8")
        if message is None:
            assert load_awards([path], own.clusters, programme=own.programme).awards[0].call == "추가"
        else:
            (problem,) = problems(load_awards, [path], own.clusters, programme=own.programme)
            assert (problem.column, problem.value, problem.message) == ("차수", call, message)


@pytest.mark.parametrize("named", ["calls.xlsx#extra", "calls.xlsx"])
def test_a_calls_list_may_be_a_sheet_or_a_whole_workbook(named, tmp_path):
    own = opened("2026-h1")
    written = csv.reader((own.root / "awards-extra.csv").read_text(encoding="utf-8").splitlines())
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "extra"
    for row in written:
        sheet.append(row)
    book.save(tmp_path / "calls.xlsx")
    extra = own.programme.calls[1].model_copy(update={"lists": (named,)})
    programme = own.programme.model_copy(update={"calls": (own.programme.calls[0], extra)})
    (award,) = load_awards([tmp_path / "calls.xlsx#extra"], own.clusters, programme=programme).awards
    assert award.call == "추가"


def test_ids_are_unique_over_calls(tmp_path):
    own = opened("2026-h1")
    text = (own.root / "awards-extra.csv").read_text(encoding="utf-8").replace("HPC-2026-2-001", "HPC-2026-1-001")
    path = tmp_path / "awards-extra.csv"
    path.write_text(text, encoding="utf-8")
    (problem,) = problems(load_awards, [own.awards[0], path], own.clusters, programme=own.programme)
    assert "is in" in problem.message
    assert problem.row == 2


def test_without_calls_in_the_programme_a_call_column_is_not_looked_at(tmp_path):
    own = opened("2026-h1")
    awards = load_awards([own.awards[0]], own.clusters).awards
    assert {award.call for award in awards} == {""}


@pytest.mark.parametrize(
    ("value", "model"),
    [
        *[
            (value, "B200")
            for value in ("B200", "NVIDIA B200", "nvidia-b200-sxm6 192GB", "HGX B200", "블랙웰 B200 GPU")
        ],
        *[(value, None) for value in ("B200 80GB", "GB200", "AMD B200", "B200 1g.23gb", "")],
    ],
)
def test_accelerators_as_lists_write_them(value, model):
    words = Words(opened("b200-loan").programme)
    if model is None:
        with pytest.raises(cells.CellProblem):
            words.model(value)
    else:
        assert words.model(value) == model
