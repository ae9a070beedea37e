"""The first half of 2026 on three real clusters.

The tests are one story, in its order. Each stage is a fixture that comes after the one before, so any test runs alone.
"""

import csv
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes.client import ApiException
from projects import REPOSITORY
from sandbox_fixtures import eventually
from story import MARCH, PROVIDERS, Story, gpu_pod, running

pytestmark = pytest.mark.sandbox

SUPPLIERS = {"삼성SDS": "samsung-sds", "엘리스클라우드": "elice-cloud", "KT클라우드": "kt-cloud"}
STUDIO, ROBOTS, FACTORY = "HPC-2026-1-003", "HPC-2026-1-006", "HPC-2026-1-009"
NEXT_DAY = "2026-03-02T09:00:00+09:00"
LAST_SECOND, TERM_END = "2026-06-30T23:59:59+09:00", "2026-07-01T00:00:00+09:00"


def listed() -> list[dict[str, str]]:
    path = REPOSITORY / "examples" / "awards-2026-h1.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


def expected_quotas(provider: str) -> dict[str, int]:
    """Read the list with nothing of ours: the namespace is the id in small letters."""
    return {
        f"gpu-{row['과제번호'].lower()}": int(row["배정수량"])
        for row in listed()
        if SUPPLIERS[row["공급사"]] == provider
    }


@dataclass(frozen=True)
class Stage:
    """The story so far, and what the command of this stage said."""

    story: Story
    data: Any


@pytest.fixture(scope="module")
def provisioned(story: Story) -> Stage:
    planned = story.ok("plan", "--json").data
    return Stage(story, {"planned": planned, "done": story.up()})


@pytest.fixture(scope="module")
def training(provisioned: Stage) -> Stage:
    """An awardee uses all GPUs of the award."""
    core = provisioned.story.world.as_awardee("samsung-sds", "gpuprov:hpc-2026-1-003")
    return Stage(provisioned.story, running(core, "gpu-hpc-2026-1-003", "train", 8))


@pytest.fixture(scope="module")
def forfeited(training: Stage) -> Stage:
    command = ("forfeit", STUDIO, "--reason", "no answer since January", "--by", "ops", "--yes", "--json")
    return Stage(training.story, training.story.ok(*command).data)


@pytest.fixture(scope="module")
def reduced(forfeited: Stage) -> Stage:
    """An award whose pod uses all of its GPUs has half of them left."""
    story = forfeited.story
    running(story.world.core("elice-cloud"), "gpu-hpc-2026-1-009", "train", 8)
    return Stage(story, story.ok("reduce", FACTORY, "--to", "4", "--reason", "half of it unused", "--yes").err)


@pytest.fixture(scope="module")
def idle(reduced: Stage) -> Stage:
    core = reduced.story.world.core("elice-cloud")
    core.delete_namespaced_pod("train", "gpu-hpc-2026-1-009", grace_period_seconds=0)
    eventually(lambda: not core.list_namespaced_pod("gpu-hpc-2026-1-009").items)
    return Stage(reduced.story, reduced.story.run("plan", "--exit-code").code)


@pytest.fixture(scope="module")
def changed(idle: Stage) -> Stage:
    """One award is dropped from the list, one is new: its 8 GPUs come from the one that was forfeited."""

    def change(rows: list[str]) -> list[str]:
        kept = [row for row in rows if not row.startswith(ROBOTS)]
        new = "HPC-2026-1-999,뒤늦은연구소,대학,책임자,late@example.org,2,8,삼성SDS,H100,8,2026-03-02,2026-06-30,선정,"
        return [*kept, new]

    story = idle.story
    story.edit_list(change)
    planned = story.ok("plan", "--json", at=NEXT_DAY).data["changes"]
    return Stage(story, {"planned": planned, "done": story.up(at=NEXT_DAY)})


@pytest.fixture(scope="module")
def ended(changed: Stage) -> Stage:
    story = changed.story
    running(story.world.core("kt-cloud"), "gpu-hpc-2026-1-002", "train", 1)
    return Stage(story, story.ok("expire", "--yes", "--json", at=TERM_END).data)


def test_before_the_term_nothing_is_provisioned(story: Story) -> None:
    done = story.up(at="2025-12-31T23:59:59+09:00")
    assert [outcome["applied"] for outcome in done.values()] == [[], [], []]
    assert not any(story.world.namespaces(provider) for provider in PROVIDERS)


def test_up_provisions_every_award_of_the_list(provisioned: Stage) -> None:
    assert Counter(change["op"] for change in provisioned.data["planned"]["changes"]) == {"create": len(listed())}
    assert sum(len(outcome["applied"]) for outcome in provisioned.data["done"].values()) == len(listed())
    for provider in PROVIDERS:
        assert provisioned.story.world.quotas(provider) == expected_quotas(provider)


def test_a_second_up_changes_nothing(provisioned: Stage) -> None:
    story = provisioned.story
    assert all(outcome["applied"] == [] and outcome["operations"] == {} for outcome in story.up().values())
    assert story.run("plan", "--exit-code").code == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pulumi_up_by_hand_finds_nothing_to_change(provisioned: Stage, provider: str) -> None:
    story = provisioned.story
    ran = story.by_hand("up", provider, "--yes", "--skip-preview", "--expect-no-changes")
    assert ran.code == 0, ran
    refreshed = story.by_hand("preview", provider, "--refresh", "--expect-no-changes")
    assert refreshed.code == 0, refreshed


def test_outputs_tell_namespace_quota_and_term(provisioned: Stage) -> None:
    story = provisioned.story
    outputs = json.loads(story.by_hand("stack", "samsung-sds", "output", "--json").out)
    assert outputs["tenants"][STUDIO] == {
        "namespace": "gpu-hpc-2026-1-003",
        "model": "H100",
        "quota": {"requests.nvidia.com/gpu": 8},
        "term": {"start": "2026-01-01T00:00:00+09:00", "end": TERM_END},
    }
    assert len(outputs["tenants"]) == len(expected_quotas("samsung-sds"))
    kube_system = story.world.core("samsung-sds").read_namespace("kube-system")
    assert outputs["clusterUid"] == kube_system.metadata.uid


def test_no_credential_reaches_the_state_or_the_stack_files(provisioned: Stage) -> None:
    story = provisioned.story
    written = story.by_hand("stack", "samsung-sds", "export").out
    written += (story.root / "stacks" / "Pulumi.samsung-sds.yaml").read_text(encoding="utf-8")
    for secret in ("client-key-data", "client-certificate-data", "PRIVATE KEY", "token"):
        assert secret not in written


def test_a_pod_within_the_quota_runs_and_one_gpu_more_is_refused(training: Stage) -> None:
    core = training.story.world.as_awardee("samsung-sds", "gpuprov:hpc-2026-1-003")
    namespace = "gpu-hpc-2026-1-003"
    labels = training.story.world.core("samsung-sds").read_node(training.data).metadata.labels
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod(namespace, gpu_pod("more", 1))
    message = json.loads(refused.value.body)["message"]
    assert refused.value.status == 403
    assert "exceeded quota: gpu" in message
    assert "requests.nvidia.com/gpu=8" in message


def test_an_awardee_cannot_widen_the_award(provisioned: Stage) -> None:
    core = provisioned.story.world.as_awardee("samsung-sds", "gpuprov:hpc-2026-1-003")
    more = {"spec": {"hard": {"requests.nvidia.com/gpu": "16"}}}
    for attempt in (
        lambda: core.patch_namespaced_resource_quota("gpu", "gpu-hpc-2026-1-003", more),
        lambda: core.delete_namespaced_resource_quota("gpu", "gpu-hpc-2026-1-003"),
        lambda: core.delete_namespaced_limit_range("defaults", "gpu-hpc-2026-1-003"),
        lambda: core.patch_namespace("gpu-hpc-2026-1-003", {"metadata": {"labels": {"x": "y"}}}),
        lambda: core.create_namespaced_pod("gpu-hpc-2026-1-005", gpu_pod("elsewhere", 1)),
    ):
        with pytest.raises(ApiException) as refused:
            attempt()
        assert refused.value.status == 403
        assert "forbidden" in json.loads(refused.value.body)["message"]


def test_forfeiting_an_award_with_a_running_pod_frees_its_gpus(forfeited: Stage) -> None:
    story = forfeited.story
    (freed,) = forfeited.data["providers"][0]["freed"]
    assert (freed["award_id"], freed["gpus"], freed["model"]) == (STUDIO, 8, "H100")
    assert "gpu-hpc-2026-1-003" not in story.world.namespaces("samsung-sds")
    pods = story.world.core("samsung-sds").list_pod_for_all_namespaces().items
    assert not [pod for pod in pods if pod.metadata.namespace == "gpu-hpc-2026-1-003"]
    (line,) = (story.root / "examples" / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    event = json.loads(line)
    assert {key: event[key] for key in ("award", "event", "at", "by", "reason")} == {
        "award": STUDIO,
        "event": "forfeited",
        "at": MARCH,
        "by": "ops",
        "reason": "no answer since January",
    }
    pool = next(row for row in story.ok("status", "--json").data["pools"] if row["provider"] == "samsung-sds")
    assert (pool["capacity"], pool["allocated"], pool["free"]) == (200, 192, 8)


def test_forfeiting_it_again_changes_nothing_and_writes_no_second_event(forfeited: Stage) -> None:
    story = forfeited.story
    ran = story.ok("forfeit", STUDIO, "--reason", "again", "--yes", "--json")
    assert ran.data["providers"][0]["applied"] == []
    assert len((story.root / "examples" / "ledger.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    assert story.by_hand("up", "samsung-sds", "--yes", "--expect-no-changes").code == 0


def test_reducing_an_award_lowers_its_quota_and_keeps_its_pod(reduced: Stage) -> None:
    story = reduced.story
    core = story.world.core("elice-cloud")
    assert story.world.quotas("elice-cloud")["gpu-hpc-2026-1-009"] == 4
    assert core.read_namespaced_pod("train", "gpu-hpc-2026-1-009").status.phase == "Running"
    pool = next(row for row in story.ok("status", "--json").data["pools"] if row["provider"] == "elice-cloud")
    assert (pool["over"], pool["free"]) == (4, 400 - 398), "the four cards under the pod are not free yet"


def test_once_the_pod_has_ended_nothing_is_left_to_do(idle: Stage) -> None:
    assert idle.data == 0


def test_a_commit_that_changes_the_list_is_applied(changed: Stage) -> None:
    story, done = changed.story, changed.data["done"]
    planned = {change["award_id"]: change["op"] for change in changed.data["planned"]}
    assert planned == {ROBOTS: "reclaim", "HPC-2026-1-999": "create"}
    assert done["samsung-sds"]["applied"] == ["HPC-2026-1-999"]
    assert done["elice-cloud"]["applied"] == [ROBOTS]
    assert done["kt-cloud"]["applied"] == []
    assert story.world.quotas("samsung-sds")["gpu-hpc-2026-1-999"] == 8
    assert "gpu-hpc-2026-1-006" not in story.world.namespaces("elice-cloud")


def test_the_last_second_of_the_term_keeps_everything(changed: Stage) -> None:
    story = changed.story
    before = {provider: story.world.quotas(provider) for provider in PROVIDERS}
    for command in ("up", "expire"):
        data = story.ok(command, "--yes", "--json", at=LAST_SECOND).data
        assert all(outcome["applied"] == [] for outcome in data["providers"])
    assert {provider: story.world.quotas(provider) for provider in PROVIDERS} == before


def test_the_end_of_the_term_leaves_nothing(ended: Stage) -> None:
    story = ended.story
    freed = {
        outcome["provider"]: sum(tenant["gpus"] for tenant in outcome["freed"]) for outcome in ended.data["providers"]
    }
    assert freed == {"samsung-sds": 200, "elice-cloud": 398 - 4 - 8, "kt-cloud": 223}
    for provider in PROVIDERS:
        assert story.world.namespaces(provider) == set()
        assert story.world.quotas(provider) == {}
        assert story.stack_types(provider) == ["pulumi:pulumi:Stack"]
    pools = story.ok("status", "--json").data["pools"]
    assert all(pool["free"] == pool["capacity"] for pool in pools)


def test_expiring_again_or_late_changes_nothing(ended: Stage) -> None:
    story = ended.story
    for at in (TERM_END, "2026-11-24T12:00:00+09:00"):
        for command in ("expire", "up"):
            data = story.ok(command, "--yes", "--json", at=at).data
            assert all(outcome["applied"] == [] and outcome["operations"] == {} for outcome in data["providers"])
    for provider in PROVIDERS:
        assert story.by_hand("up", provider, "--yes", "--skip-preview", "--expect-no-changes", at=TERM_END).code == 0
