"""The only clock: which instant a command decides for. Everything below is given that instant."""

from __future__ import annotations

from datetime import datetime, tzinfo

from gpuprov.errors import InputError, Problem

AT_VARIABLE = "GPUPROV_AT"
"""Environment variable with the instant to decide for; unset means now. The command line's --at reads it too, but for
an event that is written to the ledger."""


def instant(text: str | None, zone: tzinfo) -> datetime:
    """Read an instant; one without an offset is in ``zone``, the programme's; none at all is now. Raises InputError."""
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
            message="is not a timestamp",
            remedy="write it as 2026-06-30T23:59:59+09:00",
        )
        raise InputError([problem]) from error


def in_zone(at: datetime, zone: tzinfo) -> datetime:
    """Return the instant that was meant: one without an offset is in ``zone``, the programme's."""
    return at if at.tzinfo else at.replace(tzinfo=zone)


def now(zone: tzinfo) -> datetime:
    """Return the present instant in a time zone, the programme's."""
    return datetime.now(zone)


def not_now(at: datetime, source: str, zone: tzinfo) -> str:
    """Return the line that says which instant is decided for, and what set it (an option or a variable)."""
    local = at.astimezone(zone)
    exact = "auto" if local.second or local.microsecond else "minutes"
    return f"deciding for {local.isoformat(timespec=exact)} ({source}), not for now"
