"""Two programmes on real clusters: a loan of B200 by the single GPU, and a year with an NPU that converts to nothing.

The tests of a programme are one story and run in its order.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubernetes.client import ApiException
from projects import REPOSITORY
from sandbox_fixtures import eventually, programs, while_up
from story import OURS, Story, World, gpu_pod, make_environment, running

from gpuprov.sandbox import H100, ClusterSpec, NodePool, Sandbox

pytestmark = pytest.mark.sandbox

GPU, NPU = "nvidia.com/gpu", "rebellions.ai/ATOM"
CHECKS = ("nodes", "capacity", "resource names")
ATOMS = NodePool(product="ATOM", count=4, gpus_per_node=4, resource=NPU, label="rebellions.ai/npu.product")
CLUSTERS = (
    ClusterSpec(name="sky-cloud", pools=(NodePool(product="NVIDIA-B200", count=4),)),
    ClusterSpec(name="river-cloud", pools=(NodePool(product=H100, count=1), ATOMS)),
)


@dataclass(frozen=True)
class Case:
    """A programme: its example project, when it is looked at, and what its clusters should have by then.

    ``awards`` are the devices of each resource by namespace; ``pod`` is one that fills its award, which has no more.
    """

    example: str
    provider: str
    during: str
    last_second: str
    end: str
    awards: dict[str, dict[str, int]]
    pod: tuple[str, str, int]
    free: dict[str, int]
    fits: dict[str, str]


LOAN = Case(
    example="b200-loan",
    provider="sky-cloud",
    during="2026-09-02T09:00:00+09:00",
    last_second="2026-09-14T23:59:59+09:00",
    end="2026-09-15T00:00:00+09:00",
    awards={"gpu-b200-001": {GPU: 16}, "gpu-b200-002": {GPU: 1}, "gpu-b200-003": {GPU: 3}},
    pod=("gpu-b200-002", GPU, 1),
    free={"B200": 12},
    fits={"B200": f"32 {GPU} on 4 nodes; configured 32, awarded at most 29"},
)
YEAR = Case(
    example="npu-year",
    provider="river-cloud",
    during="2027-06-01T09:00:00+09:00",
    last_second="2027-12-31T23:59:59+09:00",
    end="2028-01-01T00:00:00+09:00",
    awards={
        "gpu-npu-2027-001": {GPU: 0, NPU: 8},
        "gpu-npu-2027-002": {GPU: 0, NPU: 4},
        "gpu-gpu-2027-001": {GPU: 3, NPU: 0},
    },
    pod=("gpu-npu-2027-002", NPU, 4),
    free={"ATOM": 4, "H100": 5},
    fits={
        "ATOM": f"16 {NPU} on 4 nodes; configured 16, awarded at most 12",
        "H100": f"8 {GPU} on 1 node; configured 8, awarded at most 3",
    },
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox of these two clusters alone."""
    sandbox = Sandbox(tmp_path_factory.mktemp("programmes") / "sandbox", programs(), clusters=CLUSTERS)
    with while_up(sandbox):
        yield World(sandbox, make_environment(sandbox))


@pytest.fixture(scope="module", params=[LOAN, YEAR], ids=lambda case: case.example)
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param
    return made


@pytest.fixture(scope="module")
def story(case: Case, world: World, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The example's project with the chart and the program, on a cluster that is set up."""
    root: Path = tmp_path_factory.mktemp(case.example) / "project"
    shutil.copytree(REPOSITORY / "examples" / "programmes" / case.example, root)
    shutil.copytree(REPOSITORY / "charts", root / "charts")
    shutil.copy(REPOSITORY / "stacks" / "__main__.py", root / "stacks")
    path = root / "Pulumi.yaml"
    path.write_text(f"{path.read_text(encoding='utf-8')}main: stacks\n", encoding="utf-8")
    (root / "state").mkdir()
    made = Story(World(world.sandbox, world.environment | {"PYTHONPATH": str(REPOSITORY)}), root)
    made.ok("setup", "--yes", at=case.during)
    return made


def quotas(story: Story, case: Case) -> dict[str, dict[str, int]]:
    """Return what the two quotas of each namespace grant of both resources, as far as they name them."""
    found = story.world.core(case.provider).list_resource_quota_for_all_namespaces(label_selector=OURS).items
    granted: dict[str, dict[str, int]] = {item.metadata.namespace: {} for item in found}
    for item in found:
        for resource in (GPU, NPU):
            if (gpus := item.spec.hard.get(f"requests.{resource}")) is not None:
                granted[item.metadata.namespace][resource] = int(gpus)
    return granted


def test_validate_and_plan_accept_the_programme(story: Story, case: Case) -> None:
    assert story.ok("validate", "--json", at=case.during).data["valid"]
    planned = story.ok("plan", "--json", at=case.during).data
    assert (len(planned["changes"]), planned["refused"]) == (len(case.awards), [])


def test_the_nodes_offer_what_the_programme_lends(story: Story, case: Case) -> None:
    findings = story.run("preflight", "--json", at=case.during).data["findings"]
    capacity = {finding["seen"].partition(": ")[0]: finding for finding in findings if finding["check"] == "capacity"}
    assert {model: finding["seen"].partition(": ")[2] for model, finding in capacity.items()} == case.fits
    results = {check: {finding["result"] for finding in findings if finding["check"] == check} for check in CHECKS}
    assert results == {check: {"ok"} for check in CHECKS}


def test_up_provisions_every_award_in_its_own_device(story: Story, case: Case) -> None:
    done = story.up(at=case.during)
    assert len(done[case.provider]["applied"]) == len(case.awards)
    assert quotas(story, case) == case.awards
    story.in_step([case.provider], at=case.during)
    assert story.by_hand("up", case.provider, "--yes", "--expect-no-changes", at=case.during).code == 0


def test_a_pod_fills_its_award_and_gets_no_device_more(story: Story, case: Case) -> None:
    namespace, resource, devices = case.pod
    core = story.world.as_awardee(case.provider, f"gpuprov:{namespace.removeprefix('gpu-')}")
    node = running(core, namespace, "train", devices, resource)
    assert resource in story.world.core(case.provider).read_node(node).status.allocatable
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod(namespace, gpu_pod("more", 1, resource))
    assert f"requests.{resource}={devices}" in json.loads(refused.value.body)["message"]


def test_status_tells_what_is_free_and_equivalents_where_there_are_any(story: Story, case: Case) -> None:
    pools = {pool["model"]: pool for pool in story.ok("status", "--json", at=case.during).data["pools"]}
    assert {model: pool["free"] for model, pool in pools.items()} == case.free
    assert {model for model, pool in pools.items() if {"h100", "b200"} & pool.keys()} == case.free.keys() - {"ATOM"}


def test_the_last_second_of_the_programme_keeps_what_runs_to_its_end(story: Story, case: Case) -> None:
    """One loan ended on 7 September, and another has begun."""
    expected = dict(case.awards)
    if case is LOAN:
        del expected["gpu-b200-003"]
        expected["gpu-b200-004"] = {GPU: 12}
    story.up(at=case.last_second)
    assert quotas(story, case) == expected
    assert all(
        outcome["applied"] == []
        for outcome in story.ok("expire", "--yes", "--json", at=case.last_second).data["providers"]
    )


def test_the_end_of_the_programme_leaves_nothing(story: Story, case: Case) -> None:
    data = story.ok("expire", "--yes", "--json", at=case.end).data
    (done,) = data["providers"]
    freed: dict[str, int] = {}
    for tenant in done["freed"]:
        freed[tenant["model"]] = freed.get(tenant["model"], 0) + tenant["gpus"]
    assert freed == ({"B200": 29} if case is LOAN else {"ATOM": 12, "H100": 3})
    eventually(lambda: story.world.namespaces(case.provider) == set())
    assert quotas(story, case) == {}
    pools = story.ok("status", "--json", at=case.end).data["pools"]
    assert all(pool["free"] == pool["capacity"] for pool in pools)
    assert all(outcome["applied"] == [] for outcome in story.up(at=case.end).values())
