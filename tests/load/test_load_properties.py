"""Properties: whatever valid list is written in whatever format loads unchanged; no file makes the loader crash."""

# mypy: allow-untyped-defs, allow-untyped-calls

import contextlib
import csv
import io
import json
import tempfile
from datetime import date, timedelta
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import PROGRAMME, breaches
from test_load import CLUSTERS, GOOD, HEADER
from test_load_formats import AWARD, COLUMNS

from gpuprov.core.award import Award, Status
from gpuprov.errors import InputError
from gpuprov.load.awards import load_awards
from gpuprov.load.fields import NAMES
from gpuprov.load.text import look

DAYS = {
    "2026-01-01": "{0:%Y-%m-%d}",
    "2026.01.01": "{0:%Y.%m.%d}",
    "2026. 1. 1.": "{0.year}. {0.month}. {0.day}.",
    "2026/01/01": "{0:%Y/%m/%d}",
    "20260101": "{0:%Y%m%d}",
    "2026년 1월 1일": "{0.year}년 {0.month}월 {0.day}일",
}
STATUS = {Status.SELECTED: "선정", Status.WAITLISTED: "예비", Status.FORFEITED: "포기"}
ALIAS = {cluster.provider: cluster.aliases[0] for cluster in CLUSTERS}
# Signs that CP949 has, a quotation mark and the delimiters among them.
TEXTS = st.text(st.sampled_from("가나힣뷁똠AZaz09 ,;\"'&()·㈜"), max_size=20).map(lambda text: " ".join(text.split()))


@st.composite
def awards(draw):
    provider = draw(st.sampled_from(CLUSTERS))
    model = draw(st.sampled_from([pool.model for pool in provider.pools]))
    track = draw(st.sampled_from("12"))
    h100 = draw(st.integers(1, 4)) if track == "1" else 8 * draw(st.integers(1, 50))
    first = draw(st.dates(date(2000, 1, 1), date(2099, 1, 1)))
    award = Award(
        id=draw(st.from_regex(r"[A-Z가-힣0-9][A-Z0-9_./-]{0,20}[A-Z]", fullmatch=True)),
        organization=draw(TEXTS.filter(bool)),
        organization_type=draw(TEXTS),
        contact=draw(TEXTS),
        email=draw(st.sampled_from(["", "a@example.org"])),
        track=track,
        applied_h100=h100,
        provider=provider.provider,
        model=model,
        quantity=int(PROGRAMME.accelerator(model).devices_for(h100)),
        first_day=first,
        last_day=first + timedelta(days=draw(st.integers(0, 300))),
        status=draw(st.sampled_from(Status)),
        accept_by=draw(st.none() | st.dates(date(2000, 1, 1), date(2099, 12, 31))),
    )
    assert not list(breaches(award))
    return award


LISTS = st.lists(awards(), min_size=1, max_size=8, unique_by=lambda award: look(award.id))


def written(award, style):
    cells = {name: getattr(award, name) for name in NAMES}
    cells["status"] = STATUS[award.status]
    cells["provider"] = ALIAS[award.provider]
    days = {name: style.format(cells[name]) for name in ("first_day", "last_day")}
    accept_by = style.format(award.accept_by) if award.accept_by else ""
    return [str(cell) for cell in {**cells, **days, "accept_by": accept_by}.values()]


def load(name, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        return load_awards([path], CLUSTERS).awards


@given(
    LISTS,
    st.sampled_from(["utf-8", "utf-8-sig", "cp949", "utf-16"]),
    st.sampled_from(list(DAYS.values())),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_any_list_as_text_loads_unchanged(awarded, encoding, style, delimiter, quoting):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting)
    writer.writerow(names[0] for names in NAMES.values())
    writer.writerows(written(award, style) for award in awarded)
    assert list(load("list.csv", stream.getvalue().encode(encoding))) == awarded


@settings(max_examples=30)
@given(LISTS)
def test_any_list_as_a_workbook_loads_unchanged(awarded):
    book = openpyxl.Workbook()
    book.active.append([names[0] for names in NAMES.values()])
    for award in awarded:
        cells = {name: getattr(award, name) for name in NAMES}
        cells |= {"track": int(award.track), "status": STATUS[award.status], "model": str(award.model)}
        book.active.append(list(cells.values()))
    stream = io.BytesIO()
    book.save(stream)
    assert list(load("list.xlsx", stream.getvalue())) == awarded


@given(LISTS)
def test_any_list_as_json_loads_unchanged(awarded):
    data = json.dumps([award.model_dump(mode="json") for award in awarded], ensure_ascii=False)
    assert list(load("list.json", data.encode())) == awarded


@given(st.binary(max_size=300), st.sampled_from(["csv", "txt", "json", "xlsx", "xls"]))
def test_arbitrary_bytes_are_refused(data, suffix):
    for start in (b"", b"\xef\xbb\xbf", b"\xff\xfe", b"PK\x03\x04", HEADER.encode() + b"\n"):
        with pytest.raises(InputError) as caught:
            load(f"list.{suffix}", start + data)
        assert {Path(problem.file).name for problem in caught.value.problems} == {f"list.{suffix}"}


@given(st.lists(st.lists(st.text(max_size=10), max_size=12), max_size=5))
def test_arbitrary_texts_under_a_header_are_refused_or_loaded(rows):
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([COLUMNS, GOOD.split(","), *rows])
    with contextlib.suppress(InputError):
        load("list.csv", stream.getvalue().encode("utf-8", "replace"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "x"]), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from([*NAMES, "more", "\ud800"]), JSON) | JSON, max_size=3))
def test_arbitrary_json_is_refused_or_loaded(found):
    with contextlib.suppress(InputError):
        load("list.json", json.dumps([AWARD, *found]).encode())


def workbook():
    book = openpyxl.Workbook()
    book.active.append(COLUMNS)
    book.active.append(GOOD.split(","))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


WORKBOOK = workbook()
"""Made once: it holds the time at which it was made, so its length is not always the same."""


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_workbook_is_refused_or_loaded(data):
    body = bytearray(WORKBOOK)
    for _ in range(data.draw(st.integers(1, 20))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        load("list.xlsx", bytes(body))
