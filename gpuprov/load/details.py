"""What pydantic finds wrong in a file of ours, without what only follows from something else that is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails


def own_details(error: ValidationError) -> list[ErrorDetails]:
    """Return the details of an error, but for those of a list whose elements are wrong: pydantic calls it too short."""
    details = error.errors()
    places = [detail["loc"] for detail in details]
    return [detail for detail in details if not _follows(detail["loc"], places)]


def _follows(place: tuple[int | str, ...], places: Sequence[tuple[int | str, ...]]) -> bool:
    """Tell whether something in the same list or mapping is wrong."""
    return any(len(other) > len(place) and other[: len(place)] == place for other in places)
