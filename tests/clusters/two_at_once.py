"""Two operators at once on one real cluster, round after round; what must hold is looked up on the cluster itself.

Each round changes the award lists at random, starts pods, gives two real commands at small offsets (from one folder, or
from two with their own lists, ledgers and states), and then lets one operator run `up` alone. Start it by hand with
``python tests/clusters/two_at_once.py --rounds 200 --seed 1``; the same seed gives the same commands.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from operators import CAPACITY, Command, Folder, Row, make_folder, side_by_side
from projects import Ran
from rounds import Eyes, Round, Watch
from sandbox_fixtures import eventually, programs, while_up
from story import accepted, gpu_pod, make_environment

from gpuprov.sandbox import H100, ClusterSpec, NodePool, Sandbox

FIRST = datetime.fromisoformat("2026-01-02T09:00:00+09:00")
LAST_DAYS = ("2026-01-03", "2026-01-05", "2026-03-31", "2026-06-30")
HOLD = "example.org/hold"
EVERYTHING = ("--allow-teardown", "99", "--allow-change", "99", "--accept-ledger")
TIMEOUT = "15"
"""Seconds that commands wait for pods, and for each other's turn to end."""


@dataclass
class Arena:
    """The cluster, two folders, and the dice."""

    eyes: Eyes
    folders: tuple[Folder, Folder]
    dice: random.Random
    newest: int = 0
    number: int = 0

    @property
    def at(self) -> datetime:
        return FIRST + timedelta(hours=2 * self.number)

    def play(self) -> str:
        """Play one round, and say what happened in a line. Raises AssertionError with the round's whole history."""
        self.number += 1
        for folder in self.folders:
            self._change_list(folder)
        if self.dice.random() < 0.5:
            self._same_lists()
        held = self._pods()
        before, ledgers = self.eyes.look(), [folder.ledger for folder in self.folders]
        commands = self._commands()
        with Watch(self.eyes) as watch:
            ran, last = side_by_side(commands, self.at)
        story = Round(number=self.number, at=self.at, commands=commands, ran=ran, before=before, after=self.eyes.look())
        story.held, story.broken, story.last = held, watch.broken, last
        story.ledgers(self.folders, ledgers)
        story.check()
        if early := self.dice.random() < 0.5:
            self._let_go()
        folder = self.dice.choice(self.folders)
        with Watch(self.eyes) as watch:
            story.then = Command(folder, ("up", "--yes", *EVERYTHING, "--timeout", TIMEOUT, "--json"), 0.0)
            story.then_ran = story.then.run(self.at)
        story.broken, story.end = watch.broken, self.eyes.look()
        story.check_alone(self._in_step(folder), stuck=bool(held) and not early)
        self._let_go()
        return story.line

    def _in_step(self, folder: Folder) -> Ran | None:
        return Command(folder, ("plan", "--exit-code"), 0.0).run(self.at) if self.dice.random() < 0.25 else None

    def _row(self) -> Row:
        self.newest += 1
        return Row(f"HPC-{self.newest}", self.dice.choice((1, 2, 2, 3, 4, 8)), self.dice.choice(LAST_DAYS))

    def _change_list(self, folder: Folder, *, fits: bool = False) -> None:
        """Change some rows; unless it ``fits``, the list may ask for a little more than there is."""
        gone = set(folder.forfeited())
        rows = [row for row in folder.rows if row.award_id not in gone and row.last_day >= f"{self.at:%Y-%m-%d}"]
        for _ in range(self.dice.randint(0, 2)):
            if rows:
                place = self.dice.randrange(len(rows))
                what, row = self.dice.choice(("gpus", "drop", "status", "term")), rows[place]
                if what == "drop":
                    del rows[place]
                else:
                    rows[place] = Row(
                        row.award_id,
                        self.dice.choice((1, 2, 3, 4)) if what == "gpus" else row.gpus,
                        self.dice.choice(LAST_DAYS[2:]) if what == "term" else row.last_day,
                        self.dice.choice(("selected", "waitlisted", "forfeited")) if what == "status" else row.status,
                    )
        while len(rows) < 8 and _sum(rows) < CAPACITY - 1:
            new = self._row()
            if _sum([*rows, new]) <= CAPACITY + (0 if fits else self.dice.choice((0, 0, 0, 0, 0, 2))):
                rows.append(new)
        folder.rows = rows
        folder.write()

    def _same_lists(self) -> None:
        first, second = self.folders
        gone = set(second.forfeited()) | set(first.forfeited())
        for folder in self.folders:
            folder.rows = [row for row in first.rows if row.award_id not in gone]
            folder.write()

    def _commands(self) -> tuple[Command, Command]:
        folders = [self.dice.choice(self.folders) for _ in range(2)]
        award = self.dice.choice(self._live(folders[0]))
        other = award if self.dice.random() < 0.4 else self.dice.choice(self._live(folders[1]))
        return (
            Command(folders[0], self._words(award), self.dice.uniform(0, 2)),
            Command(folders[1], self._words(other), self.dice.uniform(0, 2)),
        )

    def _live(self, folder: Folder) -> list[str]:
        return [row.award_id for row in folder.rows if row.status == "selected"] or ["HPC-0"]

    def _words(self, award: str) -> tuple[str, ...]:
        common = ("--yes", "--json", "--timeout", TIMEOUT)
        kind = self.dice.choice(("up", "up", "up", "forfeit", "reduce", "expire", "hand"))
        if kind == "hand":
            skip = self.dice.choice(((), ("--skip-preview",)))
            return ("pulumi", "up", "--stack", "alpha", "--non-interactive", "--yes", *skip)
        if kind == "up":
            return ("up", *common, *(EVERYTHING[:4] if self.dice.random() < 0.7 else ()))
        if kind == "expire":
            return ("expire", *common)
        to = ("--to", str(self.dice.randint(1, 2))) if kind == "reduce" else ()
        return (kind, award, *to, "--reason", "as decided", *common)

    def _pods(self) -> list[str]:
        """End some pods and start others within their quotas; return those that a finalizer holds."""
        seen, held = self.eyes.look(), []
        for name in sorted(seen.pods):
            if self.dice.random() < 0.5:
                self.eyes.core.delete_collection_namespaced_pod(name)
        eventually(lambda: not any(pod.metadata.deletion_timestamp for pod in self._all_pods()))
        used = self.eyes.look().pods
        for name, gpus in sorted(seen.granted.items()):
            if used.get(name, 0) < gpus and self.dice.random() < 0.4:
                body = gpu_pod(f"train-{self.number}", self.dice.randint(1, gpus - used.get(name, 0)))
                if self.dice.random() < 0.06:
                    body["metadata"]["finalizers"] = [HOLD]
                    held.append(name)
                eventually(lambda name=name, body=body: accepted(self.eyes.core, name, body))
        return held

    def _all_pods(self) -> list[Any]:
        pods = self.eyes.core.list_pod_for_all_namespaces().items
        return [pod for pod in pods if pod.metadata.name.startswith("train-")]

    def _let_go(self) -> None:
        """Take the finalizers off that held pods."""
        for pod in self._all_pods():
            if pod.metadata.finalizers:
                self.eyes.core.patch_namespaced_pod(
                    pod.metadata.name, pod.metadata.namespace, {"metadata": {"finalizers": []}}
                )


def _sum(rows: list[Row]) -> int:
    return sum(row.gpus for row in rows if row.status == "selected")


@contextmanager
def arena(folder: Path, seed: int) -> Iterator[Arena]:
    """Start a cluster of two GPU servers with its rules, and make two projects on it."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = ClusterSpec(name="alpha", pools=(NodePool(product=H100, count=CAPACITY // 8),))
    sandbox = Sandbox(folder / "sandbox", programs(), clusters=(spec,))
    with while_up(sandbox):
        environment = make_environment(sandbox) | {"XDG_STATE_HOME": str(folder / "state-home")}
        folders = (make_folder(folder / "office", environment), make_folder(folder / "night-shift", environment))
        dice = random.Random(seed)  # noqa: S311 (to be thrown again, the same way)
        made = Arena(Eyes(sandbox.kubeconfig), folders, dice)
        made._change_list(folders[0], fits=True)
        made._same_lists()
        for place, *words in ((0, "setup", "--yes"), (0, "up", "--yes"), (1, "up", "--yes")):
            ran = Command(folders[place], tuple(words), 0.0).run(made.at)
            assert ran.code == 0, ran
        yield made


def main() -> None:
    """Play rounds until they are over, and print each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options.add_argument("--folder", type=Path, help="where to work; a folder that is deleted at the end if not given")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the cluster is stopped
    print(f"seed {given.seed}, {os.getpid()}", flush=True)
    failed = 0
    folder = given.folder or Path(tempfile.mkdtemp(prefix="two-operators-"))
    try:
        with arena(folder, given.seed) as made:
            for _ in range(given.rounds):
                begun = time.monotonic()
                try:
                    print(f"{made.play()} ({time.monotonic() - begun:.0f} s)", flush=True)
                except AssertionError as error:
                    failed += 1
                    print(f"FAILED with seed {given.seed}\n{error}", flush=True)
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{given.rounds - failed} of {given.rounds} rounds passed, seed {given.seed}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
