"""What is to come while tools are installed, and how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpuprov.toolchain.pins import Unit


def outlook(missing: Sequence[Unit], *, building: bool) -> str:
    """Say what will be installed, and how long that takes where it has to be built."""
    names = ", ".join(unit.name for unit in missing)
    minutes = sum(unit.recipe.minutes for unit in missing)
    duration = f"; building takes about {minutes:.0f} min on 2 cores" if building else ""
    return f"to install: {names}{duration}. It can be interrupted: what is installed stays, and can be used already"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a unit stands among those to be installed. ``minutes_later`` is what building those after it takes."""

    number: int
    of: int
    minutes_later: float

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"

    def left(self, minutes: float, seconds: float) -> str:
        """Return what is left to be built, after ``seconds`` of a unit that takes ``minutes``; empty for the last."""
        if not self.minutes_later:
            return ""
        return f"; about {max(0.0, minutes - seconds / 60) + self.minutes_later:.0f} min left in all"
