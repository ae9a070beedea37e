"""Each disagreement is made for real; doctor finds it, and after exactly the command that it names finds it no more."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from projects import killed, lock_elsewhere
from sandbox_fixtures import eventually
from story import MARCH, Story, World, make_project

KT, SDS = "kt-cloud", "samsung-sds"
JULY = "2026-07-01T00:00:00+09:00"
FIRST, SECOND = "HPC-2026-1-002", "HPC-2026-1-007"
EVENT = {"by": "kim", "reason": "continued", "recorded": "2026-05-20T11:00:00+09:00"}

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root: Path = tmp_path_factory.mktemp("doctor")
    make_project(root)
    (root / "stacks" / "Pulumi.elice-cloud.yaml").unlink()
    try:
        yield Story(world, root)
    finally:
        world.clean()


@pytest.fixture
def story(made: Story) -> Story:
    """Two awards at one supplier that everything agrees on, whatever the test before has left."""
    made.split(KT, 1)
    (made.root / "examples" / "ledger.jsonl").write_text("", encoding="utf-8")
    made.edit_list(lambda rows: LISTED)
    made.ok("up", "--yes", "--allow-teardown", "99", "--allow-change", "99", "--accept-ledger")
    commit(made)
    return made


LISTED = [
    f"{FIRST},누리테크,기업,책임자,new@example.org,1,1,KT클라우드,H200,1,2026-01-01,2026-06-30,선정,",
    f"{SECOND},하늘데이터,기업,책임자,new@example.org,1,4,KT클라우드,H200,4,2026-01-01,2026-06-30,선정,",
]


def commit(story: Story) -> None:
    identity = ["-c", "user.name=ci", "-c", "user.email=ci@example.org"]
    subprocess.run(["git", *identity, "add", "examples"], cwd=story.root, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "All", "--allow-empty"], cwd=story.root, check=True)


def found(story: Story, at: str = MARCH) -> dict[tuple[str | None, str], dict[str, Any]]:
    """Return the findings by provider and code."""
    ran = story.run("doctor", "--json", at=at)
    assert ran.code == (1 if ran.data["findings"] else 0), ran
    return {(of["provider"], of["code"]): of for of in ran.data["findings"]}


def names(finding: dict[str, Any]) -> list[str]:
    return [item["name"] for item in finding["items"]]


def mend(story: Story, code: str, at: str = MARCH, provider: str | None = KT) -> dict[str, Any]:
    """Find it, run exactly the command that is named, and find it no more; return the finding."""
    before = found(story, at)
    assert (provider, code) in before, before
    finding = before[provider, code]
    command = finding["command"]
    assert command
    if command.startswith("gpuprov "):
        ran = story.run(*shlex.split(command)[1:], "--yes", at=at)
        assert ran.code == 0, (command, ran)
    else:
        who = {f"GIT_{role}_{what}": "ci" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        subprocess.run(command, shell=True, cwd=story.root, check=True, capture_output=True, env=os.environ | who)  # noqa: S602
    assert (provider, code) not in found(story, at)
    return finding


def append(story: Story, **event: str) -> None:
    with (story.root / "examples" / "ledger.jsonl").open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(EVENT | event) + "\n")
    commit(story)


def test_an_award_that_has_ended_is_expired(story: Story) -> None:
    finding = mend(story, "ended", at=JULY)
    assert names(finding) == [FIRST, SECOND]
    assert story.world.namespaces(KT) == set()


def test_an_award_that_was_forfeited_in_the_ledger_is_expired(story: Story) -> None:
    append(story, award=FIRST, at="2026-02-01T00:00:00+09:00", event="forfeited")
    assert names(mend(story, "ended")) == [FIRST]


def test_namespaces_that_no_list_has_are_torn_down_once_confirmed(story: Story) -> None:
    story.edit_list(lambda rows: [LISTED[0].replace(FIRST, "HPC-2026-8-001")])
    assert names(mend(story, "unwanted")) == [FIRST, SECOND]
    assert story.world.namespaces(KT) == {"gpu-hpc-2026-8-001"}


def test_a_missing_and_a_changed_award_are_brought_back(story: Story) -> None:
    core, more = story.world.core(KT), {"spec": {"hard": {"requests.nvidia.com/gpu": "9"}}}
    core.patch_namespaced_resource_quota("gpu", "gpu-hpc-2026-1-007", more)
    core.delete_namespace("gpu-hpc-2026-1-002")
    eventually(lambda: "gpu-hpc-2026-1-002" not in story.world.namespaces(KT))
    assert found(story).keys() == {(KT, "missing"), (KT, "drifted")}
    assert names(mend(story, "missing")) == [FIRST]
    assert found(story) == {}


def test_the_chart_that_was_changed_is_set_up(story: Story) -> None:
    admission = client.AdmissionregistrationV1Api(story.world.connection(KT))
    admission.delete_validating_admission_policy_binding("gpuprov-gpu")
    mend(story, "chart")
    assert found(story) == {}


def test_a_namespace_that_hangs_names_what_holds_it(story: Story) -> None:
    core, name = story.world.core(KT), "gpu-hpc-2026-1-002"
    core.create_namespaced_config_map(name, {"metadata": {"name": "held", "finalizers": ["example.org/held"]}})
    core.delete_namespace(name)
    eventually(lambda: "example.org/held" in str(found(story).get((KT, "terminating"))))
    finding = found(story)[KT, "terminating"]
    assert (names(finding), finding["command"]) == ([FIRST], None)
    core.patch_namespaced_config_map("held", name, {"metadata": {"finalizers": None}})
    eventually(lambda: name not in story.world.namespaces(KT))
    assert (KT, "terminating") not in found(story)


def test_an_extension_that_the_term_guard_does_not_know_is_written_before_it_acts(story: Story) -> None:
    guarded = "    chartValues:\n      termGuard: {enabled: true, image: {repository: x, tag: y}}\n    pools:"
    story.edit_list(lambda rows: [row.replace("2026-06-30", "2026-05-31") for row in LISTED])
    story.ok("up", "--yes")
    story.configure(KT, lambda text: text.replace("    pools:", guarded, 1))
    try:
        append(story, award=FIRST, at="2026-05-20T00:00:00+09:00", event="extended", last_day="2026-06-30")
        finding = mend(story, "term-guard-early", at="2026-05-25T00:00:00+09:00")
        assert (names(finding), "2026-06-01T02:00+09:00" in finding["message"]) == ([FIRST], True)
    finally:
        story.configure(KT, lambda text: text.replace(guarded, "    pools:", 1))


def test_lists_that_are_invalid_do_not_keep_the_rest_from_being_found(story: Story) -> None:
    story.edit_list(lambda rows: ["nonsense"])
    lock_elsewhere(story.root / "state", KT)
    now = found(story)
    assert now.keys() == {(None, "files-invalid"), (KT, "locked")}
    named = now[None, "files-invalid"]["command"]
    assert story.run(*shlex.split(named)[1:]).code == 1  # it names every row
    story.edit_list(lambda rows: LISTED)
    mend(story, "locked")


def test_the_turn_of_a_run_on_another_machine_that_is_gone(story: Story) -> None:
    with story.world.held(KT, "lee@night-shift/0", seconds_ago=600, lasts=3):
        finding = mend(story, "lease-held")
        assert finding["command"] == f"gpuprov unlock --provider {KT}"


def test_a_run_at_work_is_told_and_is_no_finding(story: Story) -> None:
    with story.world.held(KT, "lee@night-shift/0"):
        ran = story.run("doctor")
        assert (ran.code, "is at work there" in ran.err) == (0, True), ran


def test_what_a_killed_run_left_is_finished(story: Story) -> None:
    rows = [LISTED[0].replace(FIRST, f"HPC-2026-8-{number:03d}") for number in range(30)]
    story.edit_list(lambda _: [*LISTED, *rows])
    process = story.start("up", "--yes", "--provider", KT)
    eventually(lambda: len(story.world.namespaces(KT)) > len(LISTED) or process.poll() is not None)
    assert killed(process)
    now = found(story)
    assert {code for _, code in now} & {"missing", "drifted", "state-old"}, now
    assert {of["command"].split()[1] for of in now.values()} <= {"up", "unlock", "recover"}
    for _ in range(4):  # one command after the other, as they are shown
        left = found(story)
        if not left:
            break
        command = next(iter(left.values()))["command"]
        assert story.run(*shlex.split(command)[1:], "--yes").code == 0, left
    assert found(story) == {}
    story.in_step([KT])


def test_a_run_that_left_something_undone_is_named(story: Story) -> None:
    fewer = LISTED[1].replace(",1,4,KT클라우드,H200,4,", ",1,3,KT클라우드,H200,3,")
    story.edit_list(lambda rows: [LISTED[0], fewer])
    core, name = story.world.core(KT), "gpu-hpc-2026-1-007"
    core.create_namespaced_config_map(name, {"metadata": {"name": "held", "finalizers": ["example.org/held"]}})
    core.delete_namespace(name)
    assert story.run("up", "--yes", "--timeout", "1").code == 5
    core.patch_namespaced_config_map("held", name, {"metadata": {"finalizers": None}})
    eventually(lambda: name not in story.world.namespaces(KT))
    finding = mend(story, "run-unfinished")
    assert "(gpuprov up)" in finding["items"][0]["detail"]
    assert found(story) == {}


def test_shards_and_contexts_that_have_changed(story: Story) -> None:
    story.split(KT, 2)
    mend(story, "state-settings")
    assert found(story) == {}


@pytest.mark.parametrize("verb", ["creating", "updating"])
def test_operations_that_pulumi_by_hand_did_not_end(story: Story, verb: str) -> None:
    """A plain `pulumi up` that is killed leaves them; here they are written as it does."""
    path = story.root / "state" / ".pulumi" / "stacks" / "gpuprov" / f"{KT}.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    latest = state["checkpoint"]["latest"]
    latest["pending_operations"] = [{"resource": latest["resources"][-1], "type": verb}]
    path.write_text(json.dumps(state), encoding="utf-8")
    assert verb in mend(story, "state-unfinished")["items"][0]["detail"]
    story.in_step([KT])


def test_a_context_that_leads_to_another_cluster_silences_what_is_there(story: Story) -> None:
    path = story.root / "stacks" / f"Pulumi.{SDS}.yaml"
    text = path.read_text(encoding="utf-8")
    uid = story.world.core(SDS).read_namespace("kube-system").metadata.uid
    other = text.replace(f"    context: {SDS}\n", f"    context: {KT}\n    uid: {uid}\n", 1)
    path.write_text(other, encoding="utf-8")
    try:
        now = found(story)
        assert now.keys() == {(None, "shared-cluster"), (SDS, "wrong-cluster")}
        assert [of["command"] for of in now.values()] == [None, None]
    finally:
        path.write_text(text, encoding="utf-8")
    assert found(story) == {}


def test_lines_of_the_ledger_that_are_not_in_git(story: Story) -> None:
    ledger = story.root / "examples" / "ledger.jsonl"
    event = {"award": FIRST, "at": "2026-02-01T00:00:00+09:00", "event": "accepted"}
    ledger.write_text(json.dumps(EVENT | event) + "\n", encoding="utf-8")
    mend(story, "ledger-uncommitted", provider=None)
    assert found(story) == {}


def test_a_ledger_that_lost_what_was_applied(story: Story) -> None:
    append(story, award=FIRST, at="2026-02-01T00:00:00+09:00", event="accepted")
    story.edit_list(lambda rows: LISTED[:1])
    story.ok("up", "--yes", "--allow-teardown", "1")
    ledger = story.root / "examples" / "ledger.jsonl"
    kept = ledger.read_text(encoding="utf-8")
    ledger.write_text("", encoding="utf-8")
    assert (None, "ledger-lost") in found(story)
    ledger.write_text(kept, encoding="utf-8")
    assert found(story) == {}


def test_a_cluster_that_is_away_does_not_keep_the_others_from_being_diagnosed(story: Story) -> None:
    story.edit_list(lambda rows: LISTED[:1])
    story.world.sandbox.stop(SDS)
    try:
        ran = story.run("doctor", "--json")
        assert (ran.code, ran.data["failed"].keys()) == (5, {SDS})
        assert [of["code"] for of in ran.data["findings"]] == ["unwanted"]
    finally:
        story.world.sandbox.start(SDS)
    eventually(lambda: story.run("doctor", "--json").code == 1)


def test_it_changes_nothing_anywhere(story: Story) -> None:
    """Neither in the project, nor in the state, nor on the cluster: not even the Lease."""
    story.edit_list(lambda rows: LISTED[:1])
    leases = client.CoordinationV1Api(story.world.connection(KT))

    def seen() -> dict[str, str]:
        """What the project and the state have, and which version the Lease is of."""
        ours = ("pulumi-home", "state-home")  # of this machine: what Pulumi downloads, and notes of what runs
        paths = [path for path in story.root.rglob("*") if path.is_file() and not set(ours) & set(path.parts)]
        kept = {str(path): sha256(path.read_bytes()).hexdigest() for path in paths}
        lease = leases.read_namespaced_lease("gpuprov", "gpuprov-system").metadata
        return kept | {"lease": lease.resource_version}

    before = seen()
    time.sleep(1.1)
    assert found(story)
    after = seen()
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == set()
