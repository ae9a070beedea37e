"""What the preflight reads of a cluster, over real HTTP, where parts of it may not be read or fail for a while."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from played_api import HTML, LAST, RESET, Asked, Reply, listing, not_found, played, refusal
from strategies import cluster

from gpuprov.errors import ClusterUnreachable
from gpuprov.kube import survey as survey_module
from gpuprov.kube.survey import survey
from gpuprov.preflight.facts import Facts, Unread
from gpuprov.preflight.rights import ASKED

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
DRA = "/apis/resource.k8s.io"
POOL = "nvidia.com/gpu.product=h100"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
CONFIG = "/api/v1/namespaces/gpu/configmaps/plugin-config"
TENANT_PODS = "/api/v1/namespaces/gpu-a/pods"
SYSTEM = "/api/v1/namespaces/kube-system"

TENANT = {
    "metadata": {"name": "gpu-a", "annotations": {"scheduler.alpha.kubernetes.io/node-selector": POOL}},
}
PLUGIN = {
    "metadata": {"name": "nvidia-device-plugin", "namespace": "gpu"},
    "spec": {
        "template": {
            "spec": {
                "containers": [{"name": "plugin", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.0"}],
                "volumes": [{"name": "config", "configMap": {"name": "plugin-config"}}],
            }
        }
    },
}
LISTS = {
    "/api/v1/nodes": "nodes",
    "/apis/apps/v1/daemonsets": "daemon_sets",
    f"{ADMISSION}/validatingadmissionpolicies": "policies",
    f"{ADMISSION}/validatingadmissionpolicybindings": "bindings",
    f"{DRA}/v1/deviceclasses": "device_classes",
    f"{DRA}/v1/resourceslices": "resource_slices",
    f"{SYSTEM}/pods": "api_servers",
}
"""The collections that are facts by themselves, with the names of these facts."""


def answer(asked: Asked) -> Reply:
    """Answer as a cluster with one tenant, whose identity may do everything."""
    if asked.method == "POST":
        return posted(asked)
    objects: dict[str, Any] = {
        "/version": {"gitVersion": "v1.33.1"},
        DRA: {"preferredVersion": {"version": "v1"}},
        SYSTEM: {"kind": "Namespace", "metadata": {"name": "kube-system", "uid": "uid-1"}},
        CONFIG: {"data": {"any": "version: v1"}},
    }
    if asked.path in objects:
        return Reply(body=objects[asked.path])
    lists = {"/api/v1/namespaces": [TENANT], TENANT_PODS: [{"metadata": {"name": "theirs"}}]}
    lists |= {path: [{"metadata": {"name": "one"}}] for path in LISTS} | {"/apis/apps/v1/daemonsets": [PLUGIN]}
    if asked.path in lists:
        return listing(*lists[asked.path])
    return not_found(asked.path.rpartition("/")[2])


def posted(asked: Asked) -> Reply:
    if asked.path == REVIEWS:
        return Reply(201, {"status": {"allowed": True}})
    if asked.path.endswith("/selfsubjectreviews"):
        return Reply(201, {"status": {"userInfo": {"username": "kim"}}})
    assert asked.query["dryRun"] == "All"
    return refusal(403, "Forbidden")


@pytest.fixture
def surveyed(tmp_path, monkeypatch):
    """Survey the cluster ``samsung-sds``; what ``instead`` answers is answered in the place of the usual."""
    with played(tmp_path, monkeypatch) as server:
        monkeypatch.setattr(survey_module, "KubeApi", lambda where: server.api)

        def read(instead: Callable[[Asked], Reply | None] = lambda asked: None) -> Facts:
            server.does(lambda asked: instead(asked) or answer(asked))
            return survey(cluster(), now=lambda: datetime(2026, 3, 1, tzinfo=UTC))

        read.server = server
        yield read


def forbidden(path: str) -> Callable[[Asked], Reply | None]:
    return lambda asked: refusal(403, "Forbidden") if asked.path == path else None


def test_everything_that_may_be_read_is_a_fact(surveyed):
    facts = surveyed()
    assert (facts.version["gitVersion"], facts.uid, facts.who) == ("v1.33.1", "uid-1", "kim")
    assert facts.rights == dict.fromkeys(ASKED, True)
    for name in LISTS.values():
        assert len(getattr(facts, name)) == 1, name
    assert facts.configs == {"gpu/plugin-config": ({"version": "v1"},)}
    assert [(pod["metadata"]["name"], dict(forced)) for pod, forced in facts.tenant_pods] == [
        ("theirs", {"nvidia.com/gpu.product": "h100"})
    ]
    assert (facts.probed_pod.status, facts.probed_namespace.status) == (403, 403)
    assert facts.clock.date.endswith(" GMT")


def test_nothing_is_written(surveyed):
    surveyed()
    reviews = ("selfsubjectaccessreviews", "selfsubjectreviews")
    for asked in surveyed.server.asked:
        written = asked.method != "GET" and not asked.path.endswith(reviews)
        assert not written or asked.query.get("dryRun") == "All", asked


@pytest.mark.parametrize("path", LISTS)
def test_a_collection_that_may_not_be_read_is_unread_and_all_else_is_read(surveyed, path):
    whole, facts = surveyed(), surveyed(forbidden(path))
    assert getattr(facts, LISTS[path]) == Unread("no: Forbidden")
    for name in set(LISTS.values()) - {LISTS[path]}:
        assert getattr(facts, name) == getattr(whole, name), name
    assert facts.configs == ({} if path.endswith("daemonsets") else whole.configs)


@pytest.mark.parametrize(("path", "fact"), [(SYSTEM, "uid"), (REVIEWS, "rights"), (CONFIG, "configs")])
def test_an_object_that_may_not_be_read_is_unread(surveyed, path, fact):
    read = getattr(surveyed(forbidden(path)), fact)
    assert (read if fact != "configs" else read["gpu/plugin-config"]) == Unread("no: Forbidden")


@pytest.mark.parametrize("path", ["/api/v1/namespaces", TENANT_PODS])
def test_tenants_that_may_not_be_read_are_none(surveyed, path):
    facts = surveyed(forbidden(path))
    assert facts.tenant_pods == ()
    assert (facts.probed_pod is None) == (path == "/api/v1/namespaces")


def test_where_dra_may_not_be_seen_it_is_not_taken_for_absent(surveyed):
    facts = surveyed(forbidden(DRA))
    assert (facts.device_classes, facts.resource_slices) == (Unread("no: Forbidden"), Unread("no: Forbidden"))
    facts = surveyed(lambda asked: not_found("resource.k8s.io") if asked.path == DRA else None)
    assert (facts.device_classes, facts.resource_slices) == ((), ())


def test_an_identity_with_no_right_at_all_is_surveyed(surveyed):
    facts = surveyed(lambda asked: None if asked.path == "/version" else refusal(403, "Forbidden"))
    assert (facts.who, facts.uid, facts.rights) == ("the identity", *[Unread("no: Forbidden")] * 2)
    assert all(isinstance(getattr(facts, name), Unread) for name in LISTS.values())
    assert isinstance(facts.tenant_role, Unread)
    assert (facts.configs, facts.tenant_pods, facts.probed_pod) == ({}, (), None)
    assert facts.probed_namespace.status == 403


def test_an_identity_that_the_server_does_not_know_is_an_error(surveyed):
    with pytest.raises(ClusterUnreachable, match="does not know the identity of context 'samsung-sds'"):
        surveyed(lambda asked: refusal(401, "Unauthorized"))


FAULTS = {
    "busy": refusal(429, "TooManyRequests", Retry_After="2"),
    "failing": refusal(500, "InternalError"),
    "reset": RESET,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("path", ["/version", "/api/v1/nodes", DRA, SYSTEM, CONFIG, TENANT_PODS])
def test_a_reading_that_fails_once_is_repeated(surveyed, path, fault):
    left = [FAULTS[fault]]
    facts = surveyed(lambda asked: left.pop() if asked.path == path and left else None)
    assert left == []
    assert replace(surveyed(), clock=facts.clock) == facts
    assert surveyed.server.watch.slept == ([2.0] if fault == "busy" else [pytest.approx(0.375, abs=0.126)])


def test_a_collection_whose_beginning_the_server_forgets_is_read_whole(surveyed):
    nodes = [{"metadata": {"name": name}} for name in ("one", "two", "three")]
    pages = [
        listing(nodes[0], token="old"),
        refusal(410, "Expired"),
        listing(*nodes[:2], token="new"),
        listing(nodes[2]),
    ]
    facts = surveyed(lambda asked: pages.pop(0) if asked.path == "/api/v1/nodes" else None)
    assert [node["metadata"]["name"] for node in facts.nodes] == ["one", "two", "three"]


def test_a_restart_in_the_middle_is_waited_for(surveyed):
    server = surveyed.server

    def instead(asked: Asked) -> Reply | None:
        if asked.path == "/api/v1/nodes":
            return listing({"metadata": {"name": "after"}})
        if asked.path == SYSTEM:
            server.starts_after(2)
        reply = answer(asked)
        return Reply(reply.status, reply.body, reply.headers | LAST)

    facts = surveyed(instead)
    assert (facts.uid, [node["metadata"]["name"] for node in facts.nodes]) == ("uid-1", ["after"])
    assert len(server.watch.slept) == 2


@pytest.mark.parametrize("path", ["/version", "/api/v1/nodes", REVIEWS, SYSTEM])
@pytest.mark.parametrize("reply", [Reply(200, HTML), RESET])
def test_where_no_api_server_answers_there_are_no_facts(surveyed, path, reply):
    with pytest.raises(ClusterUnreachable):
        surveyed(lambda asked: reply if asked.path == path else None)


@pytest.mark.parametrize("number", [1, 2, len(ASKED) + 1])
def test_a_review_that_the_server_could_not_make_is_not_a_missing_right(surveyed, number):
    """The server fails from that one on, however often it is asked."""
    asked_for: list[str] = []

    def instead(asked: Asked) -> Reply | None:
        if asked.path != REVIEWS:
            return None
        asked_for.append(asked.path)
        return refusal(500, "InternalError") if len(asked_for) >= number else None

    assert surveyed(instead).rights == Unread("no: InternalError")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_review_that_fails_once_is_asked_for_again(surveyed, fault):
    left = [FAULTS[fault]]
    facts = surveyed(lambda asked: left.pop() if asked.path == REVIEWS and left else None)
    assert facts.rights == dict.fromkeys(ASKED, True)
