"""What somebody may have meant who typed a name that nothing has."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence that names what is like ``name``, whatever the capitals; nothing if nothing is."""
    by_capitals = {other.upper(): other for other in known}
    close = [by_capitals[other] for other in get_close_matches(name.upper(), by_capitals)]
    return f"; did you mean {', '.join(close)}?" if close else ""
