"""Progress events of an installation. The library never prints; the command line does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["start", "beat", "note", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One progress event. A ``beat`` comes about once a second; the receiver decides how many of them to show."""

    kind: Kind
    unit: str
    text: str
    seconds: float = 0.0


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Show nothing."""


class SourceFailed(Exception):
    """One source could not provide a unit; the next source is tried. The message becomes part of the final error."""
