"""What is sent to an API server again, after which waits, and what is reported at once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import unused_port
from played_api import CUT, RESET, Reply, Watch, kubeconfig, listing, not_found, played, refusal
from strategies import cluster

from gpuprov.errors import ClusterError, ClusterUnreachable
from gpuprov.kube.client import KubeApi
from gpuprov.kube.retries import LONGEST_SECONDS, TOTAL_SECONDS, TRIES, pause

PATH = "/api/v1/namespaces/gpu-x"
THERE = Reply(body={"kind": "Namespace", "metadata": {"name": "gpu-x"}})
PASSING = (429, 500, 502, 503, 504)

REPEATABLE = {
    "get": lambda api: api.get(PATH),
    "delete": lambda api: api.delete(PATH),
    "merge": lambda api: api.merge(PATH, {"spec": {}}, manager="gpuprov"),
    "replace": lambda api: api.replace(PATH, {"spec": {}}),
    "create": lambda api: api.create("/api/v1/namespaces", {"metadata": {"name": "gpu-x"}}),
    "ask": lambda api: api.ask("GET", PATH),
}


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("fault", [*PASSING, "reset", "cut"])
@pytest.mark.parametrize("request_", REPEATABLE)
def test_what_does_no_harm_twice_is_sent_again_until_the_server_does_it(server, request_, fault):
    first = {"reset": RESET, "cut": CUT}.get(fault) or refusal(fault, "Failed")
    server.answers(first, first, THERE)
    REPEATABLE[request_](server.api)
    assert len(server.asked) == 3
    assert len({str(request) for request in server.asked}) == 1
    assert len(server.watch.slept) == 2


def test_a_page_in_the_middle_of_a_list_is_read_again(server):
    item = {"metadata": {"name": "one"}}, {"metadata": {"name": "two"}}
    server.answers(listing(item[0], token="next"), refusal(500, "InternalError"), RESET, listing(item[1]))
    assert [pod["metadata"]["name"] for pod in server.api.list("/api/v1/pods")] == ["one", "two"]
    assert [request.query.get("continue") for request in server.asked] == [None, "next", "next", "next"]


@pytest.mark.parametrize(("asked", "waited"), [("3", 3.0), ("10", 10.0), ("600", LONGEST_SECONDS)])
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_is_what_the_server_asks_for_up_to_a_bound(server, status, asked, waited):
    server.answers(refusal(status, "TooManyRequests", Retry_After=asked), THERE)
    assert server.api.get(PATH) is not None
    assert server.watch.slept == [waited]


@pytest.mark.parametrize("asked", ["Wed, 21 Oct 2026 07:28:00 GMT", "-5", "soon", "١", "", "0"])
def test_a_wait_that_is_no_number_of_seconds_is_chosen_here(server, asked):
    server.answers(Reply(429, b"Too many requests", {"Retry-After": asked}), THERE)
    assert server.api.get(PATH) is not None
    (waited,) = server.watch.slept
    assert 0 < waited < 1


@pytest.mark.parametrize("status", PASSING)
def test_a_server_that_goes_on_failing_is_given_up_and_told(server, status):
    server.answers(Reply(status, b"<html><title>Bad Gateway</title>" + b"x" * 9999))
    with pytest.raises(ClusterError) as caught:
        server.api.get(PATH)
    assert str(caught.value) == (
        f"samsung-sds: GET {PATH}: {status} an HTML page 'Bad Gateway'; the API server is busy or fails: rerun "
        "the same command in a while"
    )
    assert len(server.asked) == TRIES
    assert server.watch.slept == sorted(server.watch.slept)


def test_the_time_is_bounded_too(server):
    server.answers(refusal(429, "TooManyRequests", Retry_After="10"))
    with pytest.raises(ClusterError, match="429"):
        server.api.get(PATH)
    assert server.watch.slept == [10.0, 10.0, 10.0, 10.0]


def test_a_connection_that_is_always_broken_off_is_no_answer(server):
    server.answers(RESET)
    with pytest.raises(ClusterUnreachable, match="does not answer"):
        server.api.get(PATH)
    assert len(server.asked) == TRIES


def test_asking_returns_the_last_refusal(server):
    server.answers(refusal(503, "ServiceUnavailable"))
    assert server.api.ask("GET", PATH).status == 503
    assert len(server.asked) == TRIES


@pytest.mark.parametrize("reply", [refusal(500, "InternalError"), refusal(503, "Unavailable"), refusal(504, "Timeout")])
def test_a_post_that_the_server_may_have_done_is_not_sent_again(server, reply):
    server.answers(reply)
    assert server.api.ask("POST", PATH, body={}).status == reply.status
    assert (len(server.asked), server.watch.slept) == (1, [])


@pytest.mark.parametrize("reply", [RESET, CUT])
def test_a_post_whose_answer_is_lost_is_not_sent_again(server, reply):
    server.answers(reply)
    with pytest.raises(ClusterUnreachable, match="does not answer"):
        server.api.ask("POST", PATH, body={})
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [refusal(429, "TooManyRequests"), Reply(503, b"starting", {"Retry-After": "1"})],
)
def test_a_post_that_the_server_did_not_do_is_sent_again(server, reply):
    server.answers(reply, Reply(201, {"kind": "SelfSubjectReview"}))
    assert server.api.ask("POST", PATH, body={"a": 1}).status == 201
    assert [request.body for request in server.asked] == [{"a": 1}, {"a": 1}]


def test_an_object_that_a_lost_try_has_made_is_there(server):
    server.answers(RESET, refusal(409, "AlreadyExists", {"name": "gpu-x", "kind": "namespaces"}))
    assert server.api.create("/api/v1/namespaces", {"metadata": {"name": "gpu-x"}}) is None


def test_an_object_that_a_lost_try_has_deleted_is_gone(server):
    server.answers(RESET, not_found("gpu-x"))
    server.api.delete(PATH)
    assert server.count("DELETE") == 2


@pytest.mark.parametrize(("reason", "status"), [("Forbidden", 403), ("Invalid", 422), ("BadRequest", 400)])
def test_a_refusal_that_stays_is_told_at_once(server, reason, status):
    server.answers(refusal(status, reason))
    with pytest.raises(ClusterError):
        server.api.get(PATH)
    assert (len(server.asked), server.watch.slept) == (1, [])


def refused(tmp_path, monkeypatch, url):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "other", url)))
    watch = Watch()
    with pytest.raises(ClusterUnreachable, match="does not answer"):
        KubeApi(cluster(), clock=watch.clock).get(PATH)
    assert watch.slept == []


def test_a_port_where_nobody_listens_is_told_at_once(tmp_path, monkeypatch):
    refused(tmp_path, monkeypatch, f"http://127.0.0.1:{unused_port()}")


def test_a_server_without_tls_is_told_at_once(server, tmp_path, monkeypatch):
    url = server.api._client.configuration.host
    refused(tmp_path, monkeypatch, url.replace("http://", "https://"))
    assert server.asked == []


def test_a_name_that_nobody_knows_is_told_at_once(tmp_path, monkeypatch):
    refused(tmp_path, monkeypatch, "http://no-such-host.invalid:6443")


@given(st.lists(st.tuples(st.none() | st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 100)), min_size=TRIES))
def test_waits_are_bounded_and_never_shorter_than_what_was_asked_for(rounds):
    spent, sent = 0.0, 0
    for asked, draw, seconds in rounds:
        sent += 1
        spent += seconds
        wait = pause(sent, spent, asked, draw)
        if wait is None:
            break
        assert min(asked or 0, LONGEST_SECONDS) <= wait <= LONGEST_SECONDS
        assert wait > 0
        spent += wait
        assert spent <= TOTAL_SECONDS
    assert sent <= TRIES
    assert wait is None


def test_the_bounds_are_those_of_the_documents():
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = f"waits {LONGEST_SECONDS:.0f} s at most, and gives up after {TRIES} tries or {TOTAL_SECONDS:.0f} s"
    assert told in " ".join(text.split())
