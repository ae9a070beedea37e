"""Proving that namespaces are gone, and waiting for those that are on their way: only what was read counts."""

import pytest
from played_api import HTML, RESET, Reply, in_turn, listing, not_found, played, refusal
from strategies import cluster

from gpuprov.kube.reclaim import Teardown

FAILURES = [refusal(500, "InternalError"), refusal(401, "Unauthorized"), Reply(404, HTML), Reply(200, b""), RESET]
FINALIZER = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"


def terminating(name, *messages):
    conditions = [
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": message} for message in messages
    ]
    conditions.append({"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "All is well"})
    return {
        "kind": "Namespace",
        "metadata": {"name": name, "deletionTimestamp": "2026-03-01T00:00:00Z"},
        "status": {"phase": "Terminating", "conditions": conditions},
    }


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        yield made


def teardown(server, timeout=10.0, told=None):
    progress = [] if told is None else told
    return Teardown.on(
        cluster(),
        api=server.api,
        timeout=timeout,
        progress=progress.append,
    )


def remaining(server, *names, **more):
    return teardown(server, **more).prove_gone(names)


def going(server, *names, **more):
    return teardown(server, **more).settle(names)


def by_name(replies):
    """Answer for each namespace with one reply after the other, and then always with the last."""
    answers = {name: in_turn(*some) for name, some in replies.items()}
    return lambda asked: answers[asked.path.split("/")[4]](asked)


def there(name, *messages):
    return Reply(body=terminating(name, *messages))


def test_namespaces_are_gone_when_the_api_server_says_so(server):
    server.does(by_name({"gpu-a": [there("gpu-a"), not_found("gpu-a")], "gpu-b": [not_found("gpu-b")]}))
    told = []
    assert remaining(server, "gpu-a", "gpu-b", told=told) == {}
    assert told == ["waiting for 1 namespace to go"]
    assert [request.path for request in server.asked].count("/api/v1/namespaces/gpu-b") == 1


def test_what_remains_is_told_with_its_reasons(server):
    server.does(by_name({"gpu-a": [there("gpu-a", FINALIZER, "and more")], "gpu-b": [there("gpu-b")]}))
    assert remaining(server, "gpu-a", "gpu-b") == {
        "gpu-a": f"{FINALIZER}; and more",
        "gpu-b": "its deletion has not ended yet",
    }
    assert 10.0 <= server.watch.at <= 12.0


def test_the_time_runs_from_the_last_namespace_that_went(server):
    names = [f"gpu-{number}" for number in range(25)]
    left = list(names)

    def answer(asked):
        if left and server.watch.at >= 9.0 * (26 - len(left)):
            left.pop()
        if asked.path.endswith("/namespaces"):
            return listing(*map(terminating, [*left, "gpu-other"]), kind="NamespaceList")
        name = asked.path.split("/")[4]
        return there(name) if name in left else not_found(name)

    server.does(answer)
    assert remaining(server, *names) == {}
    assert server.watch.at > 200


@pytest.mark.parametrize("failure", FAILURES, ids=lambda reply: reply.fault or str(reply.status))
def test_a_reading_that_fails_does_not_end_the_proof(server, failure):
    server.does(by_name({"gpu-a": [*[failure] * 13, there("gpu-a"), not_found("gpu-a")]}))
    told = []
    assert remaining(server, "gpu-a", timeout=100.0, told=told) == {}
    assert told[0].startswith("waiting for 1 namespace to go; reading failed: ")
    assert told[-1] == "waiting for 1 namespace to go"


@pytest.mark.parametrize("failure", FAILURES, ids=lambda reply: reply.fault or str(reply.status))
def test_what_could_not_be_read_is_never_gone(server, failure):
    server.does(by_name({"gpu-a": [failure], "gpu-b": [not_found("gpu-b")]}))
    found = remaining(server, "gpu-a", "gpu-b")
    assert found.keys() == {"gpu-a", "gpu-b"}
    assert found["gpu-a"].startswith("it was never read back; reading failed: ")


@pytest.mark.parametrize("failure", FAILURES, ids=lambda reply: reply.fault or str(reply.status))
def test_what_was_proven_stays_proven_when_later_readings_fail(server, failure):
    server.does(by_name({"gpu-a": [there("gpu-a", FINALIZER), failure], "gpu-b": [not_found("gpu-b")]}))
    found = remaining(server, "gpu-a", "gpu-b")
    assert found.keys() == {"gpu-a"}
    assert found["gpu-a"].startswith(f"{FINALIZER}; reading failed: ")


def test_of_no_namespaces_nothing_is_read(server):
    assert (remaining(server), going(server)) == ({}, {})
    assert server.asked == []


def namespaces(*items):
    return listing(*items, kind="NamespaceList")


ALIVE = {"kind": "Namespace", "metadata": {"name": "gpu-alive"}, "status": {"phase": "Active"}}


def test_namespaces_that_are_on_their_way_are_waited_for(server):
    other = terminating("gpu-other")
    server.answers(namespaces(terminating("gpu-a"), ALIVE, other), namespaces(ALIVE, other))
    told = []
    assert going(server, "gpu-a", "gpu-alive", told=told) == {}
    assert told == ["waiting for 1 namespace to go before it is made again"]
    assert "gpuprov.dev/provider=samsung-sds" in server.asked[0].query["labelSelector"]


def test_what_is_still_on_its_way_is_told(server):
    server.answers(namespaces(terminating("gpu-a", FINALIZER), ALIVE))
    assert going(server, "gpu-a", "gpu-alive") == {"gpu-a": FINALIZER}
    assert 10.0 <= server.watch.at <= 12.0


@pytest.mark.parametrize("failure", FAILURES, ids=lambda reply: reply.fault or str(reply.status))
def test_a_reading_that_fails_does_not_end_the_waiting(server, failure):
    server.answers(*[failure] * 13, namespaces(terminating("gpu-a")), namespaces())
    assert going(server, "gpu-a", "gpu-alive", timeout=100.0) == {}


def test_a_failure_that_has_passed_is_not_told_at_the_end(server):
    server.answers(Reply(404, HTML), namespaces(terminating("gpu-a", FINALIZER)))
    assert going(server, "gpu-a") == {"gpu-a": FINALIZER}
    server.does(by_name({"gpu-a": [Reply(404, HTML), there("gpu-a", FINALIZER)]}))
    assert remaining(server, "gpu-a") == {"gpu-a": FINALIZER}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda reply: reply.fault or str(reply.status))
def test_what_could_not_be_read_may_still_be_on_its_way(server, failure):
    server.answers(failure)
    found = going(server, "gpu-a", "gpu-b")
    assert found.keys() == {"gpu-a", "gpu-b"}
    assert found["gpu-b"].startswith("it was never read back; reading failed: ")
    server.answers(namespaces(terminating("gpu-a", FINALIZER), ALIVE), failure)
    found = going(server, "gpu-a", "gpu-alive")
    assert found.keys() == {"gpu-a"}
    assert found["gpu-a"].startswith(f"{FINALIZER}; reading failed: ")


def test_deleting_and_lowering_are_sent_again_and_what_is_gone_is_no_error(server):
    first = {"DELETE": [refusal(429, "TooManyRequests", Retry_After="1")], "PATCH": [RESET]}
    server.does(
        lambda asked: first[asked.method].pop() if first[asked.method] else not_found(asked.path.split("/")[-1])
    )
    teardown(server).delete(["gpu-a"])
    teardown(server).lower({"gpu-b": {"pods": "4"}})
    assert [(request.method, request.path, request.body) for request in server.asked] == [
        *[("DELETE", "/api/v1/namespaces/gpu-a", None)] * 2,
        *[("PATCH", "/api/v1/namespaces/gpu-b/resourcequotas/gpu", {"spec": {"hard": {"pods": "4"}}})] * 2,
    ]
