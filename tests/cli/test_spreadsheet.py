"""CSV and XLSX as other programs read them: Korean, days and numbers as such, and no formula made of data."""

import csv
import io
import shutil
import subprocess
from datetime import date, datetime
from pathlib import Path

import plain_xlsx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import JULY

from gpuprov.cli.spreadsheet import csv_text, is_formula, workbook
from gpuprov.core.awardrow import AwardRow
from gpuprov.core.lifecycle import AwardState
from gpuprov.core.overview import COLUMNS
from gpuprov.i18n import visible

EVIL = ["=1+1", "+82-2-1234", "-3", "@SUM(A1)", "\t=1+1", "\r=1", "\n=1", " =1+1", "＝1+1", '=HYPERLINK("x")']
ALL = tuple(COLUMNS.values())


def row(**fields):
    values = {
        "award": "HPC-2026-1-001",
        "organization": "한빛대학교 AI연구소",
        "provider": "samsung-sds",
        "model": "H100",
        "gpus": 8,
        "in_use": 0,
        "state": AwardState.ACTIVE,
        "accepted": True,
        "deadline": date(2025, 12, 15),
        "end": date(2026, 6, 30),
        "days_left": 121,
        "ends_at": JULY,
        "quota": None,
        "clusters": ("samsung-sds",),
    }
    return AwardRow(**values | fields)


def columns(*names):
    return tuple(COLUMNS[name] for name in names)


# ---- CSV


def read_csv(text):
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_csv_is_what_excel_takes_for_utf_8():
    text = csv_text(columns("award", "organization", "gpus", "accepted", "end", "ends_at", "quota"), [row()])
    assert text.encode().startswith(b"\xef\xbb\xbfaward,")
    assert text.removeprefix("\ufeff").split("\r\n") == [
        "award,organization,GPUs,accepted,end,ends at,quota",
        "HPC-2026-1-001,한빛대학교 AI연구소,8,yes,2026-06-30,2026-07-01T00:00:00+09:00,",
        "",
    ]


@pytest.mark.parametrize("evil", EVIL)
def test_no_cell_of_csv_is_a_formula(evil):
    assert (
        read_csv(csv_text(columns("organization", "award"), [row(organization=evil, award=evil)]))[1]
        == [f"'{evil}" if is_formula(visible(evil)) else visible(evil)] * 2
    )


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_csv_gives_back_every_text_as_it_can_be_seen(text):
    (_, (read, award)) = read_csv(csv_text(columns("organization", "award"), [row(organization=text)]))
    seen = visible(text)
    assert (read.removeprefix("'") if is_formula(seen) else read, award) == (seen, "HPC-2026-1-001")
    assert not read.lstrip().startswith(("=", "+", "-", "@"))


# ---- XLSX


def test_a_workbook_has_texts_days_and_numbers_as_such():
    sheet = plain_xlsx.read(workbook(ALL, [row(), row(award="A-2", in_use=None, end=None, days_left=None)]))
    assert sheet.row(1) == [column.title for column in ALL]
    midnight = datetime.min.time()
    assert sheet.row(2) == [
        "HPC-2026-1-001",
        "한빛대학교 AI연구소",
        "samsung-sds",
        "H100",
        8,
        0,
        "active",
        "yes",
        datetime.combine(date(2025, 12, 15), midnight),
        datetime.combine(date(2026, 6, 30), midnight),
        121,
        datetime.combine(date(2026, 7, 1), midnight),
        "samsung-sds",
    ]
    assert not {"F3", "J3", "K3"} & sheet.cells.keys()
    assert sheet.frozen == "A2"


def test_korean_fits_its_column():
    name = "한국과학기술정보연구원"
    sheet = plain_xlsx.read(workbook(columns("organization", "award"), [row(organization=name)]))
    assert sheet.widths[1] >= 2 * len(name)
    assert sheet.widths[2] >= len("HPC-2026-1-001")
    assert plain_xlsx.read(workbook(columns("organization"), [row(organization="한" * 200)])).widths[1] == 60


@pytest.mark.parametrize("evil", [*EVIL, "#REF!", "#N/A", "12", "2026-01-01", "TRUE"])
def test_no_cell_of_a_workbook_is_a_formula_or_an_error(evil):
    sheet = plain_xlsx.read(workbook(columns("organization", "award"), [row(organization=evil)]))
    assert not any(cell.formula for cell in sheet.cells.values())
    assert sheet.cells["A2"].quoted is is_formula(visible(evil))
    assert sheet.row(2) == [visible(evil), "HPC-2026-1-001"]


def test_what_xml_cannot_have_and_nobody_sees_is_written_out():
    sheet = plain_xlsx.read(workbook(columns("organization"), [row(organization="a\x00\x1bb\u202ec")]))
    assert sheet.row(2) == ["a\\x00\\x1bb\\u202ec"]


def test_a_workbook_of_nobody_has_its_header():
    assert plain_xlsx.read(workbook(columns("award"), [])).row(1) == ["award"]


OFFICE = shutil.which("soffice")


@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not on this machine")
def test_libreoffice_opens_a_workbook(tmp_path: Path) -> None:
    assert OFFICE is not None
    made = workbook(columns("organization", "gpus", "end"), [row(), row(organization="=1+1")])
    (tmp_path / "awards.xlsx").write_bytes(made)
    home = f"-env:UserInstallation=file://{tmp_path}/home"
    export = ["--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1", "--outdir", str(tmp_path)]
    command = [OFFICE, home, "--headless", *export, str(tmp_path / "awards.xlsx")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    lines = (tmp_path / "awards.csv").read_text(encoding="utf-8-sig").splitlines()
    assert list(csv.reader(lines)) == [
        ["organization", "GPUs", "end"],
        ["한빛대학교 AI연구소", "8", "2026-06-30"],
        ["=1+1", "8", "2026-06-30"],
    ]
