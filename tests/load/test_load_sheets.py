"""``list.xlsx#sheet``: one sheet of a workbook as a list."""

# mypy: allow-untyped-defs, allow-untyped-calls

import shutil
import unicodedata
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_load import CLUSTERS, GOOD, HEADER, problems, write
from test_load_formats import CELLS, COLUMNS

from gpuprov.load.awards import Origin, load_awards
from gpuprov.load.source import Source, source_of


@pytest.fixture
def book(tmp_path):
    """Two rounds that are visible, an old one that is hidden, and a sheet without a list."""
    path = tmp_path / "list.xlsx"
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in {
        "1차": [COLUMNS, ["HPC-1", *CELLS[1:]]],
        "추가 선정": [["제목"], COLUMNS, ["HPC-2", *CELLS[1:]]],
        "Old": [COLUMNS, ["HPC-0", *CELLS[1:]]],
        "안내": [["안내문"]],
    }.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    made["Old"].sheet_state = "hidden"
    made.save(path)
    return path


def named(book, sheet):
    return Path(f"{book}#{sheet}")


@pytest.mark.parametrize(
    ("sheet", "award_id", "row"),
    [
        ("1차", "HPC-1", 2),
        ("추가 선정", "HPC-2", 3),
        ("Old", "HPC-0", 2),
        ("old", "HPC-0", 2),
        (" 추가  선정", "HPC-2", 3),
    ],
)
def test_the_sheet_behind_the_sign_is_the_list(book, sheet, award_id, row):
    path = named(book, sheet)
    loaded = load_awards([path], CLUSTERS)
    assert dict(loaded.origins) == {award_id: Origin(file=str(path), row=row)}


def test_a_title_may_be_typed_in_decomposed_hangul(book):
    path = named(book, unicodedata.normalize("NFD", "추가 선정"))
    assert [award.id for award in load_awards([path], CLUSTERS).awards] == ["HPC-2"]


def test_several_sheets_of_one_workbook_are_several_lists(book):
    loaded = load_awards([named(book, "추가 선정"), named(book, "1차")], CLUSTERS)
    assert [str(loaded.origins[award.id]) for award in loaded.awards] == [f"{book}#추가 선정:3", f"{book}#1차:2"]


def test_the_same_sheet_twice_is_one_problem(book):
    first, second = named(book, "old"), named(book, "Old")
    assert [(p.file, p.message) for p in problems(first, second)] == [(str(second), f"has the same content as {first}")]
    copy = shutil.copy(book, book.with_name("copy.xlsx"))
    assert [p.message for p in problems(named(book, "1차"), named(copy, "1차"))] == [
        f"has the same content as {named(book, '1차')}"
    ]


def test_an_unknown_sheet_is_told_with_the_sheets_there_are(book):
    for wanted in ("2차", ""):
        (problem,) = problems(named(book, wanted))
        assert problem.file == f"{book}#{wanted}"
        assert problem.message == f"has no sheet {wanted!r}, only '1차', '추가 선정', 'Old', '안내'"


def test_problems_name_the_sheet(book):
    made = openpyxl.load_workbook(book)
    made["1차"]["C2"] = 7
    made.save(book)
    assert [(p.file, p.row, p.column) for p in problems(named(book, "1차"))] == [(f"{book}#1차", 2, "유형")]
    assert [p.file for p in problems(named(book, "안내"))] == [f"{book}#안내"]


def test_several_sheets_with_a_list_say_how_one_is_named(book):
    (problem,) = problems(book)
    assert problem.message == "has an award list in each of the sheets '1차', '추가 선정'"
    assert problem.remedy == f"name the sheet behind the file, such as '{book}#1차', or hide the others"


def test_a_file_whose_name_has_the_sign_is_a_file(tmp_path, book):
    write(tmp_path / "a#b.csv", HEADER, GOOD)
    shutil.copy(book, tmp_path / "list.xlsx#1차.xlsx")
    assert load_awards([tmp_path / "a#b.csv"], CLUSTERS).awards[0].id == "HPC-1"
    found = load_awards([tmp_path / "list.xlsx#1차.xlsx#추가 선정"], CLUSTERS)
    assert str(found.origins["HPC-2"]) == f"{tmp_path}/list.xlsx#1차.xlsx#추가 선정:3"


def test_files_that_have_no_sheets_or_are_not_there(tmp_path):
    write(tmp_path / "a.csv", HEADER, GOOD)
    (problem,) = problems(tmp_path / "a.csv#1차")
    assert (problem.message, problem.remedy) == (
        "names a sheet, and .csv files have none",
        f"write {tmp_path}/a.csv without the # and what follows it",
    )
    for name in ("none.xlsx#1차", "none.csv#1차", "x" * 300 + "#1차"):
        (problem,) = problems(tmp_path / name)
        assert problem.file == str(tmp_path / name)
        assert problem.message.startswith(("does not exist", "cannot be read"))


def test_where_a_path_is_split(tmp_path):
    for name in ("a.xlsx", "b#c.xlsx", "d#e"):
        (tmp_path / name).touch()
    splits = {
        "a.xlsx": ("a.xlsx", None),
        "a.xlsx#S": ("a.xlsx", "S"),
        "a.xlsx#S#T": ("a.xlsx", "S#T"),
        "b#c.xlsx": ("b#c.xlsx", None),
        "b#c.xlsx#S": ("b#c.xlsx", "S"),
        "d#e": ("d#e", None),
        "d#e#S": ("d#e", "S"),
        "gone.XLSX#S#T": ("gone.XLSX", "S#T"),
        "gone#1.xlsm#S": ("gone#1.xlsm", "S"),
        "gone#S": ("gone#S", None),
        "#S": ("#S", None),
    }
    for name, (file, sheet) in splits.items():
        assert source_of(tmp_path / name) == Source(file=tmp_path / file, sheet=sheet)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_nothing_of_a_path_is_lost(name):
    path = Path("nowhere") / name
    found = source_of(path)
    assert str(path) == (str(found.file) if found.sheet is None else f"{found.file}#{found.sheet}")
