"""Files: encodings, delimiters, workbooks, JSON, and everything that is not an award list."""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: DTZ001 - the cells of a spreadsheet have no time zone

import io
import json
import re
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import jsonschema
import openpyxl
import pytest
from test_load import CLUSTERS, GOOD, HEADER, problems, write

from gpuprov.core.award import Award
from gpuprov.load.awards import load_awards
from gpuprov.load.fields import NAMES
from gpuprov.load.schema import json_schema, schema_text

DOCS = Path(__file__).parents[2] / "docs"
COLUMNS = HEADER.split(",")
CELLS = ["HPC-1", "한빛대학교", 1, 3, "엘리스클라우드", "A100", 12.0, datetime(2026, 1, 1), date(2026, 6, 30)]
AWARD = {
    "id": "HPC-1",
    "organization": "한빛대학교",
    "track": "1",
    "applied_h100": 3,
    "provider": "elice-cloud",
    "model": "A100",
    "quantity": 12,
    "first_day": "2026-01-01",
    "last_day": "2026-06-30",
}
LOADED = Award.model_validate(AWARD)


def workbook(path, *sheets, hidden=()):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"S{number}")
        if number in hidden:
            sheet.sheet_state = "hidden"
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def messages(path):
    return [(p.row, p.message) for p in problems(path)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "euc-kr", "utf-16"])
@pytest.mark.parametrize(("delimiter", "suffix"), [(",", "csv"), (";", "csv"), ("\t", "txt"), ("\t", "tsv")])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_delimiters_and_line_ends(tmp_path, encoding, delimiter, suffix, newline):
    path = tmp_path / f"list.{suffix}"
    path.write_bytes(newline.join([HEADER, GOOD]).replace(",", delimiter).encode(encoding))
    assert load_awards([path], CLUSTERS).awards == (LOADED,)


def test_utf_16_of_both_byte_orders(tmp_path):
    for number, (mark, encoding) in enumerate([(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")]):
        path = tmp_path / f"{number}.txt"
        path.write_bytes(mark + f"{HEADER}\n{GOOD}".encode(encoding))
        assert load_awards([path], CLUSTERS).awards == (LOADED,)


@pytest.mark.parametrize(
    ("data", "row", "message"),
    [
        (f"{HEADER}\n{GOOD}".encode() + b"\n\xff", 3, "byte 0xFF is neither UTF-8 nor CP949 (EUC-KR)"),
        (f"{HEADER}\n{GOOD}".encode("cp949") + b"\n\xff", 3, "byte 0xFF is neither UTF-8 nor CP949 (EUC-KR)"),
        (b"\xef\xbb\xbfa\n\xff", 2, "begins as UTF-8, but byte 0xFF is not UTF-8"),
        (b"\xff\xfea\x00\n\x00\x00\xd8", 2, "begins as UTF-16, but byte 0x00 is not UTF-16"),
        ("id\n".encode("utf-16-le"), 1, "holds NUL bytes, so it is not a text file"),
        (b"", None, "is empty"),
        (b"\xef\xbb\xbf", None, "no header in the first 20 rows"),
        (b"PK\x03\x04", None, "is an Excel workbook in spite of its name's .csv"),
        (HEADER.encode(), 1, "has a header and no awards"),
        (("\n" * 20 + f"{HEADER}\n{GOOD}").encode(), None, "no header in the first 20 rows"),
    ],
)
def test_bytes_that_are_no_list(tmp_path, data, row, message):
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    assert messages(path) == [(row, message)]


def test_an_unclosed_quotation_names_the_line_it_begins_in_and_hides_nothing_above(tmp_path):
    path = write(tmp_path / "list.csv", HEADER, GOOD.replace(",12,", ",13,"), GOOD.replace("한빛", '"한빛'), GOOD)
    found = problems(path)
    assert sorted(p.row for p in found) == [2, 3]
    assert any("quotation" in p.message for p in found)


@pytest.mark.parametrize("name", ["list.xls", "list.pdf", "list"])
def test_other_kinds_of_files(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"anything")
    assert problems(path)[0].remedy == "save it as .xlsx, or as .csv in UTF-8 or CP949"


def test_missing_files_and_directories(tmp_path):
    assert messages(tmp_path / "none.xlsx") == [(None, "does not exist")]
    assert messages(tmp_path) == [(None, "is a directory")]
    assert messages(tmp_path / ("x" * 300 + ".csv"))[0][1].startswith("cannot be read")


@pytest.mark.parametrize("suffix", ["xlsx", "xlsm"])
def test_a_workbook_with_title_rows_real_dates_and_a_totals_row(tmp_path, suffix):
    rows = [["2026년 선정 결과"], [], COLUMNS, CELLS, [], ["합계", None, None, 3, None, None, 12]]
    path = workbook(tmp_path / f"list.{suffix}", [["안내문"]], rows)
    loaded = load_awards([path], CLUSTERS)
    assert loaded.awards == (LOADED,)
    assert loaded.origins["HPC-1"].row == 4


def test_hidden_rows_are_loaded_and_hidden_sheets_are_not(tmp_path):
    path = workbook(tmp_path / "list.xlsx", [COLUMNS, ["OLD", *CELLS[1:]]], [COLUMNS, CELLS], hidden=[0])
    book = openpyxl.load_workbook(path)
    book["S1"].row_dimensions[2].hidden = True
    book.save(path)
    assert load_awards([path], CLUSTERS).awards == (LOADED,)


def test_two_sheets_with_a_list_are_a_problem(tmp_path):
    path = workbook(tmp_path / "list.xlsx", [COLUMNS, CELLS], [COLUMNS, CELLS])
    assert messages(path) == [(None, "has an award list in each of the sheets 'S0', 'S1'")]


def test_cells_of_a_workbook_that_are_no_values(tmp_path):
    row = ["HPC-1", "#N/A", True, 2.5, "=A1", None, "=1+1", datetime(2026, 1, 1, 9, 30), timedelta(hours=3)]
    found = problems(workbook(tmp_path / "list.xlsx", [COLUMNS, row]))
    assert [(p.column, p.value, p.message) for p in found] == [
        ("기관명", "#N/A", "is an error of the spreadsheet"),
        ("유형", "True", "is a logical value"),
        ("신청수량(H100)", "2.5", "is not a whole number"),
        ("공급사", None, "is a formula without a saved result"),
        ("배정GPU", None, "is empty"),
        ("배정수량", None, "is a formula without a saved result"),
        ("시작일", "2026-01-01 09:30:00", "has a time of day"),
        ("종료일", "3:00:00", "is a time without a day"),
    ]


def test_saved_results_of_formulas_are_values_and_empty_texts_are_empty(tmp_path):
    path = workbook(tmp_path / "list.xlsx", [[*COLUMNS, "상태"], [*CELLS[:6], "=6*2", *CELLS[7:], '=""']])
    source = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(path, "w") as after:
        for part in before.namelist():
            data = before.read(part)
            if part.endswith("sheet1.xml"):
                assert b"<f>6*2</f><v />" in data or b"<f>6*2</f><v></v>" in data
                data = data.replace(b"<f>6*2</f><v />", b"<f>6*2</f><v>12</v>")
                data = data.replace(b"<f>6*2</f><v></v>", b"<f>6*2</f><v>12</v>")
                data = data.replace(b'<c r="J2"', b'<c r="J2" t="str"')
            after.writestr(part, data)
    assert load_awards([path], CLUSTERS).awards == (LOADED,)


def test_damaged_and_locked_workbooks(tmp_path):
    path = workbook(tmp_path / "list.xlsx", [COLUMNS, CELLS])
    data = path.read_bytes()
    for damaged in (b"no archive", data[:1000], data[:-30], b"\xd0\xcf\x11\xe0" + data):
        path.write_bytes(damaged)
        (problem,) = problems(path)
        assert "save it again as .xlsx" in problem.remedy
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    assert messages(path) == [(None, "is a damaged or incomplete workbook")]


def test_a_workbook_without_a_list_shows_what_comes_nearest(tmp_path):
    path = workbook(tmp_path / "list.xlsx", [["기관명", "상태"]], [["과제번호", "기관명", "공급사"]])
    ((row, message),) = messages(path)
    assert row == 1
    assert message.endswith("found: 과제번호, 기관명, 공급사")


def test_json_lists_load_and_name_the_position_from_1(tmp_path):
    path = tmp_path / "list.json"
    path.write_text(json.dumps([AWARD]), encoding="utf-8")
    loaded = load_awards([path], CLUSTERS)
    assert loaded.awards == (LOADED,)
    assert loaded.origins["HPC-1"].row == 1
    path.write_text(json.dumps([AWARD, 5, {**AWARD, "id": "B", "quantity": [1], "more": 1}, {}]), encoding="utf-8")
    assert [(p.row, p.column) for p in problems(path)] == [
        *[(2, None), (3, "more"), (3, "quantity")],
        *[(4, name) for name in NAMES if name in json_schema()["$defs"]["Award"]["required"]],
    ]


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ("[1,\n}", 2, "is not valid JSON"),
        ("{}", None, "is not an array"),
        ("[]", None, "has no awards"),
        ("[NaN]", None, "is not an award list: NaN is no JSON value"),
        ('[{"id": 1, "id": 2}]', None, "is not an award list: an object has 'id' twice"),
        ("[" * 100_000, None, "is not an award list: it cannot be read"),
        ("[" + "9" * 5000 + "]", None, "is not an award list: it cannot be read"),
    ],
)
def test_json_that_is_no_list(tmp_path, text, row, message):
    path = tmp_path / "list.json"
    path.write_text(text, encoding="utf-8")
    assert messages(path) == [(row, message)]


def test_the_schema_in_docs_is_the_current_one():
    # To update: python -m gpuprov.load > docs/award-list.schema.json
    assert (DOCS / "award-list.schema.json").read_text(encoding="utf-8") == schema_text()


def test_the_schema_is_valid_and_accepts_and_refuses_like_the_loader():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate([AWARD], schema)
    for wrong in ({"first_day": "2206-01-01"}, {"email": "a@b"}, {"organization": " "}, {"id": "a b"}, {"more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([{**AWARD, **wrong}], schema)


def test_every_field_has_names_and_no_name_means_two_fields():
    assert set(NAMES) == set(Award.model_fields)
    names = [name for field in NAMES for name in NAMES[field]]
    assert len(names) == len(set(names))


def test_what_openpyxl_prints_of_a_broken_style_is_not_printed(tmp_path, capsys):
    """It would stand before the data that a command prints."""
    path = workbook(tmp_path / "list.xlsx", [COLUMNS, CELLS])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    styles = parts["xl/styles.xml"].decode()
    parts["xl/styles.xml"] = re.sub(r'(<cellStyle [^>]*xfId=)"0"', r'\1"99"', styles).encode()
    assert parts["xl/styles.xml"] != styles.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert messages(path) == [(None, "is a damaged or incomplete workbook")]
    assert capsys.readouterr().out == ""
