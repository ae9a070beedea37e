"""Two operators at once on one real cluster, round after round; what must hold is looked up on the cluster itself.

Each round changes the award lists at random, starts pods, gives two real commands at small offsets (from one folder, or
from two with their own lists, ledgers and states), and then lets one operator run `up` alone. Start it by hand with
``python tests/sandbox/two_operators.py --rounds 200 --seed 1``; the same seed gives the same commands.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kubernetes import client, config
from projects import REPOSITORY, Ran, run_command, timed
from sandbox_fixtures import eventually, programs
from story import OURS, accepted, gpu_pod, make_environment

from gpuprov.ledgerfile import read_ledger
from gpuprov.naming import namespace
from gpuprov.project import open_project
from gpuprov.run.loading import load
from gpuprov.sandbox import H100, ClusterSpec, NodePool, Sandbox

CAPACITY = 16
GPU = "requests.nvidia.com/gpu"
FIRST = datetime.fromisoformat("2026-01-02T09:00:00+09:00")
LAST_DAYS = ("2026-01-03", "2026-01-05", "2026-03-31", "2026-06-30")
HOLD = "example.org/hold"
EVERYTHING = ("--allow-teardown", "99", "--allow-change", "99", "--accept-ledger")
POLL_SECONDS = 0.2
TIMEOUT = "15"
"""Seconds that commands wait for pods, and for each other's turn to end."""

_HEADER = "award id,organization,track,applied,provider,model,quantity,start date,end date,status"
_PROJECT = """\
name: gpuprov
runtime: {name: python, options: {toolchain: pip}}
main: stacks
stackConfigDir: stacks
config:
  awards: {default: [awards.csv]}
  ledger: {default: ledger.jsonl}
"""
_STACK = f"""\
config:
  gpuprov:cluster:
    aliases: [Alpha]
    context: alpha
    adminContext: alpha-admin
    pools:
      - model: H100
        capacity: {CAPACITY}
        nodeLabel: {{nvidia.com/gpu.product: {H100}}}
"""


@dataclass(frozen=True)
class Row:
    """One line of an award list."""

    award_id: str
    gpus: int
    last_day: str
    status: str = "selected"

    def __str__(self) -> str:
        track = "2" if self.gpus == 8 else "1"
        numbers = f"{track},{self.gpus},Alpha,H100,{self.gpus}"
        return f"{self.award_id},org of {self.award_id},{numbers},2026-01-01,{self.last_day},{self.status}"


@dataclass
class Folder:
    """A project with a list, a ledger and a Pulumi state of its own."""

    root: Path
    environment: Mapping[str, str]
    rows: list[Row] = field(default_factory=list)

    def write(self) -> None:
        text = "\n".join([_HEADER, *map(str, self.rows)]) + "\n"
        (self.root / "awards.csv").write_text(text, encoding="utf-8")

    @property
    def ledger(self) -> bytes:
        path = self.root / "ledger.jsonl"
        return path.read_bytes() if path.exists() else b""

    def forfeited(self) -> list[str]:
        events = read_ledger(self.root / "ledger.jsonl")
        return [event.award for event in events if event.event == "forfeited"]

    def desired(self, at: datetime) -> dict[str, int]:
        """Return the GPUs that each award should have."""
        return {one.award_id: one.gpus for one in load(open_project(self.root)).desired(at).tenants}


@dataclass(frozen=True)
class Command:
    """What an operator types, where, and after how many seconds."""

    folder: Folder
    words: tuple[str, ...]
    after: float

    def __str__(self) -> str:
        return f"{self.after:.2f} s in {self.folder.root.name}: {' '.join(self.words)}"

    @property
    def by_hand(self) -> bool:
        return self.words[0] == "pulumi"

    def run(self, at: datetime) -> Ran:
        ours = [sys.executable, "-m", "gpuprov", *timed(self.words, at.isoformat())]
        return run_command(
            self.words if self.by_hand else ours,
            self.folder.root,
            {**self.folder.environment, "GPUPROV_AT": at.isoformat()},
        )


@dataclass(frozen=True)
class Seen:
    """The cluster at one moment: of each namespace its UID, the GPUs that its quota grants, and those of its pods."""

    uids: Mapping[str, str]
    granted: Mapping[str, int]
    pods: Mapping[str, int]

    @property
    def held(self) -> int:
        """GPUs that are granted or, where that is more, held by pods; of a namespace that went meanwhile, none."""
        return sum(max(gpus, self.pods.get(name, 0)) for name, gpus in self.granted.items())


class Eyes:
    """The administrator's view of the cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        connection = config.new_client_from_config(config_file=str(kubeconfig), context="alpha-admin")
        self.core = client.CoreV1Api(connection)

    def look(self) -> Seen:
        pods: dict[str, int] = {}
        for pod in self.core.list_pod_for_all_namespaces().items:
            if pod.spec.node_name and pod.status.phase not in {"Succeeded", "Failed"}:
                asked = (pod.spec.containers[0].resources.limits or {}).get("nvidia.com/gpu", "0")
                pods[pod.metadata.namespace] = pods.get(pod.metadata.namespace, 0) + int(asked)
        quotas = self.core.list_resource_quota_for_all_namespaces(label_selector=OURS).items
        granted = {one.metadata.namespace: int(one.spec.hard[GPU]) for one in quotas}
        spaces = self.core.list_namespace(label_selector=OURS).items
        return Seen(uids={one.metadata.name: one.metadata.uid for one in spaces}, granted=granted, pods=pods)


class Watch:
    """Looks at the cluster all the time; keeps what was granted beyond the pool."""

    def __init__(self, eyes: Eyes) -> None:
        self.eyes = eyes
        self.broken: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            # Two lists are of two moments: an excess is one that the next look finds too.
            if self.eyes.look().held > CAPACITY and (seen := self.eyes.look()).held > CAPACITY:
                self.broken.append(f"{seen.held} GPUs held of {CAPACITY}: granted {seen.granted}, by pods {seen.pods}")


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
            ran, last = _side_by_side(commands, self.at)
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

    def _change_list(self, folder: Folder) -> None:
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
            if _sum([*rows, new]) <= CAPACITY + self.dice.choice((0, 0, 0, 0, 0, 2)):
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


def _side_by_side(commands: tuple[Command, ...], at: datetime) -> tuple[list[Ran], int]:
    """Run the commands, each after its seconds; return what they said, and which was the last to end."""
    ran: dict[int, Ran] = {}

    def run(number: int) -> None:
        time.sleep(commands[number].after)
        ran[number] = commands[number].run(at)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(commands))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [ran[number] for number in range(len(commands))], list(ran)[-1]


@dataclass
class Round:
    """What happened in one round, and what must hold of it."""

    number: int
    at: datetime
    commands: tuple[Command, ...]
    ran: list[Ran]
    before: Seen
    after: Seen
    held: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    last: int = 0
    then: Command | None = None
    then_ran: Ran | None = None
    end: Seen | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        names = ["by hand" if one.by_hand else one.words[0] for one in self.commands]
        both = ", ".join(f"{name} {ran.code}" for name, ran in zip(names, self.ran, strict=True))
        again = sum("deciding again" in ran.err for ran in self.ran)
        reasons = "".join(f"\n    {_reason(ran)}" for ran in self.ran if ran.code)
        last = self.then_ran.code if self.then_ran else "-"
        return f"round {self.number}: {both}; {again} decided again; then up {last}{reasons}"

    def ledgers(self, folders: tuple[Folder, ...], before: list[bytes]) -> None:
        """Nothing is lost from a ledger, and nobody is forfeited twice."""
        for folder, was in zip(folders, before, strict=True):
            if not folder.ledger.startswith(was):
                self.faults.append(f"{folder.root.name}: the ledger lost events: {was!r} became {folder.ledger!r}")
            gone = folder.forfeited()
            if twice := {award for award in gone if gone.count(award) > 1}:
                self.faults.append(f"{folder.root.name}: forfeited twice: {twice}")

    def check(self) -> None:
        self.faults += self.broken
        outcomes = [_outcome(ran) for ran in self.ran]
        freed = set()
        for command, ran, outcome in zip(self.commands, self.ran, outcomes, strict=True):
            if "a bug in gpuprov" in ran.err or "Traceback" in ran.err + ran.out:
                self.faults.append(f"{command}: a bug")
            for one in outcome.get("freed", ()):
                freed.add(one["namespace"])
                if not re.search(rf"reclaim +alpha +{one['award_id']} ", ran.err):
                    self.faults.append(f"{command}: took back {one['award_id']} and had not shown it")
        gone = {name for name, uid in self.before.uids.items() if self.after.uids.get(name) != uid}
        if unexplained := gone - freed - {namespace(one) for outcome in outcomes for one in outcome.get("stuck", {})}:
            self.faults.append(f"gone and reported by nobody: {unexplained}")
        self._applied(outcomes)
        self._raise()

    def _applied(self, outcomes: list[Mapping[str, Any]]) -> None:
        """What the last one applied is there as it was decided, unless the other touched it too."""
        command, mine, other = self.commands[self.last], outcomes[self.last], outcomes[1 - self.last]
        if self.commands[1 - self.last].by_hand and self.ran[1 - self.last].code == 0:
            return
        touched = {*other.get("applied", ()), *other.get("lowered", ()), *other.get("stuck", {})}
        touched |= {one["award_id"] for one in other.get("freed", ())}
        for award in set(mine.get("applied", ())) - touched:
            should, has = command.folder.desired(self.at).get(award), self.after.granted.get(namespace(award))
            if should != has:
                self.faults.append(f"{command}: reported {award} as applied with {should} GPUs, and it has {has}")

    def check_alone(self, plan: Ran | None, *, stuck: bool) -> None:
        """Whoever then works alone gets all that is desired, or is told why not."""
        assert self.then is not None
        assert self.then_ran is not None
        assert self.end is not None
        self.faults += self.broken
        ran, should = self.then_ran, {}
        if ran.code == 4:
            if "GPUs allocated of" not in ran.err and "more than the capacity" not in ran.err:
                self.faults.append("refused for another reason than the capacity")
        elif ran.code != 0:
            if not stuck or ("not granted until" not in ran.err and "is not reclaimed" not in ran.err):
                self.faults.append(f"code {ran.code} and no word of GPUs that are held")
        else:
            should = {namespace(award): gpus for award, gpus in self.then.folder.desired(self.at).items()}
            if should != dict(self.end.granted):
                self.faults.append(f"should be {should} and is {self.end.granted}")
            if plan is not None and plan.code != 0:
                self.faults.append(f"something is still to do:\n{plan.out}{plan.err}")
        self._raise()

    def _raise(self) -> None:
        assert not self.faults, f"{self}"

    def __str__(self) -> str:
        lines = [self.line, *self.faults, f"at {self.at.isoformat()}; held by finalizers: {self.held}"]
        lines += [f"before: {self.before}", f"after: {self.after}", f"in the end: {self.end}"]
        pairs = [*zip(self.commands, self.ran, strict=True)]
        if self.then and self.then_ran:
            pairs.append((self.then, self.then_ran))
        for command, ran in pairs:
            listed = "\n".join(map(str, command.folder.rows))
            lines += [f"--- {command}: code {ran.code}", f"its list:\n{listed}", ran.err, ran.out]
            lines.append(f"its ledger:\n{command.folder.ledger.decode()}")
        return "\n".join(lines)


def _reason(ran: Ran) -> str:
    """Return one line of what a command said went wrong."""
    lines = [line.strip() for line in (ran.err + ran.out).splitlines()]
    return next((line for line in lines if re.match(r"- |error: |.*(failed|locked)", line)), lines[-1])[:160]


def _outcome(ran: Ran) -> Mapping[str, Any]:
    """Return what a command said of the cluster; nothing where it was refused or typed by hand."""
    try:
        providers = json.loads(ran.out)["providers"]
    except (ValueError, KeyError):
        return {}
    return providers[0] if providers else {}


@contextmanager
def arena(folder: Path, seed: int) -> Iterator[Arena]:
    """Start a cluster of two GPU servers with its rules, and make two projects on it."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = ClusterSpec(name="alpha", pools=(NodePool(product=H100, count=CAPACITY // 8),))
    sandbox = Sandbox(folder / "sandbox", programs(), clusters=(spec,))
    try:
        sandbox.up()
        environment = make_environment(sandbox) | {"XDG_STATE_HOME": str(folder / "state-home")}
        folders = (_folder(folder / "office", environment), _folder(folder / "night-shift", environment))
        dice = random.Random(seed)  # noqa: S311 (to be thrown again, the same way)
        made = Arena(Eyes(sandbox.kubeconfig), folders, dice)
        made._change_list(folders[0])
        made._same_lists()
        for place, *words in ((0, "setup", "--yes"), (0, "up", "--yes"), (1, "up", "--yes")):
            ran = Command(folders[place], tuple(words), 0.0).run(made.at)
            assert ran.code == 0, ran
        yield made
    finally:
        sandbox.down()


def _folder(root: Path, environment: Mapping[str, str]) -> Folder:
    (root / "stacks").mkdir(parents=True)
    (root / "state").mkdir()
    shutil.copytree(REPOSITORY / "charts", root / "charts")
    shutil.copy(REPOSITORY / "stacks" / "__main__.py", root / "stacks")
    (root / "Pulumi.yaml").write_text(_PROJECT, encoding="utf-8")
    (root / "stacks" / "Pulumi.alpha.yaml").write_text(_STACK, encoding="utf-8")
    own = {"PULUMI_BACKEND_URL": f"file://{root / 'state'}", "PULUMI_HOME": str(root / "pulumi-home")}
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return Folder(root, {**environment, **own, "PYTHONPATH": str(REPOSITORY)})


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
