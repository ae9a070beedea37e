"""The clock of the commands: instants as people write them, and now."""

from datetime import UTC, datetime, timedelta

import click
import pytest
from strategies import SEOUL

from gpuprov.cli.common import Instant
from gpuprov.errors import InputError
from gpuprov.run.clock import in_zone, instant, now


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
    for at in (instant(text, SEOUL), in_zone(Instant().convert(text, None, None), SEOUL)):
        assert at == datetime.fromisoformat(utc)
        assert at.tzinfo is not None


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "2026-06-31", "30.06.2026", "1782831600"])
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(InputError) as caught:
        instant(text, SEOUL)
    assert caught.value.problems[0].value == text
    with pytest.raises(click.BadParameter, match="is not a timestamp"):
        Instant().convert(text, None, None)


@pytest.mark.parametrize("text", [None, ""])
def test_no_instant_is_now(text):
    before = datetime.now(UTC)
    assert before <= instant(text, SEOUL) <= datetime.now(UTC)
    assert now(SEOUL).utcoffset() == timedelta(hours=9)


def test_an_instant_that_was_read_stays_as_it_is():
    at = datetime(2026, 7, 1, tzinfo=SEOUL)
    assert Instant().convert(at, None, None) is at
