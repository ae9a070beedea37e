"""The only clock: the time that a command decides for. All other code gets it as an argument."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, tzinfo

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr

AT_VARIABLE = "GPUPROV_AT"
"""Environment variable with the timestamp to decide for; unset means now. The command line's --at defaults to it,
except for an event that is written to the ledger."""

_AHEAD_VARIABLE = "GPUPROV_CLOCK_AHEAD"
"""Environment variable that hands a clock that was set on to child processes: how many microseconds it is ahead."""

_TICK = timedelta(microseconds=1)


def instant(text: str | None, zone: tzinfo) -> datetime:
    """Parse a timestamp; without an offset it is in ``zone``, the programme's, and none at all means now.

    Raises InputError.
    """
    if not text:
        return now(zone)
    return in_zone(as_written(text), zone)


def as_written(text: str) -> datetime:
    """Read an instant that may have no offset. Raises InputError."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        problem = Problem(
            argument=AT_VARIABLE,
            value=text,
            message=tr("is not a timestamp"),
            remedy=tr("write it as 2026-06-30T23:59:59+09:00"),
        )
        raise InputError([problem]) from error


def in_zone(at: datetime, zone: tzinfo) -> datetime:
    """Return the time that was meant: without an offset it is in ``zone``, the programme's."""
    return at if at.tzinfo else at.replace(tzinfo=zone)


def now(zone: tzinfo) -> datetime:
    """Return the current time, in the programme's time zone."""
    return datetime.now(zone) + int(os.environ.get(_AHEAD_VARIABLE, "0")) * _TICK


def machine_now() -> datetime:
    """Return this machine's time, also where the clock was set on to rehearse a night."""
    return datetime.now(UTC)


def set_to(at: datetime) -> None:
    """Let the clock go on from an instant, in this process and in those that it starts: to rehearse a night."""
    os.environ[_AHEAD_VARIABLE] = str((at - datetime.now(UTC)) // _TICK)


def not_now(at: datetime, source: str, zone: tzinfo) -> str:
    """Return the line that says which time is decided for, and what set it (an option or a variable)."""
    local = at.astimezone(zone)
    exact = "auto" if local.second or local.microsecond else "minutes"
    return tr("deciding for {at} ({source}), not for now", at=local.isoformat(timespec=exact), source=source)
