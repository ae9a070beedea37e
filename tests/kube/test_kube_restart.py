"""An API server that restarts: it refuses connections for a while, and no request reaches it meanwhile."""

import pytest
from played_api import LAST, Reply, played
from strategies import cluster

from gpuprov.errors import ClusterUnreachable
from gpuprov.kube.client import KubeApi
from gpuprov.kube.retries import TOTAL_SECONDS, TRIES

PATH = "/api/v1/namespaces/gpu-x"
ASKING = {
    "get": lambda api: api.get(PATH),
    "delete": lambda api: api.delete(PATH),
    "merge": lambda api: api.merge(PATH, {}, manager="gpuprov"),
    "create": lambda api: api.create("/api/v1/namespaces", {}),
    "replace": lambda api: api.replace(PATH, {}),
    "post": lambda api: api.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body={}),
}


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        made.answers(Reply(body={"kind": "Namespace", "metadata": {"name": "gpu-x"}}, headers=LAST))
        yield made


@pytest.mark.parametrize("asking", ASKING)
def test_a_restart_is_waited_for_and_each_request_reaches_the_server_once(server, asking):
    assert server.api.get(PATH) is not None
    server.starts_after(3)
    ASKING[asking](server.api)
    assert len(server.asked) == 2
    assert len(server.watch.slept) == 3


def test_a_server_that_stays_away_is_given_up_and_told(server):
    assert server.api.get(PATH) is not None
    server.stop()
    with pytest.raises(ClusterUnreachable, match=r"does not answer .*refused"):
        server.api.get(PATH)
    assert len(server.watch.slept) == TRIES - 1
    assert server.watch.at < TOTAL_SECONDS


def test_a_client_that_never_had_an_answer_does_not_wait(server):
    server.stop()
    with pytest.raises(ClusterUnreachable, match=r"does not answer .*refused"):
        server.api.get(PATH)
    assert server.watch.slept == []


def test_what_another_client_was_answered_says_nothing(server):
    """Its context may lead elsewhere."""
    assert server.api.get(PATH) is not None
    server.stop()
    with pytest.raises(ClusterUnreachable):
        KubeApi(cluster(), clock=server.watch.clock).get(PATH)
    assert server.watch.slept == []
