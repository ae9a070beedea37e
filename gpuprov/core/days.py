"""Days of a calendar as instants: terms, capacities and calls begin and end with a day in the programme's time zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the instant at which ``day`` begins in a time zone."""
    return datetime.combine(day, time.min, zone)


def day_end(day: date, zone: tzinfo) -> datetime:
    """Return the first instant after ``day`` in a time zone."""
    return midnight(day + timedelta(days=1), zone)


def to_the_minute(at: datetime, zone: tzinfo) -> str:
    """Return an instant as people are told it: ISO 8601 in a time zone, with its offset and without seconds."""
    return at.astimezone(zone).isoformat(timespec="minutes")
