"""The only clock: the time that a command decides for. All other code gets it as an argument."""

from __future__ import annotations

from datetime import datetime, tzinfo

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr

AT_VARIABLE = "GPUPROV_AT"
"""Environment variable with the timestamp to decide for; unset means now. The command line's --at defaults to it,
except for an event that is written to the ledger."""


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
    return datetime.now(zone)


def not_now(at: datetime, source: str, zone: tzinfo) -> str:
    """Return the line that says which time is decided for, and what set it (an option or a variable)."""
    local = at.astimezone(zone)
    exact = "auto" if local.second or local.microsecond else "minutes"
    return tr("deciding for {at} ({source}), not for now", at=local.isoformat(timespec=exact), source=source)
