"""Taking GPUs back: in which order, what proves that they are free, and what is told where it is not proven."""

from dataclasses import dataclass, field

import pytest
from played_api import HTML, RESET, Asked, Reply, listing, not_found, played, refusal
from strategies import cluster
from test_core_pods import GPU, container, pod

from gpuprov.errors import ClusterError, ClusterUnreachable
from gpuprov.kube.reclaim import GRACE_SECONDS, Teardown

FAILURES = [
    refusal(500, "InternalError"),
    refusal(429, "TooManyRequests"),
    refusal(403, "Forbidden"),
    Reply(404, HTML),
    Reply(200, HTML),
    RESET,
]


@dataclass
class Namespaces:
    """Pods by namespace. What is told to end has ended after ``lasts`` more readings; ``failing`` come first."""

    pods: dict[str, list[dict]]
    lasts: int = 1
    failing: list[Reply] = field(default_factory=list)
    comes: dict[int, tuple[str, dict]] = field(default_factory=dict)
    readings: int = 0

    def __call__(self, asked: Asked) -> Reply:
        parts = asked.path.split("/")
        if asked.method == "DELETE" and parts[-1] == "pods":
            self.end(parts[4], asked.query)
            return listing()
        if asked.method != "GET":
            return not_found(parts[-1], parts[-2])
        if self.ending() and self.failing:
            return self.failing.pop(0) if len(self.failing) > 1 else self.failing[0] or self.read(parts)
        return self.read(parts)

    def read(self, parts: list[str]) -> Reply:
        self.readings += 1
        if self.readings in self.comes:
            namespace, arrival = self.comes.pop(self.readings)
            self.pods[namespace].append(arrival)
        shown = [pod for name, pods in self.pods.items() if parts[4:5] in ([name], []) for pod in pods]
        answer = listing(*(dict(pod) for pod in shown))
        for terminating in [candidate for candidate in shown if "left" in candidate]:
            terminating["left"] -= 1
            if terminating["left"] < 0:
                self.pods[terminating["metadata"]["namespace"]].remove(terminating)
        return answer

    def end(self, namespace: str, query: dict[str, str]) -> None:
        assert query == {"gracePeriodSeconds": str(GRACE_SECONDS)}
        for ended in list(self.pods[namespace]):
            if "deletionTimestamp" not in ended["metadata"]:
                ended["metadata"] = ended["metadata"] | {"deletionTimestamp": "2026-03-01T00:00:30Z"}
                ended["left"] = self.lasts if ended["spec"].get("nodeName") else 0

    def ending(self) -> bool:
        return any("left" in pod for pods in self.pods.values() for pod in pods)


NEVER = 10**6


def of(namespace, name, *containers, **spec):
    made = pod(*(containers or (container(2),)), **spec)
    return made | {"metadata": {"namespace": namespace, "name": name}}


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        yield made


def freed(server, *names, timeout=120.0, told=None):
    progress = [] if told is None else told
    teardown = Teardown.on(
        cluster(),
        api=server.api,
        timeout=timeout,
        progress=progress.append,
    )
    done = teardown.release(names)
    assert sorted(outcome.namespace for outcome in done) == sorted(names)
    return {outcome.namespace: outcome for outcome in done}


def deleted(server, namespace="gpu-a"):
    """Count how often the pods of the namespace were told to end."""
    return [(request.method, request.path) for request in server.asked].count(
        ("DELETE", f"/api/v1/namespaces/{namespace}/pods")
    )


def test_access_and_quota_go_before_the_pods_and_pods_are_told_once(server):
    server.does(Namespaces({"gpu-a": [of("gpu-a", "one")], "gpu-b": []}, lasts=3))
    done = freed(server, "gpu-a", "gpu-b")
    assert {name: (outcome.stuck, outcome.held) for name, outcome in done.items()} == {
        "gpu-a": ((), 0),
        "gpu-b": ((), 0),
    }
    assert done["gpu-b"].seconds == 0 < done["gpu-a"].seconds == server.watch.at
    mine = [request for request in server.asked if request.path.split("/")[-2] == "gpu-a" or "/gpu-a/" in request.path]
    assert [(request.method, request.path.rpartition("gpu-a/")[2]) for request in mine[:5]] == [
        ("DELETE", "rolebindings/awardee"),
        ("DELETE", "serviceaccounts/awardee"),
        ("PATCH", "resourcequotas/gpu"),
        ("GET", "pods"),
        ("DELETE", "pods"),
    ]
    assert mine[2].body == {"spec": {"hard": {"pods": "0", f"requests.{GPU}": "0"}}}
    assert (deleted(server), deleted(server, "gpu-b")) == (1, 0)


@pytest.mark.parametrize("node", ["h200-01", ""])
@pytest.mark.parametrize("reading", [2, 3, 5])
def test_a_pod_that_was_made_meanwhile_is_told_to_end_as_well(server, reading, node):
    late = of("gpu-a", "late", node=node, phase="Pending")
    server.does(Namespaces({"gpu-a": [of("gpu-a", "one")]}, lasts=4, comes={reading: ("gpu-a", late)}))
    assert freed(server, "gpu-a")["gpu-a"].stuck == ()
    assert deleted(server) == 2
    assert server.watch.at < 30


def test_a_pod_that_waits_for_a_node_is_not_free_before_it_is_deleted(server):
    late = of("gpu-a", "late", node="", phase="Pending")
    server.does(lambda asked: listing(late) if asked.method == "GET" else listing())
    done = freed(server, "gpu-a", timeout=5.0)["gpu-a"]
    assert (done.stuck, done.held) == (("pod late without a node has not ended",), 2)
    assert deleted(server) > 2


def test_a_pod_that_ended_or_never_gets_a_node_holds_no_card(server):
    ended = of("gpu-a", "ended", phase="Succeeded")
    waits = of("gpu-a", "waits", node="", phase="Pending")
    server.does(lambda asked: listing(ended, waits) if asked.method == "GET" else listing())
    waits["metadata"] |= {"deletionTimestamp": "2026-03-01T00:00:30Z", "finalizers": ["example.com/hold"]}
    assert freed(server, "gpu-a")["gpu-a"].stuck == ()


def test_pods_that_do_not_end_are_told_with_their_reasons_and_gpus(server):
    held = of("gpu-a", "held", container(3), init=[container(4)], node="h200-02")
    held["metadata"]["finalizers"] = ["example.com/hold", "example.com/too"]
    pods = [of("gpu-a", "one", container(2)), held, of("gpu-a", "ended", container(8), phase="Failed")]
    server.does(Namespaces({"gpu-a": pods, "gpu-b": [of("gpu-b", "one")]}, lasts=NEVER))
    told = []
    done = freed(server, "gpu-a", "gpu-b", timeout=7.0, told=told)
    finalizers = "the finalizers example.com/hold, example.com/too; check the controller that has to remove them"
    assert done["gpu-a"].stuck == (
        "pod one on node h200-01 has not ended; check the node",
        f"pod held on node h200-02 is held by {finalizers}",
    )
    assert (done["gpu-a"].held, done["gpu-b"].held) == (6, 2)
    assert server.watch.at == pytest.approx(7.0)
    assert told[0] == "waiting for the pods of 2 namespaces to end"


@pytest.mark.parametrize("failure", FAILURES, ids=lambda reply: reply.fault or str(reply.status))
def test_a_reading_that_fails_does_not_end_the_proof(server, failure):
    namespaces = Namespaces({"gpu-a": [of("gpu-a", "one")]}, failing=[failure] * 20 + [None])
    server.does(namespaces)
    told = []
    done = freed(server, "gpu-a", told=told)["gpu-a"]
    assert (done.stuck, done.held) == ((), 0)
    assert namespaces.failing == [None]
    assert told[0].startswith("waiting for the pods of 1 namespace to end; reading failed: ")


@pytest.mark.parametrize("failure", FAILURES, ids=lambda reply: reply.fault or str(reply.status))
def test_what_could_not_be_read_again_is_never_free(server, failure):
    """Also not the pod that had no node when it was seen last: it may have got one before it was deleted."""
    pods = [
        of("gpu-a", "one", container(2)),
        of("gpu-a", "waits", container(4), node="", phase="Pending"),
        of("gpu-a", "ended", container(8), phase="Failed"),
    ]
    server.does(Namespaces({"gpu-a": pods}, failing=[failure]))
    done = freed(server, "gpu-a", timeout=30.0)["gpu-a"]
    assert done.stuck[:2] == (
        "pod one on node h200-01 has not ended; check the node",
        "pod waits without a node has not ended",
    )
    assert done.stuck[2].startswith("its pods could not be read again: ")
    assert (len(done.stuck), done.held) == (3, 6)
    assert 30.0 <= done.seconds < 80.0


def test_a_failure_that_has_passed_is_not_told_at_the_end(server):
    server.does(Namespaces({"gpu-a": [of("gpu-a", "one")]}, lasts=NEVER, failing=[Reply(404, HTML), None]))
    told = []
    done = freed(server, "gpu-a", timeout=5.0, told=told)["gpu-a"]
    assert done.stuck == ("pod one on node h200-01 has not ended; check the node",)
    assert ["reading failed" in line for line in told[:2]] == [True, False]


def test_ended_pods_that_cannot_be_read_again_hold_nothing(server):
    server.does(Namespaces({"gpu-a": [of("gpu-a", "ended", phase="Failed")]}, failing=[Reply(404, HTML)]))
    done = freed(server, "gpu-a", timeout=3.0)["gpu-a"]
    assert (len(done.stuck), done.held) == (1, 0)


@pytest.mark.parametrize("fails", ["rolebindings", "serviceaccounts", "resourcequotas", "pods"])
def test_what_fails_before_the_pods_are_told_to_end_is_an_error(server, fails):
    namespaces = Namespaces({"gpu-a": [of("gpu-a", "one")]})
    server.does(lambda asked: refusal(403, "Forbidden") if f"/{fails}" in asked.path else namespaces(asked))
    with pytest.raises(ClusterUnreachable, match="may not"):
        freed(server, "gpu-a")
    assert (fails == "pods") or not any(asked.path.endswith("/pods") for asked in server.asked)


def test_a_deletion_that_is_refused_is_an_error_and_one_that_is_late_is_tried_again(server):
    namespaces = Namespaces({"gpu-a": [of("gpu-a", "one")]})
    refused = [refusal(422, "Invalid"), None, refusal(422, "Invalid"), refusal(422, "Invalid"), None]

    def answer(asked):
        if asked.method == "DELETE" and asked.path.endswith("/pods") and (reply := refused.pop(0)):
            return reply
        return namespaces(asked)

    server.does(answer)
    with pytest.raises(ClusterError, match="422"):
        freed(server, "gpu-a")
    namespaces.comes[namespaces.readings + 2] = ("gpu-a", of("gpu-a", "late"))
    assert freed(server, "gpu-a")["gpu-a"].stuck == ()
    assert refused == []


def test_many_namespaces_are_read_in_one_list(server):
    names = [f"gpu-{number}" for number in range(21)]
    namespaces = Namespaces({name: [of(name, "one", container(number % 3))] for number, name in enumerate(names)})
    namespaces.pods["other"] = [of("other", "one")]
    server.does(namespaces)
    assert not any(outcome.stuck for outcome in freed(server, *names).values())
    assert {asked.path for asked in server.asked if asked.method == "GET"} == {"/api/v1/pods"}
    assert deleted(server, "other") == 0
