"""What a plan means for awardees: who gains, who loses, and which GPUs come back. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpuprov.core.plan import Change, Op
from gpuprov.i18n import Word, tr


class Effect(Word):
    """What a change means for the awardee; those that need a reader's eye come first."""

    LOSES = tr("loses")
    GAINS = tr("gains")
    CORRECTED = tr("corrected")


def effect(change: Change) -> Effect:
    """Return what a change means: fewer GPUs, or a loss of another kind, more GPUs, or neither of the two."""
    if change.op is Op.RECLAIM or change.after < change.before or not change.expected:
        return Effect.LOSES
    return Effect.GAINS if change.grows else Effect.CORRECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One changed award as a summary counts it: GPUs are of ``model`` at ``provider``."""

    effect: Effect
    provider: str
    model: str
    before: int
    after: int


@dataclass(slots=True, kw_only=True)
class Totals:
    """What changes in one pool: awards by effect, and the GPUs that are given and that come back."""

    gaining: int = 0
    losing: int = 0
    corrected: int = 0
    given: int = 0
    freed: int = 0

    def add(self, part: Part) -> None:
        """Count one award."""
        self.gaining += part.effect is Effect.GAINS
        self.losing += part.effect is Effect.LOSES
        self.corrected += part.effect is Effect.CORRECTED
        self.given += max(0, part.after - part.before)
        self.freed += max(0, part.before - part.after)


def by_pool(parts: Iterable[Part]) -> dict[tuple[str, str], Totals]:
    """Return the totals of each provider and model, in their order."""
    totals: dict[tuple[str, str], Totals] = {}
    for part in parts:
        totals.setdefault((part.provider, part.model), Totals()).add(part)
    return dict(sorted(totals.items()))
