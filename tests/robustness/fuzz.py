"""Loads projects in which one file met with accidents: each is valid or refused with a problem that names it.

    PYTHONPATH=. .venv/bin/python tests/robustness/fuzz.py --rounds 10000 --seed 1

A round that ends otherwise is kept: its number and file are printed, and ``--only NUMBER`` plays it alone. No round may
need more than ``--seconds``, or the process more than ``--mebibytes`` of address space.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mutants import make_project, mutated

from gpuprov.errors import InputError
from gpuprov.load.project import open_project
from gpuprov.run.loading import load


@dataclass(frozen=True)
class Played:
    """One round: which file met with the accident, how loading ended, and how long that took."""

    number: int
    file: str
    result: str
    seconds: float


class Fuzz:
    """A project whose files are put back after each round."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = make_project(root)
        self.seed = seed
        load(open_project(self.root))  # it is valid
        self.whole = {path: path.read_bytes() for path in sorted(self.root.rglob("*")) if path.is_file()}

    def play(self, number: int) -> Played:
        """Play one round: the same number with the same seed is the same round. Whatever is no refusal is raised."""
        dice = random.Random(f"{self.seed}/{number}")  # noqa: S311 (to be thrown again, the same way)
        path = dice.choice(list(self.whole))
        path.write_bytes(mutated(self.whole[path], dice))
        begun = time.monotonic()
        try:
            load(open_project(self.root))
            result = "valid"
        except InputError as error:
            result = "refused"
            if not error.problems or not all(problem.message and problem.remedy for problem in error.problems):
                raise AssertionError("a refusal without a problem, or without what to do") from error
        finally:
            seconds = time.monotonic() - begun
            path.write_bytes(self.whole[path])
        return Played(number, str(path.relative_to(self.root)), result, seconds)


def bound(seconds: int, mebibytes: int) -> None:
    """Bound the address space of this process, and let a round that takes too long end with an error."""
    resource.setrlimit(resource.RLIMIT_AS, (mebibytes * 2**20, mebibytes * 2**20))

    def too_long(*_: object) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    signal.signal(signal.SIGALRM, too_long)


def main() -> None:
    """Play the rounds, and print how they ended."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options.add_argument("--only", type=int)
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--mebibytes", type=int, default=3072)
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gpuprov-fuzz-"))
    print(f"seed {chosen.seed}")
    ended: Counter[str] = Counter()
    slowest = Played(0, "", "", 0.0)
    try:
        bound(chosen.seconds, chosen.mebibytes)
        fuzz = Fuzz(folder / "project", chosen.seed)
        for number in range(chosen.rounds) if chosen.only is None else [chosen.only]:
            signal.alarm(chosen.seconds)
            try:
                played = fuzz.play(number)
            except Exception as error:
                ended["failed"] += 1
                print(f"round {number}: {type(error).__name__}: {str(error)[:200]}")
                if chosen.only is not None:
                    raise
            else:
                ended[played.result] += 1
                slowest = max(slowest, played, key=lambda each: each.seconds)
            finally:
                signal.alarm(0)
    finally:
        shutil.rmtree(folder)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{dict(ended)}; slowest {slowest.seconds:.2f} s (round {slowest.number}, {slowest.file}); {used} MiB at most"
    )
    raise SystemExit(bool(ended["failed"]))


if __name__ == "__main__":
    main()
