"""Runs that are killed at random moments, many times: the next one always finishes, and nothing is left over."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from socket import gethostname

import psutil
import pytest
from sandbox_fixtures import eventually
from story import MARCH, Story, World, make_project

from gpuprov.core.cluster import stack_names
from gpuprov.engine import locks

pytestmark = [pytest.mark.sandbox, pytest.mark.kills]

KT = "kt-cloud"
SHARDS = 2
ROUNDS = 9
LONGEST_SECONDS = 7.0
ROW = (
    "HPC-2026-8-{number:03d},새연구소,대학,책임자,new@example.org,1,"
    "{gpus},KT클라우드,H200,{gpus},2026-01-01,2026-06-30,선정,"
)


@pytest.fixture
def story(world: World, tmp_path: Path) -> Iterator[Story]:
    make_project(tmp_path)
    made = Story(world, tmp_path)
    for other in ("samsung-sds", "elice-cloud"):
        (tmp_path / "stacks" / f"Pulumi.{other}.yaml").unlink()
    made.split(KT, SHARDS)
    try:
        yield made
    finally:
        world.clean()


EVERYTHING = ("--allow-teardown", "60", "--allow-change", "60")
"""The lists change as no guard lets them: what happens is known here."""


class Fleet:
    """An award list that changes at random, and what it asks for."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.gpus: dict[int, int] = {}

    def change(self) -> None:
        """Some awards go, some come, some are reduced."""
        for number in self._chance.sample(sorted(self.gpus), min(6, len(self.gpus))):
            del self.gpus[number]
        for number in self.gpus:
            if self._chance.random() < 0.2:
                self.gpus[number] = self._chance.randint(1, 4)
        for number in self._chance.sample(range(60), 18):
            self.gpus.setdefault(number, self._chance.randint(1, 4))

    def rows(self) -> list[str]:
        return [ROW.format(number=number, gpus=gpus) for number, gpus in sorted(self.gpus.items())]

    def quotas(self) -> dict[str, int]:
        return {f"gpu-hpc-2026-8-{number:03d}": gpus for number, gpus in self.gpus.items()}


def kill(process: subprocess.Popen[bytes], chance: random.Random, *, all_of_them: bool) -> str:
    """Kill the whole command, as a power cut does, or one of its processes, and let the others do what they do."""
    if process.poll() is not None:
        return "nobody"
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return "nobody"
    names = []
    for victim in family if all_of_them else [chance.choice(family)]:
        try:
            names.append(victim.name())
            victim.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
    return ", ".join(names)


def start(story: Story) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gpuprov", "up", "--yes", *EVERYTHING],
        cwd=story.root,
        env=story.environment | {"GPUPROV_AT": MARCH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finish(story: Story, messages: list[str], *, others_may_work: bool) -> None:
    """The next run finishes. Where a part of the killed one lives on and works, that may take one more."""
    for last in (False, True) if others_may_work else (True,):
        ran = story.run("up", "--yes", "--json", *EVERYTHING)
        if ran.code == 0:
            return
        assert not last, (messages, ran.data["failed"])


def test_runs_killed_at_random_moments_are_finished_by_the_next(story: Story) -> None:
    chance = random.Random(20260701)  # noqa: S311 (moments, not secrets)
    fleet = Fleet(chance)
    killed: list[str] = []
    orphans = False
    for _ in range(ROUNDS):
        fleet.change()
        story.edit_list(lambda rows: fleet.rows())
        process, begun = start(story), time.monotonic()
        time.sleep(chance.uniform(0.3, LONGEST_SECONDS))
        everybody = chance.random() < 0.6
        orphans = orphans or not everybody
        spent = time.monotonic() - begun
        killed.append(f"after {spent:.1f} s: {kill(process, chance, all_of_them=everybody)}")
        if chance.random() < 0.5:  # else the next round finds what this one left
            finish(story, killed, others_may_work=orphans)
            orphans = False
            assert story.world.quotas(KT) == fleet.quotas(), killed
    finish(story, killed, others_may_work=orphans)
    assert sum("nobody" not in line for line in killed) > ROUNDS // 2, killed
    assert story.world.quotas(KT) == fleet.quotas(), killed
    assert story.world.namespaces(KT) == set(fleet.quotas()), killed
    story.in_step(stack_names(KT, SHARDS))

    story.ok("expire", "--yes", at="2026-07-01T00:00:00+09:00")
    assert story.world.namespaces(KT) == set()
    for stack in stack_names(KT, SHARDS):
        assert story.stack_types(stack) == ["pulumi:pulumi:Stack"]
    eventually(lambda: not left_locks(story))


def test_moving_state_between_stacks_survives_kills(story: Story) -> None:
    chance = random.Random(310)  # noqa: S311
    fleet = Fleet(chance)
    fleet.change()
    story.edit_list(lambda rows: fleet.rows())
    story.up()
    for wanted in (4, 1):
        story.split(KT, wanted)
        for everybody in (True, False):
            process = start(story)
            time.sleep(chance.uniform(1.0, 4.0))
            kill(process, chance, all_of_them=everybody)
        finish(story, [str(wanted)], others_may_work=True)
        assert story.world.quotas(KT) == fleet.quotas()
        story.in_step(stack_names(KT, wanted))


def left_locks(story: Story) -> list[Path]:
    return list((story.root / "state" / ".pulumi" / "locks").rglob("*.json"))


def test_the_lock_of_a_killed_run_is_removed_and_that_of_another_is_not(story: Story) -> None:
    """The next run says so, and only a run that this user's own note tells of counts as killed."""
    story.edit_list(lambda rows: [ROW.format(number=1, gpus=4)])
    story.up()
    foreign = story.root / "state" / ".pulumi" / "locks" / "organization" / "gpuprov" / KT / "foreign.json"
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text(
        json.dumps({"pid": 2**22 + 1, "username": "x", "hostname": "y", "timestamp": "2026-03-01T00:00:00Z"})
    )
    foreign1 = foreign.parent.parent / f"{KT}.1" / "foreign.json"
    foreign1.parent.mkdir(parents=True, exist_ok=True)
    foreign1.write_text(foreign.read_text(encoding="utf-8"), encoding="utf-8")
    story.edit_list(lambda rows: [ROW.format(number=1, gpus=2)])
    ran = story.run("up", "--yes", "--json", "--timeout", "2")
    assert ran.code == 5, ran
    assert "x@y (process 4194305, since 2026-03-01T00:00:00+00:00) holds the stack's lock" in ran.data["failed"][KT]
    assert foreign.exists()
    foreign.unlink()
    foreign1.unlink()
    story.up()
    assert story.world.quotas(KT) == {"gpu-hpc-2026-8-001": 2}


def test_two_commands_that_find_the_lock_of_a_killed_run_at_once_both_finish(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One removes the lock and works; the other waits for it, and takes no lock from it."""
    story.edit_list(lambda rows: [ROW.format(number=number, gpus=4) for number in range(20)])
    story.up()
    for name in ("PULUMI_BACKEND_URL", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, story.environment[name])
    for stack in stack_names(KT, SHARDS):
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
            locks.remembered(story.root, stack, process.pid).__enter__()
            process.kill()
        lock = story.root / "state" / ".pulumi" / "locks" / "organization" / "gpuprov" / stack / "killed.json"
        lock.parent.mkdir(parents=True, exist_ok=True)
        about = {"pid": process.pid, "username": "x", "hostname": gethostname(), "timestamp": "2026-03-01T00:00:00Z"}
        lock.write_text(json.dumps(about), encoding="utf-8")
    story.edit_list(lambda rows: [ROW.format(number=number, gpus=2) for number in range(20)])
    both = [start(story) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert story.world.quotas(KT) == {f"gpu-hpc-2026-8-{number:03d}": 2 for number in range(20)}
    assert left_locks(story) == []
    story.in_step(stack_names(KT, SHARDS))
