"""Runs of which something is killed while Pulumi works: no process of theirs stays, and the next run finishes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from sandbox_fixtures import eventually
from story import MARCH, Story, World, make_project

from gpuprov.core.cluster import stack_names

pytestmark = [pytest.mark.sandbox, pytest.mark.kills]

KT = "kt-cloud"
MARK = "STORY_RUN"
AWARDS = 12
ROW = "HPC-2026-8-{:03d},새연구소,대학,책임자,new@example.org,1,1,KT클라우드,H200,1,2026-01-01,2026-06-30,선정,"
PARTS = {
    "command": "-m gpuprov up",
    "worker": "-m gpuprov.run.worker",
    "stack process": "-m gpuprov.run.stack",
    "pulumi": "pulumi --non-interactive up",
    "plugin": "pulumi-resource-kubernetes",
}


@pytest.fixture(scope="module")
def story(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """One project for all tests; each adds awards to its list."""
    root = tmp_path_factory.mktemp("killed")
    make_project(root)
    made = Story(world, root)
    for other in ("samsung-sds", "elice-cloud"):
        (root / "stacks" / f"Pulumi.{other}.yaml").unlink()
    made.edit_list(lambda rows: [])
    try:
        yield made
    finally:
        world.clean()


class Run:
    """A `gpuprov up` whose processes are recognised by a mark, also those that have lost their parent."""

    def __init__(self, story: Story) -> None:
        self._mark = uuid4().hex
        self.command = subprocess.Popen(
            [sys.executable, "-m", "gpuprov", "up", "--yes"],
            cwd=story.root,
            env=story.environment | {"GPUPROV_AT": MARCH, MARK: self._mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def processes(self, part: str = "") -> list[psutil.Process]:
        """Return those that run, of all or of one part; a zombie has no environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self._mark and part in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found


def at_work(story: Story, shards: int = 1) -> Run:
    """Start a run with more awards, and wait until Pulumi makes their namespaces."""
    story.split(KT, shards)
    there = len(story.world.namespaces(KT))
    story.edit_list(lambda rows: [*rows, *map(ROW.format, range(there, there + AWARDS))])
    run = Run(story)
    eventually(lambda: len(story.world.namespaces(KT)) > there or run.command.poll() is not None)
    assert run.processes(PARTS["plugin"])
    return run


def nothing_is_left(run: Run) -> None:
    run.command.wait(timeout=60)
    eventually(lambda: run.processes() == [])


def finished_by_the_next(story: Story, shards: int = 1) -> None:
    awards = story.ok("up", "--yes", "--json").data and len(story.world.namespaces(KT))
    assert awards % AWARDS == 0
    assert story.world.quotas(KT) == {f"gpu-hpc-2026-8-{number:03d}": 1 for number in range(awards)}
    assert left_locks(story) == []
    story.in_step(stack_names(KT, shards))


def left_locks(story: Story) -> list[Path]:
    return list((story.root / "state" / ".pulumi" / "locks").rglob("*.json"))


@pytest.mark.parametrize(
    ("parts", "shards"),
    [(("worker",), 1), (("command", "worker"), 1), (("stack process",), 2)],
    ids=["worker", "worker and command", "stack process"],
)
def test_pulumi_is_interrupted_where_those_who_run_it_are_killed(
    story: Story, parts: tuple[str, ...], shards: int
) -> None:
    """It saves what it has made and gives its lock back, though nobody reads any more what it says."""
    run = at_work(story, shards)
    for victims in [run.processes(PARTS[part]) for part in parts]:
        victims[0].kill()
    nothing_is_left(run)
    assert left_locks(story) == []
    finished_by_the_next(story, shards)


def test_no_plugin_outlives_pulumi(story: Story) -> None:
    run = at_work(story)
    (pulumi,) = run.processes(PARTS["pulumi"])
    pulumi.kill()
    nothing_is_left(run)
    finished_by_the_next(story)


def test_a_terminals_interrupt_and_a_service_managers_wait_until_pulumi_has_ended(story: Story) -> None:
    for worker_only, number in ((False, signal.SIGINT), (True, signal.SIGTERM)):
        run = at_work(story)
        if worker_only:
            run.processes(PARTS["worker"])[0].send_signal(number)
        else:
            os.killpg(run.command.pid, number)
        assert run.command.wait(timeout=60) != 0
        assert run.processes() == []
        assert left_locks(story) == []
    finished_by_the_next(story)
