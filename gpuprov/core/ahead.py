"""Where a change of lists and ledger makes a difference later: a plan shows only what differs now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gpuprov.core.ledger import Allocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """From ``at`` on an award has ``after`` GPUs of a model at a provider, where it would have had ``before``."""

    at: datetime
    award_id: str
    provider: str
    model: str
    before: int
    after: int


def ahead(old: Iterable[Allocation], new: Iterable[Allocation], at: datetime) -> list[Ahead]:
    """Return the differences that begin after ``at``, in order of time; one that lasts is returned where it begins."""
    before, after = _by_award(old), _by_award(new)
    found = []
    for award_id, provider, model in before.keys() | after.keys():
        parts = before.get((award_id, provider, model), []), after.get((award_id, provider, model), [])
        last = _held(parts[0], at), _held(parts[1], at)
        for edge in sorted({edge for side in parts for part in side for edge in (part.start, part.end) if edge > at}):
            held = _held(parts[0], edge), _held(parts[1], edge)
            if held not in (last, (held[0], held[0])):
                found.append(
                    Ahead(at=edge, award_id=award_id, provider=provider, model=model, before=held[0], after=held[1])
                )
            last = held
    return sorted(found, key=lambda one: (one.at, one.provider, one.award_id, one.model))


def _by_award(allocations: Iterable[Allocation]) -> dict[tuple[str, str, str], list[Allocation]]:
    parts: dict[tuple[str, str, str], list[Allocation]] = {}
    for part in allocations:
        parts.setdefault((part.award_id, part.provider, part.model), []).append(part)
    return parts


def _held(parts: Sequence[Allocation], at: datetime) -> int:
    return sum(part.gpus for part in parts if part.start <= at < part.end)
