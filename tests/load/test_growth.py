"""A ledger only grows: nothing else passes, whatever was done to its lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuprov.load.growth import not_grown

LINES = st.lists(st.text("abc {}가", max_size=6), max_size=8)


def text(lines):
    return "".join(f"{line}\n" for line in lines).encode()


def problems(before, after):
    return [(problem.row, problem.value, problem.message) for problem in not_grown("l.jsonl", before, after, "1a2b3c")]


@given(LINES, LINES)
def test_what_is_appended_is_no_problem(old, new):
    assert problems(text(old), text([*old, *new])) == []


@given(LINES, LINES)
def test_whatever_else_is_done_is_one(old, new):
    grown = new[: len(old)] == old
    assert (problems(text(old), text(new)) == []) == grown


@pytest.mark.parametrize(
    ("after", "rows"),
    [
        ("b\nc\n", [(1, "a")]),  # removed at the beginning
        ("a\nc\n", [(2, "b")]),  # and in the middle
        ("a\nb\n", [(3, "c")]),  # and at the end
        ("a\nB\nc\nd\n", [(2, "b")]),  # changed
        ("a\nx\nb\nc\n", [(2, "x")]),  # put in
        ("x\ny\na\nb\nc\n", [(1, "x"), (2, "y")]),
        ("c\nb\na\n", None),  # another order
        ("", [(1, "a"), (2, "b"), (3, "c")]),
        ("a\nb\nc", []),  # the last line has no end
        ("a\nb\nc\nd", []),
        ("a\nb\ncd\n", [(3, "c")]),
    ],
)
def test_each_line_is_named(after, rows):
    found = [(row, value) for row, value, _ in problems(b"a\nb\nc\n", after.encode())]
    assert found == rows if rows is not None else found


def test_a_line_without_an_end_may_get_one():
    assert problems(b"a\nb", b"a\nb\nc\n") == []
    assert problems(b"a\nb", b"a\nbc\n") != []


def test_bytes_that_are_no_text_are_compared_too():
    assert problems(b"\xff\n", b"\xfe\n") == [(1, "\\xff", "stands here at 1a2b3c, and was changed or removed")]


def test_many_lines_take_no_time():
    old = [f"line {number}" for number in range(100_000)]
    assert problems(text(old), text([*old, "new"])) == []
    assert problems(text(old), text([*old[:50_000], "new", *old[50_000:]])) == [
        (50_001, "new", "was put before lines that 1a2b3c has")
    ]
