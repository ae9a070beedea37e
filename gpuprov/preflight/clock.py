"""How far this machine's clock and the API server's are apart: terms and tokens end by the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from gpuprov.preflight.facts import Clock
from gpuprov.preflight.finding import Finding, failed, ok, warning

CHECK = "clock"

WARNING_SECONDS = 5
"""Apart by more is a warning (policy: no rule of the programme)."""

FAILED_SECONDS = 60
"""Apart by more is a failure (policy: no rule of the programme)."""

_HALF_A_SECOND = timedelta(seconds=0.5)
_REMEDY = (
    "synchronise this machine's clock by NTP (`timedatectl`); if it is, ask the provider to do so with the API "
    "servers': terms begin and end by this machine's clock, tokens by the servers'"
)


def skew(clock: Clock, server: datetime) -> timedelta:
    """Return how far the server is ahead.

    The server wrote its header about half-way between sending and receiving, and cut the fraction of the second off,
    which is half a second on average.
    """
    return server + _HALF_A_SECOND - (clock.sent + (clock.received - clock.sent) / 2)


def apart(clock: Clock) -> timedelta | None:
    """Return how far the server is ahead; None where it tells no time."""
    server = _instant(clock.date)
    return None if server is None else skew(clock, server)


def check(clock: Clock) -> list[Finding]:
    """Judge the distance of the clocks."""
    distance = apart(clock)
    if distance is None:
        remedy = "compare `date -u` here with a clock at the provider's, or ask what removes the header Date on the way"
        return [warning(CHECK, f"the server tells no time (Date: {clock.date or 'none'})", remedy)]
    seconds = abs(distance).total_seconds()
    if seconds <= WARNING_SECONDS:
        return [ok(CHECK, f"the server's clock is within {WARNING_SECONDS} s of this machine's")]
    seen = f"the server's clock is {seconds:.0f} s {'ahead of' if distance > timedelta() else 'behind'} this machine's"
    return [failed(CHECK, seen, _REMEDY) if seconds > FAILED_SECONDS else warning(CHECK, seen, _REMEDY)]


def _instant(date: str | None) -> datetime | None:
    try:
        instant = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
