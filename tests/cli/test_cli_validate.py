"""`gpuprov validate`: lists that are valid, lists that are refused or broken, forfeitures, and the schema."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pytest
from cli_project import files, run
from openpyxl import Workbook
from projects import REPOSITORY, said_besides

from gpuprov.errors import PlanRefused
from gpuprov.load.project import open_project
from gpuprov.run.loading import load

FIRST = "examples/awards-2026-h1.csv"
EXTRA = "examples/awards-2026-extra-cp949.csv"
EXCESSES = [
    (
        "elice-cloud H100: 434 GPUs allocated of 400, 34 too many (34 H100-equivalents), from "
        "2026-02-01T00:00:00+09:00 to 2026-07-01T00:00:00+09:00 by 64 awards; forfeit or reduce awards, or move them "
        "to another provider"
    ),
    (
        "samsung-sds H100: 207 GPUs allocated of 200, 7 too many (7 H100-equivalents), from "
        "2026-02-01T00:00:00+09:00 to 2026-07-01T00:00:00+09:00 by 29 awards; forfeit or reduce awards, or move them "
        "to another provider"
    ),
]
AT = "2026-03-15T10:00:00+09:00"
BROKEN = """과제번호,기관명,유형,신청수량(H100),공급사,배정GPU,배정수량,시작일,종료일
X-1,가나대학교,1,1,삼성SDS,H100,8대,2026-06-31,2026-06-30
X-2,가나대학교,1,3,엘리스클라우드,A100,4,2026-01-01,2026-06-30
X-1,가나대학교,1,1,없는회사,H100,1,2026-01-01,2026-06-30
"""


def forfeitures(ids: Sequence[str]) -> str:
    return "".join(
        json.dumps(
            {
                "award": award,
                "at": "2026-01-20T00:00:00+09:00",
                "by": "kim",
                "reason": "gave up",
                "recorded": "2026-01-20T09:00:00+09:00",
                "event": "forfeited",
            }
        )
        + "\n"
        for award in ids
    )


def test_the_projects_list_is_valid(root: Path) -> None:
    result = run("validate")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "valid: 120 awards, 120 selected, 0 forfeited in the ledger"
    assert ["samsung-sds", "H100", "200", "200"] in [line.split() for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("name", "awards", "selected", "peaks"),
    [
        (
            FIRST,
            120,
            120,
            {"elice-cloud H100": 398, "elice-cloud A100": 0, "kt-cloud H200": 223, "samsung-sds H100": 200},
        ),
        (EXTRA, 12, 9, {"elice-cloud H100": 36, "elice-cloud A100": 68, "kt-cloud H200": 0, "samsung-sds H100": 7}),
    ],
)
def test_each_sample_list_is_valid_alone(
    root: Path, name: str, awards: int, selected: int, peaks: dict[str, int]
) -> None:
    result = run("validate", name, "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert data.keys() == {"valid", "awards", "selected", "forfeited", "pools"}
    assert (data["valid"], data["awards"], data["selected"], data["forfeited"]) == (True, awards, selected, 0)
    assert {f"{pool['provider']} {pool['model']}": pool["peak"] for pool in data["pools"]} == peaks


def test_both_lists_together_are_refused_with_the_exact_excess(root: Path) -> None:
    before = files(root)
    result = run("validate", FIRST, EXTRA, "--at", AT)
    assert (result.exit_code, result.stdout) == (4, "")
    assert said_besides(result.stderr).splitlines() == [
        "refused, nothing was changed:",
        *(f"  - {line}" for line in EXCESSES),
    ]
    assert files(root) == before


def test_both_lists_together_are_refused_in_json(root: Path) -> None:
    result = run("validate", FIRST, EXTRA, "--json", "--at", AT)
    assert result.exit_code == 4
    assert json.loads(result.stdout) == {"error": "PlanRefused", "message": "\n".join(EXCESSES), "reasons": EXCESSES}


def stack_with(root: Path, provider: str, old: str, new: str) -> None:
    path = root / "stacks" / f"Pulumi.{provider}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(("at", "code"), [("2026-02-01", 4), ("2026-06-30T23:59:59+09:00", 4), ("2026-07-01", 0)])
def test_what_is_over_is_a_warning_and_what_is_not_refuses(root: Path, at: str, code: int) -> None:
    result = run("validate", FIRST, EXTRA, "--at", at)
    assert result.exit_code == code
    assert result.stderr.count("too many") == 2
    if code == 0:
        first, second = said_besides(result.stderr).splitlines()
        assert first.startswith(f"warning: {EXCESSES[0].partition(';')[0]}; it is in the past and stops nothing")
        assert second.startswith(f"warning: {EXCESSES[1].partition(';')[0]}; it is in the past and stops nothing")


@pytest.mark.parametrize("at", ["2026-01-01T00:00+09:00", "2026-06-30T23:59:59+09:00"])
def test_an_excess_refuses_every_decision_until_it_is_over(root: Path, at: str) -> None:
    loaded = load(replace(open_project(root), awards=(root / FIRST, root / EXTRA)))
    with pytest.raises(PlanRefused) as refused:
        loaded.desired(datetime.fromisoformat(at))
    assert list(refused.value.reasons) == EXCESSES
    assert loaded.desired(datetime.fromisoformat("2026-07-01T00:00+09:00")).tenants == ()


def test_a_capacity_with_a_history_is_exceeded_only_where_it_is(root: Path) -> None:
    stack_with(root, "samsung-sds", "capacity: 200", "capacity: [{gpus: 200}, {gpus: 192, from: '2026-03-15'}]")
    ledger = root / "examples" / "ledger.jsonl"
    ledger.write_text(forfeitures(["HPC-2026-1-018"]).replace("2026-01-20T00:00", "2026-03-15T00:00"))
    result = run("validate", "--json", "--at", "2026-03-15T10:00+09:00")
    pools = {f"{pool['provider']} {pool['model']}": pool for pool in json.loads(result.stdout)["pools"]}
    assert (result.exit_code, said_besides(result.stderr)) == (0, "")
    assert (pools["samsung-sds H100"]["capacity"], pools["samsung-sds H100"]["peak"]) == (192, 168)
    before = json.loads(run("validate", "--json", "--at", "2026-03-14").stdout)["pools"]
    assert {"provider": "samsung-sds", "model": "H100", "capacity": 200, "peak": 200} in before
    ledger.unlink()
    late = run("validate", "--at", "2026-03-01")
    assert late.exit_code == 4
    assert "samsung-sds H100: 200 GPUs allocated of 192, 8 too many" in late.stderr
    assert "from 2026-03-15T00:00:00+09:00 to 2026-07-01T00:00:00+09:00" in late.stderr


def test_a_long_list_of_excesses_is_cut_for_people_and_whole_in_json(root: Path) -> None:
    """Every day of March has another number of awards."""
    header = BROKEN.splitlines()[0]
    rows = [f"Z-{day},가나대학교,2,8,삼성SDS,H100,8,2026-03-{day:02},2026-06-30" for day in range(1, 32)]
    (root / "many.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    stack_with(root, "samsung-sds", "capacity: 200", "capacity: 8")
    text = run("validate", "many.csv", "--at", "2026-03-15")
    data = run("validate", "many.csv", "--at", "2026-03-15", "--json")
    assert (text.exit_code, data.exit_code, data.stderr) == (4, 4, text.stderr)
    warnings, _, refused = said_besides(text.stderr).partition("refused, nothing was changed:\n")
    assert len(warnings.splitlines()) == 10 + 1
    assert warnings.splitlines()[-1] == "warning: and 3 more in the past"
    assert len(refused.splitlines()) == 10 + 1
    more = "and 7 more intervals, of samsung-sds H100 (`gpuprov validate --json` has all)"
    assert refused.splitlines()[-1] == f"  - {more}"
    document = json.loads(data.stdout)
    assert (document["error"], len(document["reasons"])) == ("PlanRefused", 17)


def test_forfeitures_in_the_ledger_make_room(root: Path) -> None:
    ledger = root / "examples" / "ledger.jsonl"
    enough = ["HPC-2026-1-018", "HPC-2026-1-021", "HPC-2026-1-006"]  # 32 at samsung-sds, 32 and 8 at elice-cloud
    ledger.write_text(forfeitures(enough[:2]))
    short = run("validate", FIRST, EXTRA, "--at", AT)
    assert short.exit_code == 4
    assert "elice-cloud H100: 402 GPUs allocated of 400, 2 too many" in short.stderr
    assert "samsung-sds" not in short.stderr
    ledger.write_text(forfeitures(enough))
    result = run("validate", FIRST, EXTRA, "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["awards"], data["forfeited"]) == (0, 132, 3)


def test_an_event_of_an_unknown_award_is_a_warning(root: Path) -> None:
    (root / "examples" / "ledger.jsonl").write_text(forfeitures(["NOBODY"]))
    result = run("validate", "--json")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert "forfeited of NOBODY, which no award list has" in result.stderr
    assert json.loads(result.stdout)["forfeited"] == 0


def test_a_note_below_a_list_is_one_warning(root: Path) -> None:
    text = BROKEN.splitlines()[0] + "\nX-1,가나대학교,1,1,삼성SDS,H100,1,2026-01-01,2026-06-30\n※ 변경될 수 있음\n"
    (root / "noted.csv").write_text(text, encoding="utf-8")
    result = run("validate", "noted.csv", "--json")
    assert (result.exit_code, json.loads(result.stdout)["awards"]) == (0, 1)
    assert result.stderr == "warning: noted.csv:3: '※ 변경될 수 있음' is a note and left out\n"


def test_a_sheet_of_a_workbook_is_a_list(root: Path) -> None:
    book = Workbook()
    book.active.title = "안내"
    sheet = book.create_sheet("추가 선정")
    sheet.append(BROKEN.splitlines()[0].split(","))
    sheet.append(["X-1", "가나대학교", 1, 1, "삼성SDS", "H100", 1, "2026-01-01", "2026-06-30"])
    book.save(root / "list.xlsx")
    result = run("validate", "list.xlsx#추가 선정", "--json")
    assert (result.exit_code, json.loads(result.stdout)["awards"]) == (0, 1)
    result = run("validate", "list.xlsx#1차")
    assert result.exit_code == 1
    assert "list.xlsx#1차 has no sheet '1차', only '안내', '추가 선정'; write one" in result.stderr


def test_a_project_may_name_sheets_and_rests_on_the_workbook(root: Path) -> None:
    main = root / "Pulumi.yaml"
    text = main.read_text(encoding="utf-8")
    assert FIRST in text
    main.write_text(
        text.replace(FIRST, "list.xlsx#1차").replace("#1차", "#1차\n      - list.xlsx#2차"), encoding="utf-8"
    )
    book = Workbook()
    for number, title in enumerate(["1차", "2차"]):
        sheet = book.create_sheet(title)
        sheet.append(BROKEN.splitlines()[0].split(","))
        sheet.append([f"X-{number}", "가나대학교", 1, 1, "삼성SDS", "H100", 1, "2026-01-01", "2026-06-30"])
    book.save(root / "list.xlsx")
    project = open_project(root)
    assert [path.name for path in project.awards] == ["list.xlsx#1차", "list.xlsx#2차"]
    loaded = load(project)
    assert [history.award.id for history in loaded.histories] == ["X-0", "X-1"]
    assert [name for name in loaded.files if "list" in name] == [str(root / "list.xlsx")]
    assert loaded.files[str(root / "list.xlsx")] == sha256((root / "list.xlsx").read_bytes()).hexdigest()


def test_a_broken_list_tells_all_problems_at_once(root: Path) -> None:
    (root / "broken.csv").write_text(BROKEN, encoding="utf-8")
    before = files(root)
    result = run("validate", "broken.csv", "missing.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    for part in (
        "broken.csv:2 [배정수량] '8대': may count servers",
        "broken.csv:2 [시작일] '2026-06-31': is not a day of the calendar",
        "broken.csv:3 [배정수량] '4': 3 H100 convert to 12 A100, not 4",
        "broken.csv:4 [공급사] '없는회사': is not a configured supplier",
        "missing.csv does not exist",
    ):
        assert part in result.stderr
    count = len(result.stderr.splitlines()) - 1
    assert result.stderr.splitlines()[-1] == f"{count} problems, nothing was changed"
    assert count >= 5
    assert files(root) == before


def test_a_broken_list_and_a_broken_ledger_in_json(root: Path) -> None:
    (root / "broken.csv").write_text(BROKEN, encoding="utf-8")
    (root / "examples" / "ledger.jsonl").write_text(forfeitures(["HPC-2026-1-001"]) + '{"award":\n')
    result = run("validate", "broken.csv", "--json")
    data = json.loads(result.stdout)
    assert result.exit_code == 1
    assert data["error"] == "InputError"
    assert {problem["file"].rsplit("/", 1)[-1] for problem in data["problems"]} == {"broken.csv", "ledger.jsonl"}
    row = next(problem for problem in data["problems"] if problem["column"] == "시작일")
    assert (row["file"], row["row"], row["value"]) == ("broken.csv", 2, "2026-06-31")
    assert row["remedy"]
    assert next(problem["row"] for problem in data["problems"] if problem["file"].endswith("ledger.jsonl")) == 2


def test_the_schema_is_the_one_in_the_documents(root: Path) -> None:
    result = run("validate", "--schema")
    assert result.exit_code == 0
    assert result.stdout == (REPOSITORY / "docs" / "award-list.schema.json").read_text(encoding="utf-8")


def test_the_schema_needs_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("validate", "--schema").exit_code == 0


def test_the_schema_names_the_accelerators_of_the_projects_programme(monkeypatch: pytest.MonkeyPatch) -> None:
    def models() -> list[str]:
        return json.loads(run("validate", "--schema").stdout)["$defs"]["Award"]["properties"]["model"]["enum"]

    monkeypatch.chdir(REPOSITORY / "examples" / "programmes" / "b200-loan")
    assert models() == ["B200"]
    npu = json.loads(run("validate", "--schema", "-C", str(REPOSITORY / "examples/programmes/npu-year")).stdout)
    assert "B200" not in npu["$defs"]["Award"]["properties"]["model"]["enum"]
