"""Plays rounds with a fault each, checks their histories, and goes on where it was: see `run` beside this file."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import model
import report
from backends import KINDS as BACKENDS
from faults import KINDS
from round import Round
from script import Script, scripts
from world import World, temporary, world


def main() -> None:
    """Play the rounds that are not on record yet, and end with 1 if a rule was broken."""
    given = _given()
    # So that the cluster is stopped; and so that commands are interrupted where a shell has started us in the
    # background, which ignores Ctrl-C for us and all that we start.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    print(f"seed {given.seed}, backend {given.backend}, report in {given.report}", flush=True)
    todo, failed = _todo(given), 0
    while todo:
        with temporary() as folder, world(folder / "world", given.backend) as made:
            todo, broken = _play(made, given, todo)
            failed += broken
    print(report.summary(report.rounds_in([given.report])), flush=True)
    sys.exit(1 if failed else 0)


def _given() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="tests/robustness/run", description=__doc__)
    options.add_argument("--rounds", type=int, default=len(KINDS))
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options.add_argument("--backend", choices=list(BACKENDS), default="file")
    options.add_argument("--report", type=Path, help="where histories are kept; what is on record is not repeated")
    options.add_argument("--fault", choices=list(KINDS), help="play this kind only")
    options.add_argument("--only", type=int, help="play this round alone, as it was, whether it is on record or not")
    given = options.parse_args()
    given.report = given.report or Path(tempfile.mkdtemp(prefix="robustness-report-"))
    given.report.mkdir(parents=True, exist_ok=True)
    return given


def _todo(given: argparse.Namespace) -> list[Script]:
    """Return the rounds that are asked for, without those on record."""
    all_of_them = scripts(given.seed, [given.fault] if given.fault else list(KINDS))
    if given.only:
        return [next(script for script in all_of_them if script.number == given.only)]
    on_record = report.rounds_in([given.report])
    done = {(each["seed"], each["backend"], each["number"], each["fault"]) for each in on_record}
    rounds = islice(all_of_them, given.rounds)
    return [each for each in rounds if (each.seed, given.backend, each.number, each.fault) not in done]


def _play(made: World, given: argparse.Namespace, todo: Sequence[Script]) -> tuple[list[Script], bool]:
    """Play rounds, each on what the one before has left, until one breaks a rule: the next needs another world.

    Return the rounds that are left, and whether one has broken a rule.
    """
    left = [script for script in todo if not _left_out(made, script)]
    made.use(todo[0], before=True)
    Round(made, todo[0]).must(("setup", "--yes"), todo[0].then)
    last = None
    while left:
        script, begun = left.pop(0), time.monotonic()
        played = Round(made, script)
        broken = played.play(anew=last is None or last + 1 != script.number)
        last = script.number
        _keep(given, played, broken, time.monotonic() - begun)
        if broken:
            return left, True
    return [], False


def _left_out(made: World, script: Script) -> bool:
    why = KINDS[script.fault].missing(made)
    if why:
        print(f"round {script.number}: {script.fault} is left out: this machine lacks {why}", flush=True)
    return bool(why)


def _keep(given: argparse.Namespace, played: Round, broken: Sequence[model.Violation], seconds: float) -> None:
    """Write the history and a line about the round; print what was broken, and the command that plays it again."""
    script, line = played.script, played.line
    name = f"{line['backend']}-{script.seed}-{script.number:04d}"
    played.history.save(given.report / "histories" / f"{name}.jsonl")
    line |= {"seconds": round(seconds, 1), "broken": [asdict(each) for each in broken]}
    with (given.report / report.ROUNDS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
    ended = ", ".join(f"{each['words'][0]} {each['code']}" for each in line["operations"])
    hit = line["hit"] or "nothing hit"
    print(f"round {script.number}: {script.fault} ({hit}): {ended} ({seconds:.0f} s)", flush=True)
    for each in broken:
        print(f"  BROKEN {each.rule}: {each.message}", flush=True)
    if broken:
        kind = f" --fault '{given.fault}'" if given.fault else ""
        again = f"--seed {script.seed} --backend {given.backend}{kind} --only {script.number}"
        print(f"  again: bash tests/robustness/run {again}; its history and the servers' logs are kept", flush=True)
        shutil.copytree(played.world.layout.folder / "logs", given.report / "logs" / name, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
