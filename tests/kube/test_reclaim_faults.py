"""Teardowns on an API server that forgets the beginning of a LIST, restarts, or has another namespace of the name."""

from collections.abc import Callable

import pytest
from played_api import LAST, Asked, Reply, Server, listing, not_found, played, refusal
from strategies import cluster

from gpuprov.kube.reclaim import Teardown

MANY = [f"gpu-{number:02}" for number in range(25)]
"""So many are read in one LIST of the whole cluster."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        yield made


def teardown(server: Server, told: list[str] | None = None, timeout: float = 60.0) -> Teardown:
    progress = [] if told is None else told
    return Teardown.on(
        cluster(),
        api=server.api,
        timeout=timeout,
        progress=progress.append,
    )


def namespace(name: str, uid: str = "uid-1", *, deleted: bool = True) -> dict:
    deletion = {"deletionTimestamp": "2026-03-01T00:00:00Z"} if deleted else {}
    return {"kind": "Namespace", "metadata": {"name": name, "uid": uid, **deletion}}


def pod(namespace_of: str, name: str, *, ending: bool = True) -> dict:
    deletion = {"deletionTimestamp": "2026-03-01T00:00:30Z"} if ending else {}
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": "2"}}}
    return {
        "metadata": {"namespace": namespace_of, "name": name, **deletion},
        "spec": {"nodeName": "h100-01", "containers": [container]},
        "status": {"phase": "Running"},
    }


def reading(answer: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    """Answer readings so; whatever else is asked for succeeds."""
    return lambda asked: answer(asked) if asked.method == "GET" else Reply(body={"kind": "Status", "metadata": {}})


def expired(token: str) -> Reply:
    reply = refusal(410, "Expired")
    return Reply(410, reply.body | {"metadata": {"continue": token} if token else {}})


def pages(first: list[dict], rest: list[dict], token: str) -> Callable[[Asked], Reply]:
    """A LIST of two pages, of which the server forgets the first while the second is asked for.

    ``token`` is with what it lets the LIST go on; without one it starts over.
    """
    left = [listing(*first, token="old"), expired(token)]
    left += [listing(*rest)] if token else [listing(*first, token="new"), listing(*rest)]
    return lambda asked: left.pop(0) if left else listing()


# ---- 410 Gone in the middle of a LIST


@pytest.mark.parametrize("token", ["inconsistent", ""])
def test_no_pod_of_a_page_after_an_expired_one_is_missed(server, token):
    cluster_wide = pages([pod(MANY[0], "one", ending=False)], [pod(MANY[-1], "two", ending=False)], token)
    server.does(reading(lambda asked: cluster_wide(asked) if asked.path == "/api/v1/pods" else listing()))
    assert not any(release.stuck for release in teardown(server).release(MANY))
    ended = {asked.path for asked in server.asked if asked.method == "DELETE" and asked.path.endswith("/pods")}
    assert ended == {f"/api/v1/namespaces/{name}/pods" for name in (MANY[0], MANY[-1])}


@pytest.mark.parametrize("token", ["inconsistent", ""])
def test_no_namespace_of_a_page_after_an_expired_one_is_proven_gone(server, token):
    cluster_wide = pages([namespace(MANY[0])], [namespace(MANY[-1])], token)
    alone = {MANY[0]: not_found(MANY[0]), MANY[-1]: Reply(body=namespace(MANY[-1]))}
    server.does(reading(lambda asked: alone.get(asked.path.rpartition("/")[2]) or cluster_wide(asked)))
    remaining = teardown(server, timeout=5.0).prove_gone(MANY)
    assert remaining == {MANY[-1]: "its deletion has not ended yet"}


@pytest.mark.parametrize("token", ["inconsistent", ""])
def test_no_namespace_of_a_page_after_an_expired_one_is_made_again_too_early(server, token):
    server.does(reading(pages([namespace(MANY[0])], [namespace(MANY[-1])], token)))
    told: list[str] = []
    assert teardown(server, told).settle([MANY[0], MANY[-1], "gpu-other"]) == {}
    assert told == ["waiting for 2 namespaces to go before they are made again"]


# ---- a restart


def closing(answer: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    """End each connection after its answer, so that none outlives the server."""

    def answered(asked: Asked) -> Reply:
        reply = answer(asked)
        return Reply(reply.status, reply.body, reply.headers | LAST)

    return answered


def restarts_when_told(server: Server, work: Callable[[Teardown], object], waits: int) -> tuple[object, list[str]]:
    """Stop the server when the work first tells what it waits for; start it after so many waits."""
    told: list[str] = []

    def progress(line: str) -> None:
        if not told:
            server.starts_after(waits)
        told.append(line)

    return work(Teardown.on(cluster(), api=server.api, timeout=120.0, progress=progress)), told


@pytest.mark.parametrize("waits", [2, 5, 12])
def test_a_restart_while_pods_end_delays_the_proof_and_breaks_nothing(server, waits):
    """With 12 waits the client gives one reading up, and the next finds the server back."""
    pods = [[pod("gpu-a", "one")], [pod("gpu-a", "one")], [pod("gpu-a", "one")], []]
    server.does(closing(reading(lambda asked: listing(*(pods.pop(0) if len(pods) > 1 else pods[0])))))
    (done,), told = restarts_when_told(server, lambda work: work.release(["gpu-a"]), waits)
    assert (done.stuck, done.held) == ((), 0)
    assert any("reading failed" in line for line in told) == (waits == 12)
    assert pods == [[]]


@pytest.mark.parametrize("waits", [2, 5, 12])
def test_a_restart_while_namespaces_go_proves_nothing_by_itself(server, waits):
    found = [namespace("gpu-a"), namespace("gpu-a"), None]

    def answer(asked: Asked) -> Reply:
        body = found.pop(0) if len(found) > 1 else found[0]
        return not_found("gpu-a") if body is None else Reply(body=body)

    server.does(closing(reading(answer)))
    remaining, told = restarts_when_told(server, lambda work: work.prove_gone(["gpu-a"]), waits)
    assert (remaining, found) == ({}, [None])
    assert any("reading failed" in line for line in told) == (waits == 12)


@pytest.mark.parametrize("waits", [2, 5, 12])
def test_a_restart_while_namespaces_settle_is_waited_for(server, waits):
    lists = [listing(namespace("gpu-a")), listing(namespace("gpu-a")), listing()]
    server.does(closing(reading(lambda asked: lists.pop(0) if len(lists) > 1 else lists[0])))
    terminating, told = restarts_when_told(server, lambda work: work.settle(["gpu-a"]), waits)
    assert (terminating, len(lists)) == ({}, 1)
    assert any("reading failed" in line for line in told) == (waits == 12)


# ---- what comes back, and what comes late


def test_a_namespace_that_comes_back_with_another_uid_is_not_proven_gone(server):
    """Somebody has made one of the name again. It is not ours to delete, and may have pods already."""
    found = [namespace("gpu-a"), namespace("gpu-a"), namespace("gpu-a", "uid-2", deleted=False)]
    server.does(reading(lambda asked: Reply(body=found.pop(0) if len(found) > 1 else found[0])))
    remaining = teardown(server, timeout=5.0).prove_gone(["gpu-a"])
    assert remaining == {
        "gpu-a": "somebody has made it again since it was deleted; find out who, then rerun the command"
    }
    assert server.count("DELETE") == 0


def test_a_namespace_that_went_stays_proven_where_another_of_the_name_comes_while_others_go(server):
    seen = {"gpu-a": [None, namespace("gpu-a", "uid-2", deleted=False)], "gpu-b": [namespace("gpu-b")] * 3 + [None]}

    def answer(asked: Asked) -> Reply:
        states = seen[asked.path.rpartition("/")[2]]
        state = states.pop(0) if len(states) > 1 else states[0]
        return not_found(asked.path.rpartition("/")[2]) if state is None else Reply(body=state)

    server.does(reading(answer))
    assert teardown(server).prove_gone(["gpu-a", "gpu-b"]) == {}
    assert len(seen["gpu-a"]) == 1  # it is not read again


def test_a_namespace_that_was_made_again_is_not_waited_for_before_it_is_written(server):
    server.answers(listing(namespace("gpu-a", "uid-2", deleted=False), kind="NamespaceList"))
    assert teardown(server).settle(["gpu-a"]) == {}
    assert server.watch.slept == []


def test_a_pod_that_appears_between_two_readings_is_told_to_end_and_waited_for(server):
    """It was admitted before the quota was lowered, and stored after the pods were told to end."""
    late = pod("gpu-a", "late", ending=False)
    readings = [[pod("gpu-a", "one", ending=False)], [pod("gpu-a", "one"), late], [pod("gpu-a", "late")], []]
    server.does(reading(lambda asked: listing(*(readings.pop(0) if len(readings) > 1 else readings[0]))))
    (done,) = teardown(server).release(["gpu-a"])
    assert done.stuck == ()
    assert readings == [[]]
    assert [asked.path for asked in server.asked if asked.method == "DELETE"].count(
        "/api/v1/namespaces/gpu-a/pods"
    ) == 2
