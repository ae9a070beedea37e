"""Notes below a list: each is told in one line, and no row that could be an award is ever taken for one."""

# mypy: allow-untyped-defs, allow-untyped-calls

import csv
import io
import tempfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_load import CLUSTERS, GOOD, HEADER, problems, write
from test_load_formats import CELLS, COLUMNS, LOADED

from gpuprov.errors import InputError
from gpuprov.load.asides import note_in
from gpuprov.load.awards import LoadedList, load_awards

MARKS = [
    "※",
    "* ",
    "＊",
    "주) ",
    "주 ) ",
    "주1) ",
    "주: ",
    "주 1 ",
    "주 ",
    "비고: ",
    "비고 : ",
    "비고：",
    "Note: ",
    "NOTES :",
]
BLANKS = st.sampled_from([None, "", " ", "\u3000", "\u200b"])
PLAIN = st.text(st.sampled_from("가나다 Az09.()·"), max_size=30)


def save(path, rows):
    """Write the rows as the kind of file that the name says."""
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    else:
        stream = io.StringIO(newline="")
        csv.writer(stream).writerows(rows)
        path.write_bytes(stream.getvalue().encode())
    return path


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
@pytest.mark.parametrize("mark", MARKS)
def test_a_note_is_one_line_with_its_row(tmp_path, suffix, mark):
    good = GOOD.split(",")
    path = save(tmp_path / f"list.{suffix}", [COLUMNS, good, [], [None, f"{mark}배정은 변경될 수 있음"], ["※ 끝"]])
    loaded = load_awards([path], CLUSTERS)
    assert loaded.awards == (LOADED,)
    text = f"{mark}배정은 변경될 수 있음".strip()
    assert loaded.warnings == (f"{path}:4: {text!r} is a note and left out", f"{path}:5: '※ 끝' is a note and left out")


@pytest.mark.parametrize(
    "text", ["주식회사 해솔", "주1", "주차장", "(주) 해솔", "㈜해솔", "비고", "노트", "Notebook", "Note 1", "-", "1"]
)
def test_other_texts_alone_in_a_row_are_no_notes(tmp_path, text):
    found = problems(write(tmp_path / "list.csv", HEADER, GOOD, f'"{text}"'))
    assert {problem.row for problem in found} == {3}
    assert any(problem.message == "is empty" for problem in found)


@pytest.mark.parametrize("text", ["※1", "주) 해솔", "* HPC-2", "비고: 없음"])
def test_a_row_with_another_cell_is_a_row_however_it_begins(tmp_path, text):
    path = write(tmp_path / "list.csv", HEADER, GOOD, f"{text},한빛대학교")
    assert {problem.row for problem in problems(path)} == {3}
    path = write(tmp_path / "list.csv", HEADER, GOOD.replace("한빛대학교", text))
    loaded = load_awards([path], CLUSTERS)
    assert (loaded.awards[0].organization, loaded.warnings) == (text, ())


def test_a_list_of_notes_alone_has_no_awards(tmp_path):
    assert [problem.message for problem in problems(write(tmp_path / "list.csv", HEADER, "※ 없음"))] == [
        "has a header and no awards"
    ]


def test_a_note_that_is_long_or_would_move_the_cursor_is_shown_safely(tmp_path):
    loaded = load_awards([write(tmp_path / "list.csv", HEADER, GOOD, "※\x1b[2J" + "가" * 200)], CLUSTERS)
    (warning,) = loaded.warnings
    assert "\x1b" not in warning
    assert len(warning) < len(str(tmp_path)) + 150


@given(st.lists(BLANKS, max_size=4), st.sampled_from(MARKS), PLAIN, st.lists(BLANKS, max_size=4))
def test_a_marked_text_alone_is_a_note_wherever_it_stands(before, mark, text, after):
    found = note_in([*before, f"{mark}x{text}", *after])
    assert found is not None
    assert found.endswith(text.split()[-1] if text.split() else "x")


CELL = BLANKS | PLAIN | st.integers() | st.builds(str.__add__, st.sampled_from(MARKS), PLAIN)


@given(st.lists(CELL, max_size=6))
def test_a_row_with_more_or_less_than_one_filled_cell_is_no_note(cells):
    filled = [cell for cell in cells if cell is not None and str(cell).strip(" \u3000\u200b")]
    if len(filled) != 1 or not isinstance(filled[0], str):
        assert note_in(cells) is None


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["award", "note", "blank", "totals"]), max_size=12),
    st.sampled_from(["csv", "xlsx"]),
    st.data(),
)
def test_awards_and_notes_in_any_order_are_all_accounted_for(kinds, suffix, data):
    rows, awards, notes = [COLUMNS, CELLS], {"HPC-1": 2}, []
    for number, kind in enumerate(kinds, 3):
        if kind == "award":
            organization = data.draw(st.sampled_from(MARKS)) + "해솔"
            rows.append([f"HPC-{number}", organization, *CELLS[2:]])
            awards[f"HPC-{number}"] = number
        elif kind == "note":
            rows.append([*[None] * data.draw(st.integers(0, 8)), data.draw(st.sampled_from(MARKS)) + "끝"])
            notes.append(number)
        else:
            rows.append([] if kind == "blank" else ["합계", None, None, 3])
    if suffix == "csv":
        rows = [[cell.date() if hasattr(cell, "date") else cell for cell in row] for row in rows]
        rows = [[12 if cell == 12.0 else cell for cell in row] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / f"list.{suffix}", rows)
        loaded = load_awards([path], CLUSTERS)
    assert {award.id: loaded.origins[award.id].row for award in loaded.awards} == awards
    assert [warning.removeprefix(f"{path}:").partition(":")[0] for warning in loaded.warnings] == [
        str(n) for n in notes
    ]


@given(st.lists(st.lists(CELL.filter(lambda cell: cell is not None), max_size=11), max_size=5))
def test_arbitrary_rows_below_a_list_are_told_or_refused(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "list.csv", [COLUMNS, GOOD.split(","), *rows])
        found = outcome(path)
    filled = [row for row in rows if any(str(cell).strip(" \u3000\u200b") for cell in row)]
    if isinstance(found, LoadedList):
        assert found.awards == (LOADED,)
        assert len(found.warnings) == len(filled)
    else:
        assert found
        assert all(problem.row is not None and problem.row > 2 for problem in found)


def outcome(path):
    """Return the list, or the problems of one that was refused."""
    try:
        return load_awards([path], CLUSTERS)
    except InputError as error:
        return error.problems
