"""What a pod holds, as the scheduler charges it to a node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuprov.core.pods import gpus_of, has_ended, holds_gpus

GPU, SLICE = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"


def container(gpus, *, part="limits", resource=GPU, sidecar=False):
    made = {"name": "c", "resources": {part: {"cpu": "4", resource: str(gpus)}}}
    return made | ({"restartPolicy": "Always"} if sidecar else {})


def pod(*containers, init=(), node="h200-01", phase="Running", **spec):
    return {
        "metadata": {"name": "p", "namespace": "gpu-x"},
        "spec": {"containers": list(containers), "initContainers": list(init), "nodeName": node, **spec},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown", None])
def test_a_pod_on_a_node_holds_its_gpus_until_it_has_ended(phase):
    assert holds_gpus(pod(phase=phase))
    assert holds_gpus(pod(phase=phase) | {"metadata": {"deletionTimestamp": "2026-03-01T00:00:00Z"}})
    assert not has_ended(pod(phase=phase))


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_holds_none(phase):
    assert has_ended(pod(phase=phase))
    assert not holds_gpus(pod(phase=phase))


@pytest.mark.parametrize("where", [{"nodeName": ""}, {}])
def test_a_pod_that_waits_for_a_node_holds_none(where):
    assert not holds_gpus({"metadata": {"name": "p"}, "spec": {"containers": [], **where}})


@pytest.mark.parametrize(
    ("made", "gpus"),
    [
        (pod(container(2), container(1)), 3),
        (pod(container(2), init=[container(1)]), 2),
        (pod(container(2), init=[container(8), container(4)]), 8),
        (pod(container(2), init=[container(1, sidecar=True)]), 3),
        (pod(container(1), init=[container(1, sidecar=True), container(4)]), 5),
        (pod(container(1), init=[container(4), container(1, sidecar=True)]), 4),
        (pod(container(0), init=[container(1, sidecar=True), container(2, sidecar=True)]), 3),
        (pod(container(2, part="requests")), 2),
        (pod({"name": "c", "resources": {"limits": {GPU: "2"}, "requests": {GPU: "2"}}}), 2),
        (pod({"name": "c", "resources": {"limits": {GPU: 2}}}), 2),
        (pod(container("2k")), 2000),
        (pod(container(1), overhead={GPU: "1"}), 2),
    ],
)
def test_gpus_are_counted_as_the_scheduler_does(made, gpus):
    assert gpus_of(made, [GPU]) == {GPU: gpus}


@pytest.mark.parametrize(
    "made",
    [
        pod(),
        pod({"name": "c"}),
        pod({"name": "c", "resources": None}),
        pod({"name": "c", "resources": {"limits": None, "requests": None}}),
        pod(container(0)),
        pod(container(4, resource="nvidia.com/gpu.shared")),
        {"metadata": {}, "spec": {"containers": None, "initContainers": None, "overhead": None}},
    ],
)
def test_what_asks_for_none_of_them_has_no_entry(made):
    assert gpus_of(made, [GPU]) == {}


def test_each_resource_is_counted_by_itself():
    made = pod(container(2), container(3, resource=SLICE), init=[container(7, resource=SLICE)])
    assert gpus_of(made, {GPU, SLICE, "example.com/fpga"}) == {GPU: 2, SLICE: 7}
    assert gpus_of(made, []) == {}


INITS = st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=6)


@given(INITS, st.lists(st.integers(0, 8), min_size=1, max_size=4))
def test_the_count_is_the_most_that_run_at_any_moment_of_a_pods_life(init, containers):
    moments, sidecars = [], []
    for gpus, sidecar in init:
        moments.append([*sidecars, gpus])
        if sidecar:
            sidecars.append(gpus)
    moments.append([*sidecars, *containers])
    most = max(map(sum, moments))
    made = pod(*map(container, containers), init=[container(gpus, sidecar=sidecar) for gpus, sidecar in init])
    assert gpus_of(made, [GPU]) == ({GPU: most} if most else {})
