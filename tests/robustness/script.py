"""What is played in each round, from the seed alone: lists, pods, what operators type and when, fault and moment.

Pure. A round begins with the list with which the round before has ended, so the lists of all rounds before are drawn
again, which costs nothing, and any round can be played alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from operators import CAPACITY, Row

FIRST = datetime.fromisoformat("2026-01-02T09:00:00+09:00")
STEP = timedelta(hours=2)
TURNS = 1800
"""Rounds until the clock of the programme begins anew, before the last terms end."""

AWARDS = 10
LATEST = 3.0
"""Seconds until which a fault comes, after a command's beginning or after it has told that it is so far."""

SO_FAR = ("", " decided ", "applying ")
"""What a command of ours tells when it begins (nothing), when it has decided, and when it starts Pulumi."""

RESHARDED = 0.1
"""How often the state is to be shared between two stacks instead of one, or the other way round."""

EVERYTHING = ("--allow-teardown", "99", "--allow-change", "99")
"""The lists change as no guard lets them: what happens is known here."""

TIMEOUT = "8"
"""Seconds that a command waits for pods, and for its turn, before it says what holds it up."""

TEARDOWNS = ("finalizer", "dead APIService", "nodes dead")
"""Faults that only hold up a teardown, so that something is torn down."""

_TYPED: tuple[str, ...] = ("up", "up", "up", "forfeit", "reduce", "expire", "pulumi", "watch")
_TEARING_DOWN: tuple[str, ...] = ("up", "up", "forfeit", "watch")
_FAR = ("2026-03-31", "2026-06-30", "2026-06-30")


@dataclass(frozen=True)
class Typed:
    """What an operator types, after how many seconds, and on which machine."""

    words: tuple[str, ...]
    after: float = 0.0
    machine: int = 0


@dataclass(frozen=True, kw_only=True)
class Script:
    """One round. ``before`` is the list that was applied at ``then``, ``rows`` what operators find at ``at``.

    The fault comes ``moment`` seconds after the first command has told ``so_far``.
    """

    seed: int
    number: int
    fault: str
    before: tuple[Row, ...]
    rows: tuple[Row, ...]
    pods: dict[str, int]
    shards_before: int
    shards: int
    typed: tuple[Typed, ...]
    moment: float
    seconds: float
    so_far: str

    @property
    def at(self) -> datetime:
        return _instant(self.number)

    @property
    def then(self) -> datetime:
        return _instant(self.number - 1)

    @property
    def dice(self) -> random.Random:
        """The dice of the fault."""
        return random.Random(f"{self.seed}/{self.number}/fault")  # noqa: S311 (to be thrown again, the same way)


def _instant(number: int) -> datetime:
    return FIRST + (number % TURNS) * STEP


def scripts(seed: int, kinds: Sequence[str]) -> Iterator[Script]:
    """Yield round after round. In as many rounds as there are kinds each kind comes once, in an order of its own."""
    rows: tuple[Row, ...] = ()
    shards = 1
    for number in count(1):
        dice = random.Random(f"{seed}/{number}")  # noqa: S311
        turn, place = divmod(number - 1, len(kinds))
        fault = random.Random(f"{seed}/turn/{turn}").sample(kinds, len(kinds))[place]  # noqa: S311
        torn_down = fault in TEARDOWNS
        before = rows or _filled([], dice, number=0)
        rows = _changed(before, dice, number, one_goes=torn_down)
        shards_before, shards = shards, 3 - shards if dice.random() < RESHARDED else shards
        commands = _TEARING_DOWN if torn_down else _TYPED
        if not shards == shards_before == 1:
            commands = tuple(command for command in commands if command != "pulumi")
        typed = tuple(_typed(rows, dice, commands, place) for place in range(1 + (fault == "two operators")))
        yield Script(
            seed=seed,
            number=number,
            fault=fault,
            before=before,
            rows=rows,
            pods={row.award_id: dice.randint(1, row.gpus) for row in before if torn_down or dice.random() < 0.4},
            shards_before=shards_before,
            shards=shards,
            typed=typed,
            moment=dice.uniform(0.1, LATEST),
            seconds=dice.uniform(0.5, 4.0),
            so_far=dice.choice(SO_FAR),
        )
        rows = _recorded(rows, typed)


def _changed(before: Sequence[Row], dice: random.Random, number: int, *, one_goes: bool) -> tuple[Row, ...]:
    """Some awards go, change or end, and new ones come while there are GPUs."""
    today = f"{_instant(number):%Y-%m-%d}"
    rows = [row for row in before if row.last_day >= today]
    selected = [row for row in rows if row.status == "selected"]
    if one_goes and selected:
        rows.remove(dice.choice(selected))
    for _ in range(dice.randint(1, 3) if rows else 0):
        place = dice.randrange(len(rows))
        row, what = rows[place], dice.choice(("gpus", "drop", "status"))
        if what == "drop" and len(rows) > 1:
            del rows[place]
        elif what == "gpus":
            room = CAPACITY - _sum(rows) + row.gpus
            rows[place] = Row(row.award_id, dice.randint(1, max(1, min(4, room))), row.last_day, row.status)
        elif what == "status":
            rows[place] = Row(row.award_id, row.gpus, row.last_day, dice.choice(("waitlisted", "forfeited")))
    return _filled(rows, dice, number=number)


def _filled(rows: list[Row], dice: random.Random, *, number: int) -> tuple[Row, ...]:
    """Keep what is selected, and a few that are not, and add awards until there are ten or the pool is full."""
    rows = [row for row in rows if row.status == "selected" or dice.random() < 0.5]
    soon = [f"{_instant(number) + timedelta(days=days):%Y-%m-%d}" for days in (1, 2)]
    for new in count(1):
        room = CAPACITY - _sum(rows)
        if len(rows) >= AWARDS or room < 1:
            return tuple(rows)
        gpus = min(dice.choice((1, 1, 1, 2, 2, 3, 4)), room)
        rows.append(Row(f"HPC-{number}-{new}", gpus, dice.choice((*soon, *_FAR))))
    raise AssertionError


def _sum(rows: Sequence[Row]) -> int:
    return sum(row.gpus for row in rows if row.status == "selected")


def _typed(rows: Sequence[Row], dice: random.Random, commands: Sequence[str], place: int) -> Typed:
    """Return what is typed first, or second: that some time later, and perhaps on another machine."""
    words = _words(rows, dice, dice.choice(commands))
    return Typed(words, dice.uniform(0, 2.5), dice.choice((0, 1))) if place else Typed(words)


def _words(rows: Sequence[Row], dice: random.Random, kind: str) -> tuple[str, ...]:
    selected = [row.award_id for row in rows if row.status == "selected"]
    common = ("--yes", "--json", "--timeout", TIMEOUT)
    award = dice.choice(selected)
    larger = {row.award_id: row.gpus for row in rows if row.award_id in selected and row.gpus > 1}
    if kind == "reduce" and larger:
        award = dice.choice(sorted(larger))
        return (kind, award, "--to", str(dice.randint(1, larger[award] - 1)), "--reason", "less use", *common)
    if kind == "pulumi":
        return (
            "pulumi",
            "up",
            "--stack",
            "alpha",
            "--non-interactive",
            "--yes",
            *dice.choice(((), ("--skip-preview",))),
        )
    if kind == "watch":
        return ("watch", "--apply", "--interval", "2", "--timeout", TIMEOUT, "--listen", "127.0.0.1:0")
    if kind == "expire":
        return (kind, *common)
    if kind == "up":
        return (kind, *common, *EVERYTHING)
    return ("forfeit", award, "--reason", "as decided", *common)


def _recorded(rows: Sequence[Row], typed: Sequence[Typed]) -> tuple[Row, ...]:
    """Return the list of the next round: the ministry knows what the operators were told to record."""
    kept = {row.award_id: row for row in rows}
    for words in (each.words for each in typed):
        if words[0] == "forfeit":
            kept.pop(words[1], None)
        elif words[0] == "reduce" and words[1] in kept:
            row = kept[words[1]]
            most = int(words[words.index("--to") + 1])
            kept[words[1]] = Row(row.award_id, min(row.gpus, most), row.last_day, row.status)
    return tuple(kept.values())
