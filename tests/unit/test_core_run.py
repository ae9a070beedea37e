"""What the commands share: the clock, and errors as exit codes, text and data."""

import json
from datetime import UTC, datetime, timedelta

import click
import pytest

from gpuprov.award import SEOUL
from gpuprov.cli.common import Exit, Instant, error_json, error_text, exit_code
from gpuprov.errors import (
    ClusterUnreachable,
    EngineError,
    GpuprovError,
    InputError,
    NotReclaimed,
    PlanRefused,
    Problem,
)
from gpuprov.run.clock import instant, now

# The clock.


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-07-01T00:00:00+09:00", "2026-06-30T15:00:00+00:00"),
        ("2026-07-01T00:00", "2026-06-30T15:00:00+00:00"),
        ("2026-07-01", "2026-06-30T15:00:00+00:00"),
        ("2026-06-30T23:59:59.999999", "2026-06-30T14:59:59.999999+00:00"),
        ("2026-07-01T00:00:00Z", "2026-07-01T00:00:00+00:00"),
    ],
)
def test_an_instant_without_offset_is_korean(text, utc):
    for at in (instant(text), Instant().convert(text, None, None)):
        assert at == datetime.fromisoformat(utc)
        assert at.tzinfo is not None


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "2026-06-31", "30.06.2026", "1782831600"])
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(InputError) as caught:
        instant(text)
    assert caught.value.problems[0].value == text
    with pytest.raises(click.BadParameter, match="is no instant"):
        Instant().convert(text, None, None)


@pytest.mark.parametrize("text", [None, ""])
def test_no_instant_is_now(text):
    before = datetime.now(UTC)
    assert before <= instant(text) <= datetime.now(UTC)
    assert now().utcoffset() == timedelta(hours=9)


def test_an_instant_that_was_read_stays_as_it_is():
    at = datetime(2026, 7, 1, tzinfo=SEOUL)
    assert Instant().convert(at, None, None) is at


# Errors.

PROBLEM = Problem(file="a.csv", row=3, column="유형", value="4", message="is no track", remedy="write 1 or 2")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError([PROBLEM]), 1),
        (EngineError("no"), 1),
        (PlanRefused(["no"]), 4),
        (ClusterUnreachable("kt-cloud", "no answer"), 5),
        (NotReclaimed("kt-cloud", "still there"), 5),
        (GpuprovError("no"), 1),
    ],
)
def test_exit_codes_of_errors(error, code):
    assert exit_code(error) == code
    assert error_json(error)["error"] == type(error).__name__
    assert json.loads(json.dumps(error_json(error)))["message"] == str(error)


def test_exit_codes_are_the_promised_ones():
    assert {one.name: one.value for one in Exit} == {
        "OK": 0,
        "FAILURE": 1,
        "USAGE": 2,
        "CHANGES_PENDING": 3,
        "REFUSED": 4,
        "SOME_CLUSTERS_FAILED": 5,
        "INTERRUPTED": 130,
    }


def test_errors_as_text_and_as_data():
    assert str(PROBLEM) == "a.csv:3 [유형] '4': is no track; write 1 or 2"
    assert error_text(InputError([PROBLEM])) == f"error: {PROBLEM}"
    assert error_text(InputError([PROBLEM, PROBLEM])).endswith("\n2 problems, nothing was changed")
    assert error_text(PlanRefused(["a", "b"])) == "refused, nothing was changed:\n  - a\n  - b"
    assert error_json(PlanRefused(["a", "b"]))["reasons"] == ["a", "b"]
    assert error_json(InputError([PROBLEM]))["problems"] == [
        {"file": "a.csv", "row": 3, "column": "유형", "value": "4", "message": "is no track", "remedy": "write 1 or 2"}
    ]
