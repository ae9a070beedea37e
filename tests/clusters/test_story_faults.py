"""What goes wrong, on real clusters: refusals, outages, drift, kills. Each test starts with three provisioned clusters.

A small list keeps them quick: two awards for each provider.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from projects import OTHERS_LOCK, lock_elsewhere, signalled
from sandbox_fixtures import eventually
from story import PROVIDERS, WHATEVER, Story, World, make_project, running

pytestmark = pytest.mark.sandbox

SMALL = {
    "HPC-2026-1-003": "samsung-sds",
    "HPC-2026-1-005": "samsung-sds",
    "HPC-2026-1-001": "elice-cloud",
    "HPC-2026-1-006": "elice-cloud",
    "HPC-2026-1-002": "kt-cloud",
    "HPC-2026-1-007": "kt-cloud",
}


def namespace(award: str) -> str:
    return f"gpu-{award.lower()}"


@pytest.fixture(scope="module")
def office(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root: Path = tmp_path_factory.mktemp("office")
    make_project(root)
    made = Story(world, root)
    made.edit_list(lambda rows: [row for row in rows if row.split(",")[0] in SMALL])
    try:
        yield made
    finally:
        world.clean()


@pytest.fixture
def story(office: Story, tmp_path: Path) -> Story:
    """A copy of the project; the clusters are as list and state say, whatever the test before has left."""
    office.ok("up", "--yes", *WHATEVER)
    assert live(office) == everything()
    return office.copied(tmp_path / "project")


def live(story: Story) -> dict[str, set[str]]:
    return {provider: story.world.namespaces(provider) for provider in PROVIDERS}


def everything() -> dict[str, set[str]]:
    return {provider: {namespace(a) for a, where in SMALL.items() if where == provider} for provider in PROVIDERS}


def test_one_stopped_cluster_does_not_stop_the_others(story: Story) -> None:
    story.edit_list(lambda rows: [row.replace(",누리테크,", ",누리테크 연구소,") for row in rows])
    sandbox = story.world.sandbox
    sandbox.stop("elice-cloud")
    try:
        story.edit_list(
            lambda rows: [row.replace("선정", "예비") if "003" in row.split(",")[0] else row for row in rows]
        )
        ran = story.run("up", "--yes", "--json")
        assert ran.code == 5
        assert set(ran.data["failed"]) == {"elice-cloud"}
        assert "elice-cloud" in ran.err
        assert "rerun the same command" in ran.err
        done = {outcome["provider"]: outcome["applied"] for outcome in ran.data["providers"]}
        assert done == {"samsung-sds": ["HPC-2026-1-003"], "kt-cloud": ["HPC-2026-1-002"]}
        assert story.run("status", "--json").code == 5
    finally:
        sandbox.start("elice-cloud")
    story.up()
    story.in_step()


def test_an_invalid_list_changes_nothing(story: Story) -> None:
    before = live(story)
    story.edit_list(lambda rows: [row.replace(",H100,8,", ",H100,7,") for row in rows])
    for command in (("up", "--yes"), ("plan",), ("expire", "--yes"), ("validate",)):
        ran = story.run(*command)
        assert ran.code == 1, ran
        assert ran.err.count("8 H100 convert to 8 H100, not 7") == 2
        assert "awards-2026-h1.csv:4 [배정수량] '7'" in ran.err
    assert live(story) == before


def test_a_truncated_list_is_refused_until_the_teardown_is_confirmed(story: Story) -> None:
    story.edit_list(lambda rows: rows[:1])
    for command in (("up", "--yes"), ("plan",)):
        ran = story.run(*command)
        assert ran.code == 4, ran
        assert "kt-cloud: 2 of 2 live awards would be torn down" in ran.err
    assert live(story) == everything()
    assert story.run("up", "--yes", "--allow-teardown", "4").code == 4
    assert live(story) == everything()
    story.ok("up", "--yes", "--allow-teardown", "5")
    assert sum(len(names) for names in live(story).values()) == 1


def test_another_cluster_behind_the_context_is_refused(story: Story, tmp_path: Path) -> None:
    config = yaml.safe_load(story.world.sandbox.kubeconfig.read_text(encoding="utf-8"))
    contexts = {context["name"]: context for context in config["contexts"]}
    contexts["samsung-sds"]["name"], contexts["kt-cloud"]["name"] = "kt-cloud", "samsung-sds"
    swapped = tmp_path / "swapped"
    swapped.write_text(yaml.safe_dump(config), encoding="utf-8")
    swapped.chmod(0o600)
    before = live(story)
    ran = story.run("up", "--yes", KUBECONFIG=str(swapped))
    assert ran.code == 4, ran
    assert "--accept-cluster kt-cloud" in ran.err
    assert "--accept-cluster samsung-sds" in ran.err
    assert live(story) == before


def test_a_replaced_cluster_is_filled_again_once_it_is_accepted(story: Story) -> None:
    """Losing every namespace and the role together with the cluster's identity is what a rebuilt cluster looks like."""
    core = story.world.core("kt-cloud")
    for name in everything()["kt-cloud"]:
        core.delete_namespace(name)
    eventually(lambda: not story.world.namespaces("kt-cloud"))
    rebuilt = {"clusterUid": "00000000-0000-0000-0000-000000000000"}
    export = story.root / "state.json"
    state = json.loads(story.by_hand("stack", "kt-cloud", "export").out)
    state["deployment"]["resources"][0]["outputs"] |= rebuilt
    export.write_text(json.dumps(state), encoding="utf-8")
    assert story.by_hand("stack", "kt-cloud", "import", "--file", str(export)).code == 0
    assert story.run("up", "--yes").code == 4
    assert story.world.namespaces("kt-cloud") == set()
    story.ok("up", "--yes", "--accept-cluster", "kt-cloud")
    assert live(story) == everything()
    story.in_step(["kt-cloud"])


def test_what_was_changed_by_hand_is_found_and_put_right(story: Story) -> None:
    samsung = story.world.core("samsung-sds")
    more = {"spec": {"hard": {"requests.nvidia.com/gpu": "64"}}}
    samsung.patch_namespaced_resource_quota("gpu", namespace("HPC-2026-1-003"), more)
    samsung.delete_namespaced_limit_range("defaults", namespace("HPC-2026-1-005"))
    elice = story.world.core("elice-cloud")
    no_label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}}
    elice.patch_namespace(namespace("HPC-2026-1-001"), no_label)
    elice.delete_namespace(namespace("HPC-2026-1-006"))
    eventually(lambda: namespace("HPC-2026-1-006") not in story.world.namespaces("elice-cloud"))
    changes = {change["award_id"]: change for change in story.ok("plan", "--json").data["changes"]}
    assert {award: change["op"] for award, change in changes.items()} == {
        "HPC-2026-1-003": "update",
        "HPC-2026-1-005": "update",
        "HPC-2026-1-001": "update",
        "HPC-2026-1-006": "create",
    }
    assert changes["HPC-2026-1-003"]["reasons"][0] == "the quota grants 64 H100, the award has 8"
    assert changes["HPC-2026-1-005"]["reasons"] == ["LimitRange defaults is missing"]
    assert "pod-security.kubernetes.io/enforce is None" in changes["HPC-2026-1-001"]["reasons"][0]
    assert story.up()["samsung-sds"]["lowered"] == ["HPC-2026-1-003"]
    assert live(story) == everything()
    assert story.world.quotas("samsung-sds")[namespace("HPC-2026-1-003")] == 8
    story.in_step(["samsung-sds", "elice-cloud"])


@contextmanager
def dead_nodes(story: Story, provider: str) -> Iterator[None]:
    """Stop what answers for the nodes: a pod that is deleted then stays, terminating, as on a node that died."""
    (kwok,) = [status.pids["kwok"] for status in story.world.sandbox.status() if status.name == provider]
    os.kill(kwok, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kwok, signal.SIGCONT)


def test_gpus_of_a_stuck_pod_are_not_given_to_the_next_awardee(story: Story) -> None:
    """The pool has room for the new award only where the old one's GPUs are really free."""
    config = story.root / "stacks" / "Pulumi.kt-cloud.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("capacity: 400", "capacity: 5"), encoding="utf-8")
    core = story.world.core("kt-cloud")
    old, space = "HPC-2026-1-007", namespace("HPC-2026-1-007")
    node = running(core, space, "stuck", 4)
    new = "HPC-2026-1-888,새연구소,대학,책임자,new@example.org,1,4,KT클라우드,H200,4,2026-03-02,2026-06-30,선정,"
    later = "2026-03-02T09:00:00+09:00"

    with dead_nodes(story, "kt-cloud"):
        ran = story.run("forfeit", old, "--reason", "gave up", "--yes", "--json", "--timeout", "3")
        assert ran.code == 5, ran
        assert f"pod stuck on node {node} has not ended" in ran.data["failed"]["kt-cloud"]
        assert story.world.quotas("kt-cloud")[space] == 0

        story.edit_list(lambda rows: [*rows, new])
        ran = story.run("up", "--yes", "--json", "--timeout", "3", at=later)
        assert ran.code == 5, ran
        kt_cloud = next(outcome for outcome in ran.data["providers"] if outcome["provider"] == "kt-cloud")
        assert list(kt_cloud["stuck"]) == [old]
        assert kt_cloud["postponed"] == ["HPC-2026-1-888"]
        assert namespace("HPC-2026-1-888") not in story.world.namespaces("kt-cloud")

    story.up(at=later)
    assert story.world.quotas("kt-cloud") == {namespace("HPC-2026-1-002"): 1, namespace("HPC-2026-1-888"): 4}


def test_an_interrupted_run_says_so_and_is_finished_by_the_next(story: Story) -> None:
    """Ctrl-C reaches the command and all its children; Pulumi then saves what it knows."""
    story.edit_list(lambda rows: [row.replace(",1,4,KT클라우드,H200,4,", ",1,2,KT클라우드,H200,2,") for row in rows])
    process = story.start_until("applying", "up", "--yes")
    assert signalled(process, signal.SIGINT)
    _, messages = process.communicate()
    assert process.returncode == 130, messages
    assert "rerun the same command" in messages
    story.up()
    assert story.world.quotas("kt-cloud")[namespace("HPC-2026-1-007")] == 2
    story.in_step(["kt-cloud"])


def test_a_run_with_nothing_to_do_gives_back_the_turn_of_one_that_was_killed_here(story: Story) -> None:
    """Pulumi may have finished what the killed run had begun, and then nobody else would take the turn for long."""
    note = Path(story.environment["XDG_STATE_HOME"]) / "gpuprov" / "turns" / "5ee1d0"
    note.touch()  # the process that had it locked is gone
    with story.world.held("kt-cloud", "kim@office/5ee1d0"):
        assert "kt-cloud: " in story.ok("up", "--yes").err
        assert story.world.holder("kt-cloud") == ""
    assert not note.exists()
    story.in_step()


def test_an_orphan_that_no_state_knows_is_swept(story: Story) -> None:
    """As after a kill between the cluster's answer and the saving of the state, for an award that is not wanted."""
    body = story.world.core("kt-cloud").read_namespace(namespace("HPC-2026-1-002"))
    labels = body.metadata.labels | {"gpuprov.dev/award": "hpc-2026-1-555"}
    annotations = body.metadata.annotations | {"gpuprov.dev/award-id": "HPC-2026-1-555"}
    orphan = {"metadata": {"name": "gpu-hpc-2026-1-555", "labels": labels, "annotations": annotations}}
    story.world.core("kt-cloud").create_namespace(orphan)
    story.up()
    assert live(story) == everything()
    story.in_step(["kt-cloud"])


def test_a_namespace_that_is_being_deleted_is_made_again_once_it_is_gone(story: Story) -> None:
    """The server takes seconds over a deletion; until it is done nothing can be made under that name."""
    core = story.world.core("kt-cloud")
    old = core.read_namespace(namespace("HPC-2026-1-007")).metadata.uid
    core.delete_namespace(namespace("HPC-2026-1-007"))
    assert story.up()["kt-cloud"]["applied"] == ["HPC-2026-1-007"]
    assert core.read_namespace(namespace("HPC-2026-1-007")).metadata.uid != old
    assert live(story) == everything()
    story.in_step(["kt-cloud"])


def test_a_namespace_that_lost_its_labels_is_still_taken_back(story: Story) -> None:
    """Nothing lists it any more; the stack's own outputs say that it was made."""
    core = story.world.core("kt-cloud")
    space = namespace("HPC-2026-1-007")
    none = {"app.kubernetes.io/managed-by": None, "gpuprov.dev/provider": None, "gpuprov.dev/award": None}
    core.patch_namespace(space, {"metadata": {"labels": none}})
    running(core, space, "busy", 4)
    ran = story.ok("forfeit", "HPC-2026-1-007", "--reason", "gave up", "--yes", "--json")
    (kt_cloud,) = ran.data["providers"]
    assert [(tenant["award_id"], tenant["gpus"]) for tenant in kt_cloud["freed"]] == [("HPC-2026-1-007", 4)]
    assert space not in {item.metadata.name for item in core.list_namespace().items}
    story.in_step(["kt-cloud"])


def test_a_renamed_context_reaches_the_stack(story: Story, tmp_path: Path) -> None:
    config = yaml.safe_load(story.world.sandbox.kubeconfig.read_text(encoding="utf-8"))
    for context in config["contexts"]:
        context["name"] = {"kt-cloud": "kt-gpu"}.get(context["name"], context["name"])
    renamed = tmp_path / "renamed"
    renamed.write_text(yaml.safe_dump(config), encoding="utf-8")
    renamed.chmod(0o600)
    stack = story.root / "stacks" / "Pulumi.kt-cloud.yaml"
    text = stack.read_text(encoding="utf-8")
    stack.write_text(text.replace("context: kt-cloud", "context: kt-gpu"), encoding="utf-8")
    ran = story.run("up", "--yes", "--json", KUBECONFIG=str(renamed))
    assert ran.code == 0, ran
    hand = story.by_hand("preview", "kt-cloud", "--refresh", "--expect-no-changes", KUBECONFIG=str(renamed))
    assert hand.code == 0, hand
    again = story.run("up", "--yes", "--json", KUBECONFIG=str(renamed)).data["providers"]
    assert all(outcome["operations"] == {} for outcome in again)
    story.edit_list(lambda rows: [row.replace(",1,4,KT클라우드,H200,4,", ",1,2,KT클라우드,H200,2,") for row in rows])
    done = story.run("up", "--yes", "--json", KUBECONFIG=str(renamed)).data["providers"]
    assert [outcome["applied"] for outcome in done] == [[], ["HPC-2026-1-007"], []]
    assert story.world.quotas("kt-cloud")[namespace("HPC-2026-1-007")] == 2


def test_by_hand_first_then_the_command_line(story: Story) -> None:
    story.edit_list(lambda rows: [row.replace(",1,4,KT클라우드,H200,4,", ",1,2,KT클라우드,H200,2,") for row in rows])
    ran = story.by_hand("up", "kt-cloud", "--yes")
    assert ran.code == 0, ran
    assert story.world.quotas("kt-cloud")[namespace("HPC-2026-1-007")] == 2
    assert json.loads(story.run("plan", "--json").out)["changes"] == []
    assert all(outcome["applied"] == [] for outcome in story.up().values())
    july = "2026-07-01T00:00:00+09:00"
    ran = story.by_hand("up", "kt-cloud", "--yes", at=july)
    assert ran.code != 0, ran
    assert "must be taken back, which Pulumi can neither prove nor do in the right order" in ran.out
    assert story.world.namespaces("kt-cloud") == everything()["kt-cloud"]
    story.ok("expire", "--yes", "--provider", "kt-cloud", at=july)
    assert story.world.namespaces("kt-cloud") == set()
    assert story.stack_types("kt-cloud") == ["pulumi:pulumi:Stack"]


def test_a_lock_of_another_machine_holds_no_gpus_and_is_broken_by_an_explicit_command(story: Story) -> None:
    lock = lock_elsewhere(story.root / "state", "kt-cloud")
    ran = story.run("forfeit", "HPC-2026-1-002", "--reason", "no answer", "--yes")
    assert (ran.code, OTHERS_LOCK in ran.err) == (5, True), ran
    assert namespace("HPC-2026-1-002") not in live(story)["kt-cloud"]  # free all the same
    asked = story.run("unlock", "--provider", "kt-cloud")
    assert (asked.code, "pass --yes" in asked.err, lock.exists()) == (2, True, True), asked
    removed = story.ok("unlock", "--yes", "--json")
    assert removed.data == {
        "removed": {"kt-cloud": {"kt-cloud": [OTHERS_LOCK]}},
        "freed": {},
        "failed": {},
    }
    assert "kt-cloud: the last good run: " in removed.err
    assert "(gpuprov up)" in removed.err
    story.up()
    story.in_step(["kt-cloud"])
    assert story.ok("unlock", "--yes").out.splitlines() == [f"{provider}: no lock" for provider in PROVIDERS]


def test_a_lock_that_a_full_disk_has_cut_off_is_told_and_removed_when_asked(story: Story) -> None:
    """Pulumi leaves it behind, and then fails to read it."""
    cut = lock_elsewhere(story.root / "state", "kt-cloud")
    cut.rename(cut.with_name(f"{cut.name}.18ebfdd371fe9b69.tmp")).write_text("")
    ran = story.run("forfeit", "HPC-2026-1-002", "--reason", "no answer", "--yes")
    assert (ran.code, "a lock on the stack was cut off while it was written" in ran.err) == (5, True), ran
    assert namespace("HPC-2026-1-002") not in live(story)["kt-cloud"]  # free all the same
    removed = story.ok("unlock", "--yes", "--json")
    assert removed.data == {"removed": {"kt-cloud": {"kt-cloud": []}}, "freed": {}, "failed": {}}
    assert "kt-cloud: a lock that was cut off while it was written" in removed.err
    story.up()
    story.in_step(["kt-cloud"])
