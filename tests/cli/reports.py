"""Reports of changes of many sizes, as `gpuprov ci check` writes them."""

from datetime import datetime

from gpuprov.core.impact import Effect
from gpuprov.run.ci.report import Grown, Look, Report, Row

MODELS = {"elice-cloud": "H100", "kt-cloud": "H200", "samsung-sds": "H100"}
ORGANIZATIONS = ("한빛대학교 AI연구소", "누리테크", "가온의료재단", "새벽소프트")
STARTS = "term to 2026-07-01T00:00+09:00, no namespace yet"
FORFEITED = "forfeited at 2026-03-01T09:00+09:00 by kim: project ended"
REDUCED = "the quota grants 8 H100, the award has 4"
UNLISTED = "not in the award list"


def row(number: int, effect: Effect, before: int, after: int, why: str, *, model: str = "H100") -> Row:
    return Row(
        effect=effect,
        award=f"HPC-2026-1-{number:03}",
        organization=ORGANIZATIONS[number % len(ORGANIZATIONS)],
        model=model,
        before=before,
        after=after,
        explained=why != UNLISTED,
        why=why,
    )


def mixed(number: int, model: str) -> Row:
    """Return one of many changes: of ten awards seven gain, and the others lose for three reasons."""
    match number % 10:
        case 7:
            return row(number, Effect.LOSES, 8, 0, FORFEITED, model=model)
        case 8:
            return row(number, Effect.LOSES, 8, 4, REDUCED, model=model)
        case 9 if number % 20 == 9:
            return row(number, Effect.LOSES, 16, 0, UNLISTED, model=model)
    return row(number, Effect.GAINS, 0, 8 if number % 2 else 4, STARTS, model=model)


def report(changes: int) -> Report:
    """Return a report of so many changes, shared among three providers."""
    few = [
        row(1, Effect.GAINS, 0, 4, STARTS),
        row(7, Effect.LOSES, 8, 0, FORFEITED, model="H200"),
        row(9, Effect.LOSES, 16, 0, UNLISTED),
    ]
    looks = []
    for place, (provider, model) in enumerate(MODELS.items()):
        numbers = range(place + 1, changes + 1, len(MODELS))
        rows = [few[place]] if changes == len(few) else [mixed(number, model) for number in numbers]
        looks.append(Look(provider=provider, rows=tuple(rows), unchanged=40))
    event = f"HPC-2026-1-007: {FORFEITED}"
    return Report(
        at=datetime.fromisoformat("2026-03-01T09:00:00+09:00"),
        expected=tuple(MODELS),
        awards=120,
        ledger=Grown(file="ledger.jsonl", commit="2f5a28ff6e9d0c3b7a1e4d5f60718293a4b5c6d7", kept=2, appended=(event,)),
        looks=tuple(looks),
    )
