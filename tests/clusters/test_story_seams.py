"""What was decided is what happens, on a real cluster: between the steps of a command, between two, and by hand.

Each test starts with one provisioned cluster of five awards.
"""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from projects import killed
from sandbox_fixtures import eventually
from story import MARCH, WHATEVER, Story, World, make_project, running

pytestmark = pytest.mark.sandbox

KT = "kt-cloud"
FIVE = ["HPC-2026-1-002", "HPC-2026-1-007", "HPC-2026-1-012", "HPC-2026-1-017", "HPC-2026-1-022"]
NEW = "HPC-2026-1-888"
NEW_ROW = f"{NEW},새연구소,대학,책임자,new@example.org,1,4,KT클라우드,H200,4,2026-01-01,2026-06-30,선정,"


def namespace(award: str) -> str:
    return f"gpu-{award.lower()}"


@pytest.fixture(scope="module")
def office(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root: Path = tmp_path_factory.mktemp("office")
    make_project(root)
    made = Story(world, root)
    made.edit_list(lambda rows: [row for row in rows if row.split(",")[0] in FIVE])
    try:
        yield made
    finally:
        world.clean()


@pytest.fixture
def story(office: Story, tmp_path: Path) -> Story:
    """A copy of the project; the cluster is as list and state say, whatever the test before has left."""
    office.ok("up", "--yes", "--provider", KT, *WHATEVER)
    assert live(office) == expected()
    return office.copied(tmp_path / "one")


def live(story: Story) -> set[str]:
    return story.world.namespaces(KT)


def expected(*others: str) -> set[str]:
    return {namespace(award) for award in (*FIVE, *others)}


def colleague(story: Story, tmp_path: Path) -> Story:
    """Another folder of the same project, as a colleague has it, on the same state and clusters."""
    root = tmp_path / "two"
    shutil.copytree(story.root, root, ignore=shutil.ignore_patterns("state", "pulumi-home", "state-home", ".git"))
    return Colleague(story.world, root, story)


@dataclass(frozen=True)
class Colleague(Story):
    other: Story

    @property
    def environment(self) -> dict[str, str]:
        return self.other.environment


@dataclass
class Asking:
    """A command at a terminal, which has asked its question."""

    process: subprocess.Popen[str]
    terminal: int
    said: str = ""

    def wait_for(self, text: str, times: int = 1) -> None:
        assert self.process.stderr is not None
        deadline = time.monotonic() + 120
        while self.said.count(text) < times:
            ready, _, _ = select.select([self.process.stderr], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {self.said}"
            part = os.read(self.process.stderr.fileno(), 65536).decode()
            assert part, f"ended before {text!r}: {self.said}"
            self.said += part

    def answer(self, text: str) -> None:
        os.write(self.terminal, f"{text}\n".encode())

    def end(self) -> int:
        assert self.process.stderr is not None
        while part := os.read(self.process.stderr.fileno(), 65536).decode():
            self.said += part
        return self.process.wait()


@contextmanager
def asking(story: Story, *command: str) -> Iterator[Asking]:
    """Give a command at a terminal of its own, and wait for its question."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gpuprov", *command],
        cwd=story.root,
        env=story.environment | {"GPUPROV_AT": MARCH},
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    asked = Asking(process, mine)
    try:
        asked.wait_for("[y/N]")
        yield asked
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(mine)


def test_a_plan_that_grew_stale_at_its_question_deletes_nobody(story: Story, tmp_path: Path) -> None:
    """All known awards were touched, so the run declared all that it knew, and Pulumi deleted the rest."""
    story.configure(KT, lambda text: text.replace("    pools:", "    groupPrefix: 'oidc:'\n    pools:"))
    other = colleague(story, tmp_path)
    other.edit_list(lambda rows: [*rows, NEW_ROW])
    with asking(story, "up", "--provider", KT, "--allow-change", "5") as first:
        other.ok("up", "--yes", "--provider", KT, "--allow-change", "5")
        node = running(story.world.core(KT), namespace(NEW), "train", 4)
        first.answer("y")
        first.wait_for("[y/N]", times=2)
        assert f"now also: reclaim {NEW} at kt-cloud" in first.said
        assert "(gpuprov up) has acted meanwhile" in first.said
        first.answer("n")
        assert first.end() == 1
    assert live(story) == expected(NEW)
    assert story.world.core(KT).read_namespaced_pod("train", namespace(NEW)).spec.node_name == node
    assert set(json.loads(story.by_hand("stack", KT, "output", "--json").out)["tenants"]) == {*FIVE, NEW}


def test_an_award_that_was_forfeited_at_the_question_is_not_granted(story: Story) -> None:
    story.edit_list(lambda rows: [*rows, NEW_ROW])
    with asking(story, "up", "--provider", KT) as first:
        story.ok("forfeit", NEW, "--reason", "gave up", "--yes")
        first.answer("y")
        assert first.end() == 0, first.said
    assert f"no longer: create {NEW} at kt-cloud" in first.said
    assert live(story) == expected()


def test_whoever_comes_second_decides_again_on_what_the_first_left(story: Story, tmp_path: Path) -> None:
    """Both have a plan; the pool has room for one of them."""
    capacity = sum(story.world.quotas(KT).values()) + 4 + 3
    story.configure(KT, lambda text: text.replace("capacity: 400", f"capacity: {capacity}"))
    other = colleague(story, tmp_path)
    story.edit_list(lambda rows: [*rows, NEW_ROW])
    other.edit_list(lambda rows: [*rows, NEW_ROW.replace(NEW, "HPC-2026-1-889")])
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "gpuprov", "up", "--yes", "--provider", KT],
            cwd=project.root,
            env=project.environment | {"GPUPROV_AT": MARCH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for project in (story, other)
    ]
    messages = [process.communicate()[1] for process in both]
    assert all(process.returncode in (0, 4) for process in both), messages
    assert sum(story.world.quotas(KT).values()) <= capacity, messages


def test_gpus_that_the_pods_of_a_reduced_award_hold_are_not_granted(story: Story) -> None:
    core = story.world.core(KT)
    quotas = story.world.quotas(KT)
    big = max(quotas, key=lambda name: quotas[name])
    award = big.removeprefix("gpu-").upper()
    assert quotas[big] >= 8
    story.configure(KT, lambda text: text.replace("capacity: 400", f"capacity: {sum(quotas.values())}"))
    running(core, big, "busy", quotas[big])
    story.ok("reduce", award, "--to", str(quotas[big] - 4), "--reason", "unused", "--yes")
    story.edit_list(lambda rows: [*rows, NEW_ROW])
    ran = story.run("up", "--yes", "--provider", KT)
    assert ran.code == 4, ran
    assert "granted or still held by pods, 4 more than the capacity" in ran.err
    hand = story.by_hand("up", KT, "--yes")
    assert hand.code != 0
    assert "still held by pods" in hand.out
    assert live(story) == expected()
    core.delete_namespaced_pod("busy", big)
    eventually(lambda: not core.list_namespaced_pod(big).items)
    story.ok("up", "--yes", "--provider", KT)
    assert live(story) == expected(NEW)


def test_by_hand_rows_that_were_lost_delete_nobody(story: Story) -> None:
    story.edit_list(lambda rows: rows[:1])
    for verb in ("preview", "up"):
        ran = story.by_hand(verb, KT, *(["--yes", "--skip-preview"] if verb == "up" else []))
        assert ran.code != 0, ran
        assert "4 of 5 live awards would be torn down" in ran.out
        assert "run `gpuprov up --provider kt-cloud`" in ran.out
        assert "Traceback" not in ran.out
    assert live(story) == expected()


def test_by_hand_a_bad_list_is_told_in_its_own_words(story: Story) -> None:
    story.edit_list(lambda rows: [row.replace(",H200,", ",H300,") for row in rows])
    ran = story.by_hand("preview", KT)
    assert ran.code != 0
    assert "awards-2026-h1.csv:2" in ran.out
    assert "Traceback" not in ran.out


def test_by_hand_another_cluster_gets_nothing(story: Story, tmp_path: Path) -> None:
    """Behind the context is another cluster: nothing is made there, and the UID on record stays."""
    config = yaml.safe_load(story.world.sandbox.kubeconfig.read_text(encoding="utf-8"))
    contexts = {context["name"]: context for context in config["contexts"]}
    contexts[KT]["name"], contexts["samsung-sds"]["name"] = "samsung-sds", KT
    swapped = tmp_path / "swapped"
    swapped.write_text(yaml.safe_dump(config), encoding="utf-8")
    swapped.chmod(0o600)
    before = json.loads(story.by_hand("stack", KT, "output", "--json").out)["clusterUid"]
    ran = story.by_hand("up", KT, "--yes", "--skip-preview", KUBECONFIG=str(swapped))
    assert ran.code != 0
    assert "this stack was last applied to" in ran.out
    assert story.world.namespaces("samsung-sds") == set()
    assert json.loads(story.by_hand("stack", KT, "output", "--json").out)["clusterUid"] == before


def test_what_pulumi_destroys_by_hand_lives_on_and_is_put_back_into_the_state(story: Story) -> None:
    assert story.by_hand("destroy", KT, "--yes").code == 0
    assert live(story) == expected()
    told = story.run("plan", "--provider", KT, "--exit-code")
    assert told.code == 3, told
    assert "5 to write into Pulumi's state" in told.out
    story.ok("up", "--yes", "--provider", KT)
    assert live(story) == expected()
    assert story.run("plan", "--provider", KT, "--exit-code").code == 0


def test_a_lost_ledger_grants_nothing_again(story: Story) -> None:
    gone = FIVE[0]
    story.ok("forfeit", gone, "--reason", "gave up", "--yes")
    ledger = story.root / "examples" / "ledger.jsonl"
    text = ledger.read_text(encoding="utf-8")
    for lost in ("", None):
        ledger.unlink() if lost is None else ledger.write_text(lost, encoding="utf-8")
        for command in (("up", "--yes"), ("plan",)):
            ran = story.run(*command, "--provider", KT)
            assert ran.code == 4, ran
            assert "0 events where 1 were applied" in ran.err
        assert "0 events where 1 were applied" in story.by_hand("preview", KT).out
    assert live(story) == expected() - {namespace(gone)}
    ledger.write_text(text, encoding="utf-8")
    story.ok("up", "--yes", "--provider", KT)
    ledger.unlink()
    story.ok("up", "--yes", "--provider", KT, "--accept-ledger")
    assert live(story) == expected()


def test_two_forfeitures_at_once_write_one_event(story: Story) -> None:
    command = [sys.executable, "-m", "gpuprov", "forfeit", FIVE[0], "--reason", "gave up", "--yes", "--at", MARCH]
    both = [
        subprocess.Popen(command, cwd=story.root, env=story.environment | {"GPUPROV_AT": MARCH}, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    messages = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], messages
    assert (story.root / "examples" / "ledger.jsonl").read_text(encoding="utf-8").count("forfeited") == 1
    assert live(story) == expected() - {namespace(FIVE[0])}


@pytest.mark.parametrize("word", ["포기", "예비", None])
def test_the_ledgers_word_counts_whatever_the_list_says_since(word: str | None, story: Story) -> None:
    """Forfeited while its cluster was down, and then marked in the list, or removed from it."""
    gone = FIVE[:2]
    sandbox = story.world.sandbox
    sandbox.stop(KT)
    try:
        assert story.run("forfeit", *gone, "--reason", "gave up", "--yes").code == 5
    finally:
        sandbox.start(KT)

    def marked(rows: list[str]) -> list[str]:
        if word is None:
            return [row for row in rows if row.split(",")[0] not in gone]
        return [row.replace("선정", word) if row.split(",")[0] in gone else row for row in rows]

    story.edit_list(marked)
    ran = story.ok("expire", "--yes", "--json", "--provider", KT)
    (done,) = ran.data["providers"]
    assert sorted(tenant["award_id"] for tenant in done["freed"]) == gone
    assert live(story) == expected() - {namespace(award) for award in gone}


def test_a_forfeiture_to_come_touches_nothing_until_its_time(story: Story) -> None:
    may = "2026-05-01T00:00:00+09:00"
    ran = story.ok("forfeit", FIVE[0], "--reason", "leaves in May", "--yes", "--at", may)
    assert "is in the future: no cluster was changed" in ran.err
    story.ok("up", "--yes", "--provider", KT)
    assert live(story) == expected()
    story.ok("expire", "--yes", "--provider", KT, at=may)
    assert live(story) == expected() - {namespace(FIVE[0])}


def test_a_forfeiture_finds_the_award_where_it_lives(story: Story) -> None:
    """The list moves it to another supplier, and nobody has applied that yet."""
    award = FIVE[1]

    def moved(rows: list[str]) -> list[str]:
        return [
            row.replace("KT클라우드", "삼성SDS").replace("H200", "H100") if row.startswith(award) else row
            for row in rows
        ]

    story.edit_list(moved)
    ran = story.ok("forfeit", award, "--reason", "gave up", "--yes", "--json")
    freed = {outcome["provider"]: [done["award_id"] for done in outcome["freed"]] for outcome in ran.data["providers"]}
    assert freed[KT] == [award]
    assert live(story) == expected() - {namespace(award)}


def test_gpus_come_back_while_the_state_cannot_be_read(story: Story) -> None:
    """Only where the cluster is pinned: nothing else tells then that it is the right one."""
    uid = story.world.core(KT).read_namespace("kube-system").metadata.uid
    july = "2026-07-01T00:00:00+09:00"
    down = {"PULUMI_BACKEND_URL": f"file://{story.root / 'nowhere'}"}
    ran = story.run("expire", "--yes", "--provider", KT, at=july, **down)
    assert ran.code == 5, ran
    assert live(story) == expected()
    story.configure(KT, lambda text: text.replace("    pools:", f"    uid: {uid}\n    pools:"))
    ran = story.run("expire", "--yes", "--provider", KT, "--json", at=july, **down)
    assert ran.code == 5, ran
    assert len(ran.data["providers"][0]["freed"]) == 5
    assert live(story) == set()
    story.ok("expire", "--yes", "--provider", KT, at=july)
    assert story.stack_types(KT) == ["pulumi:pulumi:Stack"]


def test_a_supplier_whose_stack_file_is_gone_is_missed(story: Story) -> None:
    story.edit_list(lambda rows: [*rows, NEW_ROW])
    (story.root / "stacks" / "Pulumi.samsung-sds.yaml").unlink()
    ran = story.run("up", "--yes", "--provider", KT)
    assert ran.code == 4, ran
    assert "its stack file Pulumi.samsung-sds.yaml is gone" in ran.err
    assert live(story) == expected()


def test_two_stacks_of_one_cluster_are_refused(story: Story, tmp_path: Path) -> None:
    config = yaml.safe_load(story.world.sandbox.kubeconfig.read_text(encoding="utf-8"))
    clusters = {cluster["name"]: cluster["cluster"] for cluster in config["clusters"]}
    contexts = {context["name"]: context["context"] for context in config["contexts"]}
    clusters[contexts["samsung-sds"]["cluster"]] |= clusters[contexts[KT]["cluster"]]
    contexts["samsung-sds"] |= contexts[KT]
    doubled = tmp_path / "doubled"
    doubled.write_text(yaml.safe_dump(config), encoding="utf-8")
    doubled.chmod(0o600)
    ran = story.run("up", "--yes", KUBECONFIG=str(doubled))
    assert ran.code == 4, ran
    assert "kt-cloud and samsung-sds lead to one cluster" in ran.err


def test_one_on_the_cluster_at_a_time(story: Story) -> None:
    """Whoever waits names who is at work; a turn that a killed command left is over at once."""
    story.edit_list(lambda rows: [*rows, NEW_ROW])
    with story.start_until("applying", "up", "--yes", "--provider", KT) as process:
        assert killed(process)
    ran = story.run("up", "--yes", "--provider", KT)
    assert ran.code == 0, ran
    assert live(story) == expected(NEW)
