"""The only clock: the time that a command decides for. All other code gets it as an argument."""

from __future__ import annotations

from datetime import datetime

from gpuprov.core.award import SEOUL
from gpuprov.errors import InputError, Problem

AT_VARIABLE = "GPUPROV_AT"
"""Environment variable with the timestamp to decide for; unset means now. The command line's --at defaults to it,
except for an event that is written to the ledger."""


def instant(text: str | None) -> datetime:
    """Parse a timestamp; without an offset it is Korean time, and none at all means now. Raises InputError."""
    if not text:
        return now()
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        problem = Problem(
            argument=AT_VARIABLE,
            value=text,
            message="is not a timestamp",
            remedy="write it as 2026-06-30T23:59:59+09:00",
        )
        raise InputError([problem]) from error
    return at if at.tzinfo else at.replace(tzinfo=SEOUL)


def now() -> datetime:
    """Return the current time, as Korean time."""
    return datetime.now(SEOUL)


def not_now(at: datetime, source: str) -> str:
    """Return the line that says which time is decided for, and what set it (an option or a variable)."""
    korean = at.astimezone(SEOUL)
    exact = "auto" if korean.second or korean.microsecond else "minutes"
    return f"deciding for {korean.isoformat(timespec=exact)} ({source}), not for now"
