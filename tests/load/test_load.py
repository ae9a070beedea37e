"""Award lists as a whole: the sample lists, all problems at once, duplicates, the mapping file."""

# mypy: allow-untyped-defs, allow-untyped-calls

import time
from collections import Counter
from pathlib import Path

import pytest

from gpuprov.core.award import Status
from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.errors import InputError
from gpuprov.load.awards import Origin, load_awards
from gpuprov.load.mapping import ColumnMapping, load_mapping

EXAMPLES = Path(__file__).parents[2] / "examples"
HEADER = "과제번호,기관명,유형,신청수량(H100),공급사,배정GPU,배정수량,시작일,종료일"
GOOD = "HPC-1,한빛대학교,1,3,엘리스클라우드,A100,12,2026-01-01,2026-06-30"


def cluster(provider, *aliases, **pools):
    return ProviderCluster(
        provider=provider,
        aliases=aliases,
        context=provider,
        pools=tuple(
            GpuPool(
                model=model,
                capacity=capacity,
                resource="nvidia.com/gpu",
                node_label={"nvidia.com/gpu.product": model},
            )
            for model, capacity in pools.items()
        ),
    )


CLUSTERS = (
    cluster("samsung-sds", "삼성SDS", H100=200),
    cluster("elice-cloud", "엘리스클라우드", H100=400, A100=160),
    cluster("kt-cloud", "KT클라우드", H200=400),
)


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def problems(*paths, mapping=None):
    with pytest.raises(InputError) as caught:
        load_awards(paths, CLUSTERS, mapping)
    return caught.value.problems


def brief(found):
    return [(Path(p.file).name, p.row, p.column, p.value) for p in found]


def test_the_sample_lists_load_as_they_are():
    first = load_awards([EXAMPLES / "awards-2026-h1.csv"], CLUSTERS)
    extra = load_awards([EXAMPLES / "awards-2026-extra-cp949.csv"], CLUSTERS)
    assert (len(first.awards), len(extra.awards)) == (120, 12)
    assert {award.status for award in first.awards} == {Status.SELECTED}
    gpus = Counter[tuple[str, str, str]]()
    for award in extra.awards:
        gpus[award.provider, award.model, award.status] += award.quantity
    assert gpus == {
        ("elice-cloud", "H100", "selected"): 36,
        ("elice-cloud", "A100", "selected"): 68,
        ("elice-cloud", "A100", "waitlisted"): 4,
        ("samsung-sds", "H100", "selected"): 7,
        ("samsung-sds", "H100", "waitlisted"): 7,
    }
    gpus = Counter()
    for award in first.awards:
        gpus[award.provider, award.model, award.status] += award.quantity
    assert gpus == {
        ("elice-cloud", "H100", "selected"): 398,
        ("kt-cloud", "H200", "selected"): 223,
        ("samsung-sds", "H100", "selected"): 200,
    }


def test_both_lists_together_keep_their_order_and_origins():
    paths = [EXAMPLES / "awards-2026-extra-cp949.csv", EXAMPLES / "awards-2026-h1.csv"]
    loaded = load_awards(paths, CLUSTERS)
    assert loaded.awards[0].id == "HPC-2026-2-001"
    assert loaded.origins["HPC-2026-2-001"] == Origin(file=str(paths[0]), row=2)
    assert loaded.origins[loaded.awards[-1].id] == Origin(file=str(paths[1]), row=121)
    assert str(loaded.origins["HPC-2026-2-001"]) == f"{paths[0]}:2"


def test_every_problem_of_every_file_is_reported_at_once(tmp_path):
    bad = write(
        tmp_path / "bad.csv",
        HEADER + ",이메일,상태",
        "HPC-1,가온,3,여덟,AWS,B200,8대,2026-06-31,46023,a@b,보류",
        'HPC-2,"나래',
        '교육",1,3,엘리스클라우드,A100,4,2026. 1. 1.,2026년 6월 30일,broken,',
        "hpc‐1,다온,2,8,KT 클라우드,H100,8,2026-01-01,2026-06-30,,선정,비고",
        ",,2,12,㈜삼성SDS,H100,12,2026-06-30,2026-01-01,,",
    )
    other = write(tmp_path / "other.csv", HEADER, GOOD.replace("HPC-1", "HPC-2"))
    assert brief(problems(bad, other, tmp_path / "none.csv")) == [
        ("bad.csv", 2, "유형", "3"),
        ("bad.csv", 2, "신청수량(H100)", "여덟"),
        ("bad.csv", 2, "공급사", "AWS"),
        ("bad.csv", 2, "배정GPU", "B200"),
        ("bad.csv", 2, "배정수량", "8대"),
        ("bad.csv", 2, "시작일", "2026-06-31"),
        ("bad.csv", 2, "종료일", "46023"),
        ("bad.csv", 2, "이메일", "a@b"),
        ("bad.csv", 2, "상태", "보류"),
        ("bad.csv", 3, "이메일", "broken"),
        ("bad.csv", 3, "배정수량", "4"),
        ("bad.csv", 5, "과제번호", "hpc‐1"),
        ("bad.csv", 5, "배정GPU", "H100"),
        ("bad.csv", 5, None, "비고"),
        ("bad.csv", 6, "과제번호", None),
        ("bad.csv", 6, "기관명", None),
        ("bad.csv", 6, "신청수량(H100)", "12"),
        ("bad.csv", 6, "종료일", "2026-01-01"),
        ("other.csv", 2, "과제번호", "HPC-2"),
        ("none.csv", None, None, None),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            GOOD.replace(",12,", ",4,"),
            (
                "list.csv:2 [배정수량] '4': 3 H100 convert to 12 A100, not 4; "
                "allocate 12 A100 or correct the applied quantity"
            ),
        ),
        (
            GOOD.replace("엘리스클라우드", "네이버"),
            (
                "list.csv:2 [공급사] '네이버': is not a configured supplier; write one of the known "
                "(samsung-sds = 삼성SDS, elice-cloud = 엘리스클라우드, kt-cloud = KT클라우드) "
                "or add an alias to a stack file"
            ),
        ),
        (
            GOOD.replace("A100,12", "H200,3"),
            (
                "list.csv:2 [배정GPU] 'H200': elice-cloud has no H200, only A100, H100; "
                "correct the model or the supplier, or add the pool to the stack file"
            ),
        ),
        (
            GOOD.replace("2026-06-30", "46203"),
            (
                "list.csv:2 [종료일] '46203': is a spreadsheet's serial number, perhaps of 2026-06-30; "
                "format the column as dates and save it again"
            ),
        ),
        (GOOD.replace("한빛대학교", "\u3000"), "list.csv:2 [기관명] '\\u3000': is empty; fill it in"),
    ],
)
def test_messages_say_where_what_and_what_to_do(tmp_path, monkeypatch, row, message):
    monkeypatch.chdir(tmp_path)
    write(Path("list.csv"), HEADER, row)
    assert [str(problem) for problem in problems(Path("list.csv"))] == [message]


def test_an_id_belongs_to_one_row_of_all_files(tmp_path):
    first = write(tmp_path / "one.csv", HEADER, GOOD)
    second = write(tmp_path / "two.csv", HEADER, GOOD.replace("HPC-1", "ＨＰＣ-1"), GOOD)
    found = problems(first, second)
    assert [p.message for p in found] == [f"cannot be told from 'HPC-1' in {first}:2", f"is in {first}:2 too"]


def test_the_same_content_twice_is_one_problem(tmp_path):
    first = write(tmp_path / "one.csv", HEADER, GOOD)
    second = write(tmp_path / "two.csv", HEADER, GOOD)
    assert [(p.file, p.message) for p in problems(first, second)] == [(str(second), f"has the same content as {first}")]
    assert [p.message for p in problems(first, first)] == [f"has the same content as {first}"]


def test_titles_blank_rows_and_totals_are_no_awards(tmp_path):
    path = write(
        tmp_path / "list.csv",
        "2026년 고성능컴퓨팅 지원사업 선정 결과,,,,,,,,",
        "(2026. 1. 1. 기준),,,,,,,,",
        "",
        HEADER,
        GOOD,
        ",,,,,,,,",
        "소 계,,,3,,,12,,",
        GOOD.replace("HPC-1", "HPC-2"),
        ",합계,,6,,,24,,",
    )
    loaded = load_awards([path], CLUSTERS)
    assert {award.id: loaded.origins[award.id].row for award in loaded.awards} == {"HPC-1": 5, "HPC-2": 8}


def test_an_award_that_is_named_like_a_total_is_an_award(tmp_path):
    path = write(tmp_path / "list.csv", HEADER, GOOD.replace("HPC-1", "Total"))
    assert load_awards([path], CLUSTERS).awards[0].id == "Total"


def test_a_missing_column_is_named_with_what_was_found(tmp_path):
    path = write(
        tmp_path / "list.csv", "제목", HEADER.replace("배정수량", "배정수량(서버)").replace("종료일", "끝"), GOOD
    )
    (problem,) = problems(path)
    assert problem.row == 2
    assert problem.message.startswith("no column for 배정수량 (quantity), 종료일 (last_day); found: 과제번호, 기관명, ")


@pytest.mark.parametrize(
    "name", ["배정수량(장)", "배정 수량", "배정_수량", "할당수량 (개)", "Quantity", "allocated GPUs"]
)
def test_header_names_are_compared_loosely(tmp_path, name):
    path = write(tmp_path / "list.csv", HEADER.replace("배정수량", name), GOOD)
    assert load_awards([path], CLUSTERS).awards[0].quantity == 12


@pytest.mark.parametrize("name", ["배정수량(서버)", "배정수량(H100)", "배정수량(H100 환산)", "수량"])
def test_a_quantity_in_another_unit_is_not_taken_for_gpus(tmp_path, name):
    path = write(tmp_path / "list.csv", HEADER.replace("배정수량", name), GOOD)
    assert "no column for 배정수량 (quantity)" in problems(path)[0].message


def test_two_columns_for_one_field_are_a_problem_unless_the_mapping_ignores_one(tmp_path):
    path = write(tmp_path / "list.csv", HEADER + ",할당수량", GOOD + ",99")
    (problem,) = problems(path)
    assert (problem.row, problem.column) == (1, "할당수량")
    assert load_awards([path], CLUSTERS, ColumnMapping(columns={"할당수량": None})).awards[0].quantity == 12


def test_the_mapping_file_renames_and_wins_over_names(tmp_path):
    path = write(tmp_path / "list.csv", HEADER + ",우리 수량", GOOD.replace(",12,", ",99,") + ",12")
    mapping = load_mapping(write(tmp_path / "m.yaml", "columns:", '  "우리수량": quantity'))
    assert load_awards([path], CLUSTERS, mapping).awards[0].quantity == 12


def test_a_mapped_header_that_no_list_has_is_a_problem(tmp_path):
    path = write(tmp_path / "list.csv", HEADER, GOOD)
    mapping = load_mapping(write(tmp_path / "m.yaml", "columns:", '  "결과 상태": status'))
    assert brief(problems(path, mapping=mapping)) == [("m.yaml", 2, None, "결과 상태")]


@pytest.mark.parametrize(
    ("lines", "places"),
    [
        (["columns: [a]"], [(None, None)]),
        (["other: {}"], [(None, None)]),
        (["columns: {a: b"], [(2, None)]),
        (
            ["columns:", "  a: nothing", "  b:", "  c: [id]", "  d: id", '  "D": null'],
            [(2, "nothing"), (3, ""), (4, None), (6, "D")],
        ),
    ],
)
def test_every_problem_of_a_mapping_file(tmp_path, lines, places):
    with pytest.raises(InputError) as caught:
        load_mapping(write(tmp_path / "m.yaml", *lines))
    assert [(p.row, p.value) for p in caught.value.problems] == places


def test_a_mapping_made_in_code_knows_the_fields():
    with pytest.raises(ValueError, match="amount"):
        ColumnMapping(columns={"수량": "amount"})


def test_no_file_at_all_is_a_problem():
    assert [p.message for p in problems()] == ["no file was given"]


def test_rules_are_checked_beside_bad_cells(tmp_path):
    path = write(tmp_path / "list.csv", HEADER, GOOD.replace(",3,", ",x,").replace("2026-06-30", "2025-06-30"))
    assert brief(problems(path)) == [("list.csv", 2, "신청수량(H100)", "x"), ("list.csv", 2, "종료일", "2025-06-30")]


def test_an_alias_of_two_suppliers_is_a_problem(tmp_path):
    path = write(tmp_path / "list.csv", HEADER, GOOD)
    with pytest.raises(InputError, match="alias of more than one supplier: a, b"):
        load_awards([path], [cluster("a", "엘리스클라우드", A100=8), cluster("b", "엘리스클라우드", A100=8)])


def test_ten_thousand_awards_load_in_seconds(tmp_path):
    rows = [GOOD.replace("HPC-1", f"HPC-{number}") for number in range(10_000)]
    path = write(tmp_path / "list.csv", HEADER, *rows)
    begun = time.perf_counter()
    assert len(load_awards([path], CLUSTERS).awards) == 10_000
    assert time.perf_counter() - begun < 10  # about half a second on an idle core
