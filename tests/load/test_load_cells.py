"""Single cells: what is accepted, and what is refused rather than guessed."""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: DTZ001 - the cells of a spreadsheet have no time zone

import contextlib
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROGRAMME
from test_load import CLUSTERS

from gpuprov.core.award import Status
from gpuprov.load import cells
from gpuprov.load.suppliers import Suppliers
from gpuprov.load.text import key, without_brackets, word
from gpuprov.load.words import Words

SUPPLIERS = Suppliers(CLUSTERS)
WORDS = Words(PROGRAMME)
PARSERS = [
    *(cells.award_id, cells.required_text, cells.short_text, cells.email, WORDS.track, WORDS.status, cells.count),
    *(cells.day, cells.day_or_none, SUPPLIERS.provider, WORDS.model, WORDS.call),
]


def refused(parser, value):
    with pytest.raises(cells.CellProblem) as caught:
        parser(value)
    assert caught.value.message
    assert caught.value.remedy
    return caught.value.message


@pytest.mark.parametrize(
    "value",
    [
        *("8", " 8 ", "８", "8장", "8 개", "8 GPU", "8gpus", "\u00a08\u200b", "008"),
        *(8, 8.0),
    ],
)
def test_counts(value):
    assert cells.count(value) == 8


def test_counts_with_thousands_separators():
    assert cells.count("1,000장") == 1000
    assert cells.count("1,000,000") == 1_000_000


@pytest.mark.parametrize(
    "value",
    [
        *("8대", "1 서버", "2 nodes", "8.0", "1,00", "1.000", "8¹", "①", "٨", "-8", "+8", "0", "8명", "1 000", "8e0"),
        *("99999999", "9" * 5000, "", None, True, 8.5, float("nan"), float("inf"), 0, -8, date(2026, 1, 8)),
    ],
)
def test_counts_that_are_refused(value):
    refused(cells.count, value)


@pytest.mark.parametrize(
    "value",
    [
        *("2026-01-01", "2026.01.01", "2026. 1. 1.", "2026. 1. 1", "2026/01/01", "20260101", "2026년 1월 1일"),
        *(
            "2026년1월1일",
            "２０２６－０１－０１",
            "2026-1-1",
            "2026-01-01 00:00:00",
            "2026-01-01T00:00",
            "2026.1.1 00:00",
        ),
        *(datetime(2026, 1, 1), date(2026, 1, 1), 20260101, 20260101.0),
    ],
)
def test_days(value):
    assert cells.day(value) == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2026-06-31", "is not a day of the calendar"),
        ("2026-02-29", "is not a day of the calendar"),
        ("2206-01-01", "is not between 2000 and 2099"),
        ("46023", "is a spreadsheet's serial number, perhaps of 2026-01-01"),
        (46023, "is a spreadsheet's serial number, perhaps of 2026-01-01"),
        (46023.5, "is a spreadsheet's serial number, perhaps of 2026-01-01"),
        (datetime(2026, 1, 1, 9), "has a time of day"),
        ("2026-01-01 09:00", "has a time of day"),
        (time(9), "is a time without a day"),
        (timedelta(1), "is a time without a day"),
        ("01/02/2026", "is not a day"),
        ("26.01.01", "is not a day"),
        ("2026-01.01", "is not a day"),
        ("2026-1-1 0", "is not a day"),
        ("미정", "is not a day"),
        ("", "is empty"),
        (None, "is empty"),
        (True, "is a logical value"),
    ],
)
def test_days_that_are_refused(value, message):
    assert refused(cells.day, value) == message


def test_a_midnight_behind_a_day_is_not_taken_for_its_second_digit():
    assert cells.day("2026-1-10 00:00") == date(2026, 1, 10)
    refused(cells.day, "2026-1-1 0:00")


def test_a_day_may_be_empty_where_it_is_optional():
    assert cells.day_or_none(" ") is None
    assert cells.day_or_none(None) is None
    assert cells.day_or_none("2026-01-01") == date(2026, 1, 1)


@pytest.mark.parametrize(
    "value", ["2", 2, 2.0, "유형2", "유형 2", "2유형", "track 2", "Track-2", "Ⅱ", "유형Ⅱ", "II", "②"]
)
def test_tracks(value):
    assert WORDS.track(value) == "2"


@pytest.mark.parametrize("value", ["3", "-1", "1?", "1/2", "", None, "12", 1.5])
def test_tracks_that_are_refused(value):
    refused(WORDS.track, value)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        *[(word, Status.SELECTED) for word in ("선정", "배정", "할당", "협약", "selected", "", None, " 선 정 ")],
        *[(word, Status.WAITLISTED) for word in ("예비", "Waitlisted", "(예비)")],
        *[(word, Status.FORFEITED) for word in ("포기", "회수", "FORFEITED")],
    ],
)
def test_statuses(value, status):
    assert WORDS.status(value) is status


@pytest.mark.parametrize("value", ["선정?", "미선정", "탈락", "재분배", "Y", "선정/예비"])
def test_statuses_that_are_refused(value):
    assert refused(WORDS.status, value) == "is not a status of an award"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        *[
            (name, "samsung-sds")
            for name in ("삼성SDS", "삼성 SDS", "㈜삼성SDS", "(주) 삼성sds", "Samsung SDS", "samsung_sds")
        ],
        *[
            (name, "kt-cloud")
            for name in ("KT클라우드", "kt 클라우드", "ＫＴ클라우드", "KT Cloud", "주식회사 KT클라우드")
        ],
    ],
)
def test_suppliers(value, name):
    assert SUPPLIERS.provider(value) == name


def test_suppliers_that_are_refused():
    for value in ("삼성", "(주)", "KT클라우드?", "", None):
        refused(SUPPLIERS.provider, value)
    with pytest.raises(cells.CellProblem) as caught:
        Suppliers([]).provider("KT")
    assert "(none)" in caught.value.remedy


@pytest.mark.parametrize(
    "value",
    ["A100", "a100", "NVIDIA A100", "NVIDIA-A100-SXM4-80GB", "A100 40GB", "A100 (80GB)", "Ａ１００", "A100 PCIe"],
)
def test_models(value):
    assert WORDS.model(value) == "A100"


@pytest.mark.parametrize("value", ["A1000", "A100 1g.5gb", "A100 4장", "H100/A100", "B200", "", None, 100])
def test_models_that_are_refused(value):
    refused(WORDS.model, value)


@pytest.mark.parametrize("value", ["a@example.org", "ａ＠example.org", "x.y+z@sub.example.org", "", None])
def test_mail_addresses(value):
    cells.email(value)


@pytest.mark.parametrize(
    "value", ["a@b", "없음", "a@x.org; b@x.org", "A <a@x.org>", "a b@x.org", "a@" + "x" * 260 + ".org"]
)
def test_mail_addresses_that_are_refused(value):
    refused(cells.email, value)


def test_award_ids():
    assert cells.award_id(" HPC-1\u200b ") == "HPC-1"
    assert cells.award_id(20260001.0) == "20260001"
    for value in ("", "HPC 1", "HPC:1", "x" * 101, "2.026E+11", datetime(2026, 1, 2), "a\x00b", "\ud800"):
        refused(cells.award_id, value)


def test_texts_are_one_line_in_nfc():
    assert cells.required_text("\u1112\u1161\u11ab빛\n대학교\u3000 ") == "한빛 대학교"
    for value in ("a\x1bb", "lost \ufffd", "#REF!", "x" * 301, [1], {}, cells.NO_RESULT):
        refused(cells.required_text, value)


def test_keys_and_words():
    assert key(" 신청_수량 (H100) ") == key("신청수량H100") == "신청수량h100"
    assert word("유형-1") == word("(유형 1)") == "유형1"
    assert without_brackets("신청수량（H100）")[1] == "(H100)"


@given(
    st.one_of(
        *(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.datetimes(), st.dates(), st.times()),
        *(
            st.timedeltas(),
            st.lists(st.integers(), max_size=2),
            st.from_regex(r"[0-9.,\-/년월일 T:]{1,20}", fullmatch=True),
        ),
        st.just(cells.NO_RESULT),
    )
)
def test_no_cell_makes_a_parser_crash(value):
    for parser in PARSERS:
        with contextlib.suppress(cells.CellProblem):
            parser(value)
