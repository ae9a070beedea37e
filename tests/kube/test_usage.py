"""What pods really hold, read from an API server."""

import pytest
from played_api import listing, played, refusal
from strategies import cluster
from test_core_pods import GPU, SLICE, container, pod

from gpuprov.core.pods import PodUse
from gpuprov.errors import ClusterError
from gpuprov.kube.usage import pods_of, pods_on

SELECTOR = "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        yield made


def of(namespace, name, made, **metadata):
    return made | {"metadata": {"namespace": namespace, "name": name, **metadata}}


def test_what_the_pods_of_all_awards_hold_is_one_list_of_those_on_nodes(server):
    server.answers(
        listing(
            of("gpu-a", "one", pod(container(2)), deletionTimestamp="2026-03-01T00:00:00Z"),
            of("gpu-a", "two", pod(container(1), init=[container(4)])),
            of("gpu-b", "one", pod(container(0))),
            token="next",
        ),
        listing(
            of("gpu-b", "two", pod(container(3, resource=SLICE))),
            of("kube-system", "plugin", pod(container(1))),
            of("gpu-c", "waits", pod(container(8), node="")),
            of("gpu-c", "ended", pod(container(8), phase="Failed")),
            of("gpu-d", "one", pod(container(1))),
        ),
    )
    assert pods_on(cluster(), None, server.api) == {"gpu-a": {GPU: 6}, "gpu-d": {GPU: 1}}
    assert [request.path for request in server.asked] == ["/api/v1/pods"] * 2
    assert {request.query["fieldSelector"] for request in server.asked} == {SELECTOR}


def test_of_a_few_namespaces_each_is_read(server):
    server.does(lambda asked: listing(of(asked.path.split("/")[4], "one", pod(container(1)))))
    assert pods_on(cluster(), ["gpu-a", "other"], server.api) == {"gpu-a": {GPU: 1}, "other": {GPU: 1}}
    assert [request.path for request in server.asked] == [
        "/api/v1/namespaces/gpu-a/pods",
        "/api/v1/namespaces/other/pods",
    ]
    assert {request.query["fieldSelector"] for request in server.asked} == {SELECTOR}


def test_of_many_namespaces_only_those_that_were_asked_for_are_told(server):
    wanted = [f"gpu-{number}" for number in range(21)]
    server.answers(listing(*(of(name, "one", pod(container(1))) for name in [*wanted, "gpu-other"])))
    assert pods_on(cluster(), wanted, server.api) == {name: {GPU: 1} for name in wanted}
    assert len(server.asked) == 1


def test_of_no_namespace_nothing_is_read(server):
    assert pods_on(cluster(), [], server.api) == {}
    assert server.asked == []


def test_what_cannot_be_read_is_an_error_and_not_nothing(server):
    server.answers(listing(of("gpu-a", "one", pod(container(1))), token="next"), refusal(403, "Forbidden"))
    with pytest.raises(ClusterError, match="may not GET"):
        pods_on(cluster(), None, server.api)


def test_the_pods_of_one_namespace_are_told_whether_or_not_they_hold_gpus(server):
    server.answers(
        listing(
            of("gpu-a", "waits", pod(container(8), node="", phase="Pending")),
            of("gpu-a", "ended", pod(container(4), phase="Succeeded")),
            of(
                "gpu-a",
                "ends",
                pod(container(2), container(3, resource=SLICE)),
                deletionTimestamp="2026-03-01T00:00:00Z",
            ),
        )
    )
    assert pods_of(cluster(), "gpu-a", server.api) == (
        PodUse(name="ended", phase="Succeeded", gpus=4, node="h200-01", holds=False, terminating=False),
        PodUse(name="ends", phase="Running", gpus=2, node="h200-01", holds=True, terminating=True),
        PodUse(name="waits", phase="Pending", gpus=8, node="", holds=False, terminating=False),
    )
    (request,) = server.asked
    assert (request.path, "fieldSelector" in request.query) == ("/api/v1/namespaces/gpu-a/pods", False)
