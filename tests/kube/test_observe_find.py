"""Namespaces that a LIST by label does not show, read by their names."""

import pytest
from played_api import Reply, listing, not_found, played
from strategies import cluster

from gpuprov.kube.observe import find

LOST = "gpu-hpc-007"
NAMES = [f"gpu-hpc-{number:03}" for number in range(30)]


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        yield made


def answer(asked):
    """One of the namespaces is there, with its quota."""
    namespace = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": LOST}}
    if asked.path == "/api/v1/namespaces":
        return listing(namespace, {"metadata": {"name": "kube-system"}}, kind="NamespaceList")
    if asked.path == f"/api/v1/namespaces/{LOST}":
        return Reply(body=namespace)
    if asked.path.startswith(f"/api/v1/namespaces/{LOST}/"):
        return Reply(body={"kind": "ResourceQuota", "metadata": {"name": "gpu", "namespace": LOST}, "spec": {}})
    return not_found(asked.path.rsplit("/", 1)[1])


@pytest.mark.parametrize(("names", "most"), [(NAMES[5:10], 6), (NAMES, 3)])
def test_those_that_are_there_are_found_and_many_that_are_not_cost_one_list(server, names, most):
    server.does(answer)
    (found,) = find(cluster(), names)
    assert (found.namespace, sorted(found.objects)) == (LOST, [("Namespace", LOST), ("ResourceQuota", "gpu")])
    assert len(server.asked) == most
    assert all(request.method == "GET" and "labelSelector" not in request.query for request in server.asked)
