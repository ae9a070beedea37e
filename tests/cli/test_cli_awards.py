"""`gpuprov awards` on API servers that answer from a table."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import plain_xlsx
import pytest
from cli_project import run
from cli_world import JULY, MARCH, PROVIDERS, Api, World

from gpuprov.core.lifecycle import AwardState

MEDICAL, NURI = "HPC-2026-1-003", "HPC-2026-1-002"
GPU = "requests.nvidia.com/gpu"


def pod(namespace: str, gpus: int, *, node: str = "h100-01", phase: str = "Running") -> dict[str, Any]:
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    spec = {"containers": [container]} | ({"nodeName": node} if node else {})
    return {"metadata": {"namespace": namespace, "name": "train-0"}, "spec": spec, "status": {"phase": phase}}


def write(world: World, kind: str, award: str, at: str = MARCH, **fields: object) -> None:
    """Append one event to the ledger by hand."""
    event = {"event": kind, "award": award, "by": "kim", "reason": "as agreed", "at": at, "recorded": at, **fields}
    with world.ledger.open("a", encoding="utf-8") as file:
        file.write(json.dumps(event, ensure_ascii=False) + "\n")


def shown(world: World, *arguments: str, at: str = MARCH) -> list[str]:
    ran = world.run("awards", *arguments, "--json", at=at)
    assert ran.code == 0
    return [row["award"] for row in ran.data["awards"]]


def test_each_award_of_the_list_has_a_row(world: World, full: Api) -> None:
    full.objects["samsung-sds", "Pod"] = [pod("gpu-hpc-2026-1-003", 6)]
    write(world, "accepted", MEDICAL, "2026-01-05T00:00:00+09:00")
    ran = world.run("awards", "--json")
    assert (ran.code, ran.data["at"], ran.data["failed"]) == (0, MARCH, {})
    rows = {row["award"]: row for row in ran.data["awards"]}
    assert len(rows) == 120
    assert rows[MEDICAL] == {
        "award": MEDICAL,
        "organization": "가온의료재단",
        "provider": "samsung-sds",
        "model": "H100",
        "gpus": 8,
        "in_use": 6,
        "state": "active",
        "accepted": True,
        "deadline": "2025-12-15",
        "end": "2026-06-30",
        "days_left": 121,
        "ends_at": JULY,
        "quota": 8,
        "clusters": ["samsung-sds"],
    }
    assert [row["accepted"] for row in rows.values()].count(True) == 1


def test_the_table_has_the_usual_columns_and_whole_ids(world: World, full: Api) -> None:
    ran = world.run("awards", "가온의료재단")
    header, *rows = ran.out.splitlines()
    assert re.split(r"  +", header.strip()) == [
        *("award", "organization", "provider", "model", "GPUs", "in use", "state", "accepted"),
        *("accept by", "end", "days left"),
    ]
    assert [row.split()[0] for row in rows] == shown(world, "가온의료재단")
    assert re.split(r"  +", rows[0].strip()) == [
        *(MEDICAL, "가온의료재단", "samsung-sds", "H100", "8", "0", "active", "no", "2025-12-15", "2026-06-30", "121")
    ]
    assert ran.told[-1] == f"{len(rows)} of 120 awards, at 2026-03-01T09:00+09:00"


def test_what_only_the_ledger_or_a_cluster_knows_has_a_row(world: World, full: Api) -> None:
    text = (world.root / "examples" / "awards-2026-h1.csv").read_text(encoding="utf-8-sig")
    (line,) = [line for line in text.splitlines() if line.startswith(NURI)]
    world.edit_list(f"{line}\n", "")
    write(world, "accepted", "HPC-2025-9-001")
    ran = world.run("awards", "--json", "--state", "orphan", "--state", "unlisted")
    assert [(row["award"], row["state"], row["provider"], row["gpus"]) for row in ran.data["awards"]] == [
        ("HPC-2025-9-001", "unlisted", "", 0),
        (NURI, "orphan", "kt-cloud", 1),
    ]


def test_filters(world: World, full: Api) -> None:
    full.objects["samsung-sds", "Pod"] = [pod("gpu-hpc-2026-1-003", 8)]
    write(world, "accepted", NURI)
    write(world, "forfeited", MEDICAL, "2026-03-10T00:00:00+09:00")
    assert shown(world, "--ends-within", "9d") == [MEDICAL]
    both = ("--provider", "samsung-sds", "--provider", "kt-cloud")
    assert shown(world, "--idle", "--not-accepted", "1-00", *both) == [
        *("HPC-2026-1-005", "HPC-2026-1-007", "HPC-2026-1-008")
    ]
    assert shown(world, "--state", "forfeited", at="2026-03-10T00:00:00+09:00") == [MEDICAL]


def test_sorting_and_columns(world: World, full: Api) -> None:
    ran = world.run("awards", "--sort", "-gpus,organization", "--columns", "gpus,organization,days-left", "--json")
    rows = ran.data["awards"]
    assert all(list(row) == ["gpus", "organization", "days_left"] for row in rows)
    assert rows == sorted(rows, key=lambda row: (-row["gpus"], row["organization"]))
    assert rows[0]["gpus"] > rows[-1]["gpus"]


def test_a_cluster_that_does_not_answer(world: World, full: Api) -> None:
    full.forbidden.add("samsung-sds")
    ran = world.run("awards", MEDICAL, "--json")
    (row,) = ran.data["awards"]
    assert (ran.code, ran.data["failed"].keys()) == (5, {"samsung-sds"})
    assert (row["state"], row["gpus"], row["in_use"], row["quota"]) == ("active", 8, None, None)
    ran = world.run("awards", MEDICAL)
    assert re.split(r"  +", ran.out.splitlines()[1].strip())[4:7] == ["8", "?", "active"]
    assert (ran.code, ran.told[-1].startswith("not read: samsung-sds: ")) == (5, True)
    assert shown(world, "--provider", "kt-cloud", "--columns", "award,provider")


def test_without_any_cluster_the_list_is_shown_all_the_same(closed: World) -> None:
    ran = closed.run("awards", "--json")
    assert (ran.code, ran.data["failed"].keys(), len(ran.data["awards"])) == (5, set(PROVIDERS), 120)
    assert {row["in_use"] for row in ran.data["awards"]} == {None}


def test_csv(world: World, full: Api) -> None:
    world.edit_list(f"{MEDICAL},가온의료재단", f'{MEDICAL},"=HYPERLINK(""x"")"')
    ran = world.run("awards", "HPC-2026-1-00", "--csv")
    header, *rows = csv.reader(io.StringIO(ran.out.removeprefix("\ufeff")))
    assert (ran.out[0], header[:2], len(rows)) == ("\ufeff", ["award", "organization"], 9)
    assert rows[0][:3] == ["HPC-2026-1-001", "한빛대학교 AI연구소", "elice-cloud"]
    assert rows[2][:2] == [MEDICAL, '\'=HYPERLINK("x")']


def test_xlsx(world: World, full: Api) -> None:
    path = world.root / "현황.xlsx"
    ran = world.run("awards", "--xlsx", path.name, "--columns", "award,organization,gpus,end")
    assert (ran.code, ran.out) == (0, "현황.xlsx\n")
    sheet = plain_xlsx.read(path.read_bytes())
    assert (sheet.row(1), len(sheet.cells)) == (["award", "organization", "GPUs", "end"], 4 * 121)
    assert sheet.row(4)[:3] == [MEDICAL, "가온의료재단", 8]
    assert world.run("awards", "--xlsx", path.name, "--force").code == 0
    assert plain_xlsx.read(path.read_bytes()).row(1)[-1] == "days left"
    assert [found.name for found in path.parent.glob("*xlsx*")] == [path.name]


# ---- what is typed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--state", "activ"), "--state 'activ': is not a state; use waitlisted, upcoming, active,"),
        (("--state", "activ"), "; did you mean active?"),
        (
            ("--ends-within", "2 weeks"),
            "--ends-within '2 weeks': is not a time; write it in hours, days or weeks: 36h, 14d, 2w",
        ),
        (("--sort", "-gpu"), "--sort 'gpu': is not a column; use award,"),
        (("--columns", "award,dayz_left"), "; did you mean days_left?"),
        (("--columns", ","), "--columns ',': names no column"),
        (("--csv", "--json"), "--json and --csv are several outputs; choose one"),
        (("--csv", "--xlsx", "a.xlsx"), "--csv and --xlsx are several outputs; choose one"),
        (("--force",), "--force replaces no file; pass --xlsx FILE too, or leave it out"),
        (("--xlsx", "a.xls"), "--xlsx 'a.xls': is no name that Excel opens; let the file's name end with .xlsx"),
    ],
)
def test_what_is_wrong_with_an_option_is_told(root: Path, arguments: tuple[str, ...], told: str) -> None:
    result = run("awards", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_everything_that_is_wrong_is_told_at_once(root: Path) -> None:
    wrong = ("--state", "x", "--state", "y", "--sort", "z,award", "--columns", "q", "--ends-within", "w", "--force")
    _, _, told = run("awards", "--provider", "p", *wrong).stderr.partition("Error: ")
    assert [line.split(":")[0] for line in told.splitlines()] == [
        *("--state 'x'", "--state 'y'", "--ends-within 'w'", "--sort 'z'", "--columns 'q'"),
        *("--force replaces no file; pass --xlsx FILE too, or leave it out", "--provider 'p'"),
    ]


def test_an_unknown_provider_alone_is_a_failure_as_everywhere(root: Path) -> None:
    result = run("awards", "--provider", "nope", "--json")
    assert result.exit_code == 1
    assert [problem["value"] for problem in json.loads(result.stdout)["problems"]] == ["nope"]


def test_a_file_that_cannot_be_written_is_told_before_any_cluster_is_asked(root: Path) -> None:
    result = run("awards", "--xlsx", "none/a.xlsx")
    assert (result.exit_code, result.stderr) == (1, "error: none is not a folder; make it, or name another\n")


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(root: Path) -> None:
    (root / "현황.xlsx").write_bytes(b"mine")
    result = run("awards", "--xlsx", "현황.xlsx")
    assert result.exit_code == 1
    assert result.stderr == "error: 현황.xlsx already exists; pass --force, or name another file\n"
    assert (root / "현황.xlsx").read_bytes() == b"mine"


def test_every_state_is_told_in_the_documents() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = text.split("\n## awards\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z]+)` \|", section, flags=re.MULTILINE) == [str(state) for state in AwardState]
