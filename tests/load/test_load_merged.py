"""Merged cells of a workbook: what is seen in them counts for each of their rows, and a header may span and be tall."""

# mypy: allow-untyped-defs, allow-untyped-calls

import io
import tempfile
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_load import CLUSTERS, problems
from test_load_formats import CELLS, COLUMNS

from gpuprov.load.awards import load_awards
from gpuprov.load.merged import Merged, across, down
from gpuprov.load.sheetxml import read_marks

IDS = ["HPC-1", "HPC-2", "HPC-3"]


def save(path, rows, *ranges):
    """Write a workbook in which only the first cell of each range has a value, as Excel does."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cells in ranges:
        book.active.merge_cells(cells)
    book.save(path)
    return path


def save_with_hidden(path, rows, cells):
    """Write a workbook that keeps what was merged away, as other programs than Excel do."""
    source = io.BytesIO(save(path, rows).read_bytes())
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(path, "w") as after:
        for part in before.namelist():
            data = before.read(part)
            if part.endswith("sheet1.xml"):
                marks = f'</sheetData><mergeCells count="1"><mergeCell ref="{cells}"/></mergeCells>'
                data = data.replace(b"</sheetData>", marks.encode())
            after.writestr(part, data)
    return path


def rows_of(*ids):
    return [[award_id, *CELLS[1:]] for award_id in ids]


def test_a_value_that_is_merged_over_rows_counts_for_each_of_them(tmp_path):
    rows = [COLUMNS, *rows_of(*IDS)]
    rows[1][1] = "누리대학교"
    path = save(tmp_path / "list.xlsx", rows, "B2:B4", "H2:H3", "I3:I4")
    loaded = load_awards([path], CLUSTERS)
    assert [(award.id, award.organization) for award in loaded.awards] == [(award_id, "누리대학교") for award_id in IDS]
    assert {loaded.origins[award_id].row for award_id in IDS} == {2, 3, 4}


def test_a_number_that_is_merged_over_awards_counts_in_each_and_is_told(tmp_path):
    path = save(tmp_path / "list.xlsx", [COLUMNS, *rows_of(*IDS)], "D2:D3", "G2:G4", "B2:B4")
    loaded = load_awards([path], CLUSTERS)
    assert [award.quantity for award in loaded.awards] == [12, 12, 12]
    assert loaded.warnings == (
        f"{path}:2: [신청수량(H100)] '3' is merged over rows 2 to 3 and counts in each of them",
        f"{path}:2: [배정수량] '12' is merged over rows 2 to 4 and counts in each of them",
    )


def test_an_id_that_is_merged_over_rows_is_an_id_of_several_rows(tmp_path):
    path = save(tmp_path / "list.xlsx", [COLUMNS, *rows_of(*IDS)], "A2:A4")
    found = [(problem.row, problem.column, problem.value, problem.message) for problem in problems(path)]
    assert found == [(row, "과제번호", "HPC-1", f"is in {path}:2 too") for row in (3, 4)]


def test_rows_that_are_merged_as_a_whole_are_one_award(tmp_path):
    ranges = [f"{column}2:{column}3" for column in "ABCDEFGHI"]
    path = save(tmp_path / "list.xlsx", [COLUMNS, *rows_of("HPC-1", "", "HPC-3")], *ranges)
    loaded = load_awards([path], CLUSTERS)
    assert [(award.id, loaded.origins[award.id].row) for award in loaded.awards] == [("HPC-1", 2), ("HPC-3", 4)]
    assert loaded.warnings == ()


def test_what_is_merged_away_does_not_count_even_where_the_file_still_has_it(tmp_path):
    rows = [COLUMNS, *rows_of(*IDS)]
    rows[2][1] = rows[3][1] = "감춘 기관"
    loaded = load_awards([save_with_hidden(tmp_path / "list.xlsx", rows, "B2:B4")], CLUSTERS)
    assert [award.organization for award in loaded.awards] == ["한빛대학교"] * 3


def test_a_merged_cell_that_is_empty_is_empty_in_each_row(tmp_path):
    rows = [COLUMNS, *rows_of("HPC-1", "HPC-2")]
    rows[1][1], rows[2][1] = None, "감춘 기관"
    found = problems(save_with_hidden(tmp_path / "list.xlsx", rows, "B2:B3"))
    assert [(problem.row, problem.column, problem.message) for problem in found] == [
        (row, "기관명", "is empty") for row in (2, 3)
    ]


def test_a_value_that_is_merged_over_columns_counts_for_each_of_them(tmp_path):
    rows = [[*COLUMNS, "비고", "상태"], [*CELLS, "포기", None], ["HPC-2", *CELLS[1:], None, "선정"]]
    loaded = load_awards([save(tmp_path / "list.xlsx", rows, "J2:K2")], CLUSTERS)
    assert [str(award.status) for award in loaded.awards] == ["forfeited", "selected"]


def test_a_formula_without_a_result_is_told_in_each_row_that_it_is_merged_over(tmp_path):
    rows = [COLUMNS, *rows_of("HPC-1", "HPC-2")]
    rows[1][6] = "=6*2"
    found = problems(save(tmp_path / "list.xlsx", rows, "G2:G3"))
    assert [(problem.row, problem.message) for problem in found] == [
        (row, "is a formula without a saved result") for row in (2, 3)
    ]


TALL = [*(f"{column}2:{column}3" for column in "ABEFG"), "C2:D2", "H2:I2"]
"""The header of two rows: 신청 over 유형 and 신청수량, 기간 over 시작일 and 종료일, the rest two rows high."""


def test_a_header_of_two_rows_with_titles_of_groups(tmp_path):
    upper = [*COLUMNS[:2], "신청", None, *COLUMNS[4:7], "기간", None]
    lower = [None, None, *COLUMNS[2:4], None, None, None, *COLUMNS[7:]]
    loaded = load_awards([save(tmp_path / "list.xlsx", [["제목"], upper, lower, CELLS], "A1:I1", *TALL)], CLUSTERS)
    assert loaded.origins["HPC-1"].row == 4


def test_a_header_that_is_merged_downwards_ends_where_it_is_seen_to_end(tmp_path):
    halves = [*[None] * 9, "내부", "외부"]
    rows = [[*COLUMNS, "비고", None], halves, [*CELLS, "a", "b"]]
    path = save(tmp_path / "list.xlsx", rows, *(f"{column}1:{column}2" for column in "ABCDEFGHI"), "J1:K1")
    assert load_awards([path], CLUSTERS).origins["HPC-1"].row == 3


def test_a_header_that_covers_a_part_of_a_row_hides_nothing(tmp_path):
    path = save(
        tmp_path / "list.xlsx", [COLUMNS, *rows_of("HPC-1", "HPC-2")], *(f"{column}1:{column}2" for column in "BCDEFGH")
    )
    assert {problem.row for problem in problems(path)} == {2}


@pytest.mark.parametrize("at", [9, 10])
def test_below_a_header_that_spans_columns_the_value_may_stand_in_any_of_them(tmp_path, at):
    row = [*CELLS, None, None]
    row[at] = "예비"
    path = save(tmp_path / "list.xlsx", [[*COLUMNS, "상태", None], row], "J1:K1")
    (award,) = load_awards([path], CLUSTERS).awards
    assert str(award.status) == "waitlisted"


def test_two_values_below_a_header_that_spans_columns_are_a_problem(tmp_path):
    rows = [[*COLUMNS, "상태", None], [*CELLS, "선정", "예비"], ["HPC-2", *CELLS[1:], "선정", None]]
    (problem,) = problems(save(tmp_path / "list.xlsx", rows, "J1:K1", "J3:K3"))
    assert (problem.row, problem.column, problem.value) == (2, "상태", "예비")
    assert problem.message == "is a second value below one header that spans several columns"


def test_totals_and_notes_may_be_merged_over_the_whole_width(tmp_path):
    rows = [COLUMNS, CELLS, ["합계", *[None] * 5, 12], ["※ 변경될 수 있음"], [], [None, "비고: 끝"]]
    path = save(tmp_path / "list.xlsx", rows, "A3:F3", "A4:I5", "B6:L6")
    loaded = load_awards([path], CLUSTERS)
    assert [award.id for award in loaded.awards] == ["HPC-1"]
    assert [warning.split(" ")[0] for warning in loaded.warnings] == [f"{path}:4:", f"{path}:6:"]


@st.composite
def tables(draw):
    """Rows of a small sheet with ranges that do not overlap."""
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    ranges, taken = [], set()
    for _ in range(draw(st.integers(0, 4))):
        top, left = draw(st.integers(1, height)), draw(st.integers(0, width - 1))
        merged = Merged(top, draw(st.integers(top, height)), left, draw(st.integers(left, width - 1)))
        cells = set(places(merged))
        if len(cells) > 1 and not cells & taken:
            ranges.append(merged)
            taken |= cells
    rows = [[draw(st.sampled_from([None, "", "a", "b", 1])) for _ in range(width)] for _ in range(height)]
    return rows, ranges


def places(merged):
    return [(r, c) for r in range(merged.top, merged.bottom + 1) for c in range(merged.left, merged.right + 1)]


@given(tables())
def test_every_cell_shows_the_first_of_the_cells_it_is_merged_with(table):
    rows, ranges = table
    expected = [list(row) for row in rows]
    own = {(r, c): cell for r, row in enumerate(rows, 1) for c, cell in enumerate(row)}
    for merged in ranges:
        for r, c in places(merged):
            expected[r - 1][c] = rows[merged.top - 1][merged.left]
            if (r, c) != (merged.top, merged.left):
                own[r, c] = None
    filled = [(number, row) for number, row in enumerate(rows, 1) if any(cell not in (None, "") for cell in row)]
    shown = {number: list(row) for number, row in across(down(filled, ranges), ranges, len(rows[0]))}
    for number, row in enumerate(expected, 1):
        if all(own[number, c] in (None, "") for c in range(len(row))):
            assert number not in shown
        else:
            assert [cell or None for cell in shown[number]] == [cell or None for cell in row]


@settings(max_examples=40)
@given(st.sets(st.integers(0, 8), min_size=1), st.integers(2, 5))
def test_any_columns_may_be_merged_over_awards_but_the_id(columns, height):
    rows = [COLUMNS, *rows_of(*(f"HPC-{number}" for number in range(height)))]
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for column in columns - {0}:
        book.active.merge_cells(start_row=2, end_row=height + 1, start_column=column + 1, end_column=column + 1)
    with tempfile.TemporaryDirectory() as folder:
        book.save(Path(folder) / "list.xlsx")
        awards = load_awards([Path(folder) / "list.xlsx"], CLUSTERS).awards
    assert len(awards) == height
    assert len({award.model_copy(update={"id": "-"}) for award in awards}) == 1


def test_marks_count_rows_and_cells_that_have_no_number():
    xml = (
        b'<x:worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:sheetData>'
        b'<x:row><x:c/><x:c><x:f>1</x:f></x:c></x:row><x:row r="7"><x:c r="D7"/><x:c t="str"><x:f/></x:c>'
        b'<x:c><x:f/></x:c></x:row></x:sheetData><x:mergeCells><x:mergeCell ref="B2:C4"/><x:mergeCell ref="A1"/>'
        b"</x:mergeCells></x:worksheet>"
    )
    marks = read_marks(xml)
    assert marks.formulas == {1: {1}, 7: {5}}
    assert marks.merged == (Merged(top=2, bottom=4, left=1, right=2),)


def test_ranges_upon_each_other_and_beyond_the_sheet_do_no_harm():
    ranges = [Merged(1, 1_048_576, 0, 16_383)] * 1000 + [Merged(2, 3, 16_000, 16_383)]
    rows = [(number, ["a", "b"]) for number in range(1, 2000)]
    assert list(across(down(rows, ranges), ranges, 2)) == [(1, ["a", "a"])]
