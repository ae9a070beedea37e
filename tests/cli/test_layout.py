"""How rows become text of a given width: nothing that is to be copied is ever cut."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gpuprov.cli.layout import NARROW, Paints, folded, layout, wrap

HEADERS = ("change", "award", "GPUs", "why")
ROWS = (
    ("create", "HPC-2026-1-001", 8, "term to 2026-07-01T00:00+09:00, no namespace yet"),
    ("reclaim", "HPC-2026-1-0020", 16, "forfeited by kim: project ended"),
)


def test_a_table_where_it_fits() -> None:
    assert layout(HEADERS, ROWS, 100).splitlines() == [
        "change   award            GPUs  why",
        "create   HPC-2026-1-001      8  term to 2026-07-01T00:00+09:00, no namespace yet",
        "reclaim  HPC-2026-1-0020    16  forfeited by kim: project ended",
    ]


def test_sentences_are_broken_at_blanks_before_the_table_is_given_up() -> None:
    assert layout(HEADERS, ROWS, 70).splitlines() == [
        "change   award            GPUs  why",
        "create   HPC-2026-1-001      8  term to 2026-07-01T00:00+09:00, no",
        "                                namespace yet",
        "reclaim  HPC-2026-1-0020    16  forfeited by kim: project ended",
    ]


def test_headers_are_broken_and_gaps_narrowed_before_the_table_is_given_up() -> None:
    assert layout(("model", "capacity, H100-eq.", "free"), [("H200", 400, 12)], 20).splitlines() == [
        "model capacity, free",
        "       H100-eq.",
        "H200        400   12",
    ]


def test_blocks_where_no_table_fits() -> None:
    assert layout(HEADERS, ROWS[:1], 40).splitlines() == [
        "change: create",
        "award: HPC-2026-1-001",
        "GPUs: 8",
        "why: term to 2026-07-01T00:00+09:00, no",
        "  namespace yet",
    ]


def test_korean_letters_take_two_columns() -> None:
    assert layout(("기관", "GPUs"), [("누리테크", 1), ("KT", 16)], 80).splitlines() == [
        "기관      GPUs",
        "누리테크     1",
        "KT          16",
    ]


def test_a_word_that_is_wider_than_the_terminal_stays_whole() -> None:
    uid = "6a4e8f0c-2f0b-4f5e-9a57-0b6d1c1f7f0e"
    assert layout(("uid",), [(uid,)], 10).splitlines() == ["uid:", uid]


def test_colour_takes_no_room() -> None:
    paints = Paints(header=lambda text: f"<{text}>", cell=lambda text: f"[{text}]" if text == "failed" else text)
    assert layout(("result", "seen"), [("failed", "x"), ("ok", "y")], 80, paints).splitlines() == [
        "<result>  <seen>",
        "[failed]  x",
        "ok      y",
    ]
    assert layout(("result", "seen"), [("failed", "x" * 9)], 14, paints).splitlines() == [
        "<result>: [failed]",
        "seen:",
        "  " + "x" * 9,
    ]


TEXTS = st.one_of(
    st.text("ab-7 ", max_size=60),
    st.text("가나다 .,", max_size=40),
    st.text(max_size=30),
    st.integers(-10, 10**12),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[object]]]:
    headers = draw(st.lists(st.text("abc 가", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=6))
    headers = [" ".join(header.split()) for header in headers]
    row = st.lists(TEXTS, min_size=len(headers), max_size=len(headers))
    return headers, draw(st.lists(row, max_size=5))


@given(tables(), st.integers(1, 160))
def test_nothing_is_cut_and_no_line_is_too_wide(table: tuple[list[str], list[list[object]]], width: int) -> None:
    headers, rows = table
    lines = layout(headers, rows, width).split("\n")
    texts = [str(cell) for row in rows for cell in row]
    for text in texts:
        if text.split() == [text]:
            assert any(text in line for line in lines), text
        if cell_len(" ".join(text.split())) <= min(NARROW, width) - 2:
            assert any(" ".join(text.split()) in line for line in lines), text
    for line in lines:
        assert cell_len(line) <= width or line.split() == [line], line


@given(TEXTS.map(str), st.integers(1, 80), st.integers(0, 4))
def test_wrapping_loses_no_word(text: str, width: int, indent: int) -> None:
    assert [word for line in wrap(text, width, indent) for word in line.split()] == text.split()


def test_what_fits_stays_as_it_is_and_blanks_within_a_line_too() -> None:
    text = "  - a  'x  y'\n\n    b"
    assert folded(text, 13) == text
    assert folded(text, 8) == "  - a \n    'x \n    y'\n\n    b"


@given(st.text(alphabet="ab가 \n", max_size=60), st.integers(min_value=1, max_value=30))
def test_a_folded_text_has_every_word_and_only_words_that_are_too_wide_stand_out(text: str, width: int) -> None:
    lines = folded(text, width).split("\n")
    assert [word for line in lines for word in line.split()] == text.split()
    assert all(cell_len(line) <= width or len(line.split()) <= 1 for line in lines)
