"""The preflight on what nodes offer: the capacity of each pool, and resources that no quota would bound."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from preflight_facts import NOON, node, only, results
from strategies import SEOUL, cluster

from gpuprov.preflight import Result, Unread, dra, names, nodes

# ---- nodes and capacity


@given(
    st.lists(st.tuples(st.integers(0, 16), st.sampled_from(["good", "not ready", "cordoned", "node.kubernetes.io/x"]))),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_capacity_counts_ready_schedulable_nodes_exactly(
    servers: list[tuple[int, str]], capacity: int, peak: int
) -> None:
    taint = {"taints": [{"key": "node.kubernetes.io/x", "effect": "NoExecute"}]}
    specs = {"cordoned": {"unschedulable": True}, "node.kubernetes.io/x": taint}
    live = [
        node(f"n-{index}", gpus, ready=how != "not ready", spec=specs.get(how))
        for index, (gpus, how) in enumerate(servers)
    ]
    available = sum(gpus for gpus, how in servers if how == "good")
    line = only(nodes.capacity(cluster(H100=capacity), nodes.read(live), {"H100": peak}, NOON))
    if available < capacity or available < peak:
        assert line.result is Result.FAILED
    else:
        assert line.result is (Result.WARNING if available > capacity else Result.OK)
    assert line.seen.startswith(f"H100: {available} nvidia.com/gpu on ")
    assert f"configured {capacity}, awarded at most {peak}" in line.seen
    assert [how for _, how in servers if how != "good"][:1] == [] or "not counted" in line.seen


NOON_IN_SEOUL = NOON.astimezone(SEOUL)


def test_the_capacity_of_the_instant_counts_and_the_advice_is_a_step_from_then_on() -> None:
    broken = cluster(H100=[{"gpus": 16}, {"gpus": 8, "from": NOON.isoformat()}, {"gpus": 24, "from": "2026-05-01"}])
    live = nodes.read([node("a")])
    assert only(nodes.capacity(broken, live, {"H100": 8}, NOON_IN_SEOUL)).result is Result.OK
    before = only(nodes.capacity(broken, live, {"H100": 8}, NOON_IN_SEOUL - timedelta(seconds=1)))
    assert (before.result, "configured 16" in before.seen) == (Result.FAILED, True)
    step = "set the pool's capacity to 8 from now on with a step `{gpus: 8, from: 2026-03-01T11:59+09:00}`"
    assert before.remedy == f"find the nodes or GPUs that are missing, or {step}"
    more = only(nodes.capacity(broken, nodes.read([node("a"), node("b")]), {}, NOON_IN_SEOUL))
    assert more.remedy == (
        "set the pool's capacity to 16 from now on with a step `{gpus: 16, from: 2026-03-01T12:00+09:00}`, "
        "if all of them are for awards"
    )


def test_quantities_of_any_legal_form_are_whole_numbers() -> None:
    line = only(nodes.capacity(cluster(H100=2024), nodes.read([node("a", "2k"), node("b", "24")]), {}, NOON))
    assert line.result is Result.OK


def test_only_the_pools_own_nodes_count() -> None:
    other = node("other", labels={"nvidia.com/gpu.product": "NVIDIA-A100"})
    line = only(nodes.capacity(cluster(H100=16), nodes.read([node("a"), other]), {}, NOON))
    assert (line.result, "H100: 8 " in line.seen) == (Result.FAILED, True)


def test_a_node_of_two_pools_and_a_taint() -> None:
    both = cluster(H100=8, A100=8)
    same = both.pools[1].model_copy(update={"node_label": both.pools[0].node_label})
    shared = both.model_copy(update={"pools": (both.pools[0], same)})
    taint = {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}
    findings = nodes.check(shared, nodes.read([node(spec=taint)]))
    assert results(findings) == ["ok", "warning", "ok", "warning", "failed"]
    assert "ExtendedResourceToleration" in findings[1].remedy
    assert results(nodes.capacity(cluster(H100=8), nodes.read([node(spec=taint)]), {}, NOON)) == ["ok"]


# ---- resource names


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("nvidia.com/gpu.shared", None),
        ("nvidia.com/mig-1g.5gb", None),
        ("nvidia.com/mig-2g.24gb", "failed"),
        ("nvidia.com/gpumem", "failed"),
        ("amd.com/gpu", "failed"),
        ("gpu.intel.com/i915", "failed"),
        ("example.com/vGPU", "failed"),
        ("rdma/hca", "warning"),
        ("nvidia.com.example/x", "warning"),
        ("kubernetes.io/batch-cpu", None),
        ("requests.k8s.io/x", None),
        ("hugepages-2Mi", None),
        ("memory", None),
    ],
)
def test_names_of_resources(name: str, result: str | None) -> None:
    findings = names.check(cluster(), nodes.read([node(**{name: "4"})]), (), ())
    line = only(findings)
    assert line.result == (result or "ok")
    assert result is None or name in line.seen


@given(st.sampled_from(["nvidia.com/a", "amd.com/gpu", "x/gpu"]), st.integers(0, 9), st.booleans())
def test_a_name_is_covered_exactly_if_the_stack_names_it(name: str, amount: int, named: bool) -> None:
    where = cluster().model_copy(update={"other_gpu_resources": (name,) if named else ()})
    line = only(names.check(where, nodes.read([node(**{name: str(amount)})]), (), ()))
    assert line.result is (Result.OK if named else Result.FAILED if amount else Result.WARNING)


def device_class(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("classes", "drivers", "expected"),
    [
        ((), (), ["ok"]),
        (("gpu.nvidia.com", "mig.nvidia.com"), ("gpu.nvidia.com",), ["ok"]),
        (("gpu.amd.com",), (), ["failed"]),
        (("gpu.amd.com",), ("gpu.amd.com",), ["failed"]),
        ((), ("gpu.amd.com",), ["failed"]),
        (("nic.example.com",), (), ["warning"]),
        (("gpu.amd.com", "nic.example.com"), ("other.nvidia.com",), ["failed", "warning", "failed"]),
    ],
)
def test_device_classes_and_drivers(classes: tuple[str, ...], drivers: tuple[str, ...], expected: list[str]) -> None:
    slices = tuple({"metadata": {"name": driver}, "spec": {"driver": driver}} for driver in drivers)
    found = names.check(cluster(), (), tuple(device_class(name) for name in classes), slices)
    assert results(found) == expected


def test_a_device_class_with_a_resource_name_of_its_own() -> None:
    """A quota on it would be of no use: the class goes, or its name."""
    for name, result in (("fast.example/gpu", Result.FAILED), ("fast.example/nic", Result.WARNING)):
        line = only(names.check(cluster(), (), (told("gpu.nvidia.com", name),), ()))
        assert (line.result, f"gpu.nvidia.com serves {name} by DRA, and no quota" in line.seen) == (result, True)
        assert "extendedResourceName" in line.remedy


# ---- GPUs of DRA


def told(name: str, resource: str) -> dict[str, Any]:
    return device_class(name, extendedResourceName=resource)


IMPLICIT = "deviceclass.resource.kubernetes.io/gpu.nvidia.com"


@pytest.mark.parametrize(
    ("classes", "resource", "served"),
    [
        ((told("gpu.nvidia.com", "nvidia.com/gpu"),), "nvidia.com/gpu", ["gpu.nvidia.com serves nvidia.com/gpu"]),
        ((told("gpu.nvidia.com", "nvidia.com/gpu"),), "nvidia.com/h100", ["gpu.nvidia.com serves nvidia.com/gpu"]),
        ((told("own.example", "nvidia.com/h100"),), "nvidia.com/h100", ["own.example serves nvidia.com/h100"]),
        (
            (told("mig.nvidia.com", "nvidia.com/mig-1g.10gb"),),
            "nvidia.com/gpu",
            ["serves nvidia.com/mig-1g"],
        ),
        ((device_class("gpu.nvidia.com"),), IMPLICIT, [f"gpu.nvidia.com serves {IMPLICIT}"]),
        ((told("gpu.nvidia.com", "nvidia.com/gpu"),), IMPLICIT, ["serves deviceclass", "serves nvidia.com/gpu"]),
        ((device_class("gpu.nvidia.com"), device_class("mig.nvidia.com")), "nvidia.com/gpu", []),
        ((told("gpu.nvidia.com", ""),), "nvidia.com/gpu", []),
        ((), "nvidia.com/gpu", []),
        (Unread("no right"), "nvidia.com/gpu", []),
    ],
)
def test_a_device_class_that_serves_an_awards_gpus_fails(classes: Any, resource: str, served: list[str]) -> None:
    pool = cluster().pools[0].model_copy(update={"resource": resource})
    where = cluster().model_copy(update={"pools": (pool,)})
    texts = dra.served(where, classes)
    assert [part in text for part, text in zip(served, texts, strict=True)] == [True] * len(served)
    failing = [line for line in names.check(where, (), classes, ()) if line.seen.endswith("stays pending")]
    assert [(line.result, line.seen.partition(":")[0]) for line in failing] == [(Result.FAILED, text) for text in texts]
    assert all("resources.gpus.enabled=false" in line.remedy for line in failing)


def test_a_quota_may_shut_the_name_that_every_class_has() -> None:
    shut = cluster().model_copy(update={"other_gpu_resources": ("nvidia.com/gpu", IMPLICIT)})
    assert dra.served(shut, (device_class("gpu.nvidia.com"),)) == ()


def test_device_classes_that_cannot_be_seen_fail() -> None:
    line = only(names.check(cluster(), (), Unread("no right"), ()))
    assert (line.result, line.seen) == (Result.FAILED, "device classes of DRA cannot be seen: no right")
    assert only(names.check(cluster(), (), (), Unread("no right"))).result is Result.WARNING


def test_a_device_of_a_pool_on_a_node_of_none_is_told_whatever_its_name() -> None:
    (pool,) = cluster().pools
    npus = cluster().model_copy(update={"pools": (pool.model_copy(update={"resource": "rebellions.ai/ATOM"}),)})
    stray = node("a", labels={"x": "y"})
    for part in ("capacity", "allocatable"):
        if part in stray["status"]:
            stray["status"][part] = {"rebellions.ai/ATOM": "4"}
    found = [finding.seen for finding in nodes.check(npus, nodes.read([stray])) if "in no pool" in finding.seen]
    assert found == ["1 node with GPUs in no pool: a (no product label)"]
