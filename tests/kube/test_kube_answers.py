"""What counts as the word of an API server: objects, absences, pages of a LIST. Bodies are as Kubernetes sends them."""

import pytest
from kubernetes.config.config_exception import ConfigException
from played_api import HTML, Reply, listing, not_found, played, refusal
from urllib3.exceptions import MaxRetryError, SSLError

from gpuprov.errors import ClusterError, ClusterUnreachable
from gpuprov.kube.client import RESUMES
from gpuprov.kube.failures import unanswered

NAMESPACE = "/api/v1/namespaces/gpu-x"
QUOTA = f"{NAMESPACE}/resourcequotas/gpu"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/gpuprov:x"
NOT_SERVED = Reply(
    404,
    {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server could not find the requested resource",
        "reason": "NotFound",
        "details": {},
        "code": 404,
    },
)
NO_SUCH_PATH = Reply(404, b"404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"})
NO_ABSENCE = {
    "a page": Reply(404, HTML),
    "another page": Reply(404, b"<!DOCTYPE html><p>gone"),
    "text": Reply(404, b"default backend - 404"),
    "nothing": Reply(404, b""),
    "a gateway's JSON": Reply(404, {"message": "no Route matched with those values"}),
    "another status": Reply(404, {"kind": "Status", "reason": "NotFound", "details": {"name": "gpu-y"}}),
    "a status of another kind": Reply(404, {"kind": "Error", "reason": "NotFound", "details": {"name": "gpu-x"}}),
    "another reason": refusal(404, "Expired", {"name": "gpu-x"}),
    "an API that is not served": NOT_SERVED,
    "a path that is not served": NO_SUCH_PATH,
}
NO_OBJECT = {
    "a page": Reply(200, HTML),
    "nothing": Reply(200, b""),
    "text": Reply(200, b"ok"),
    "a list": Reply(200, b"[1]"),
    "null": Reply(200, b"null"),
    "half an object": Reply(200, b'{"kind": "Namesp'),
    "a redirection": Reply(302, b"", {"Location": "https://login.example/"}),
}
ASKING = {
    "get": lambda api: api.get(NAMESPACE),
    "delete": lambda api: api.delete(NAMESPACE),
    "merge": lambda api: api.merge(NAMESPACE, {}, manager="gpuprov"),
}
ALL = ASKING | {
    "create": lambda api: api.create("/api/v1/namespaces", {}),
    "replace": lambda api: api.replace(NAMESPACE, {}, conflict_ok=True),
    "list": lambda api: list(api.list("/api/v1/namespaces")),
    "ask": lambda api: api.ask("GET", NAMESPACE),
}


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("asking", ASKING)
def test_an_object_is_missing_where_the_api_server_names_it(server, asking):
    server.answers(not_found("gpu-x"))
    assert ASKING[asking](server.api) is None


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        (QUOTA, not_found("gpu", "resourcequotas")),
        (QUOTA, not_found("gpu-x")),
        (ROLE, not_found("gpuprov:x", "clusterroles")),
        (ROLE.replace(":", "%3A"), not_found("gpuprov:x", "clusterroles")),
    ],
)
def test_the_name_is_that_of_the_object_or_of_what_it_is_in(server, path, reply):
    server.answers(reply)
    assert server.api.get(path) is None


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("answer", NO_ABSENCE)
def test_any_other_404_proves_nothing(server, asking, answer):
    server.answers(NO_ABSENCE[answer])
    with pytest.raises(ClusterError, match="404"):
        ASKING[asking](server.api)
    assert len(server.asked) == 1


def test_what_answers_in_the_place_of_an_api_server_is_told(server):
    server.answers(Reply(404, HTML))
    with pytest.raises(ClusterUnreachable) as caught:
        server.api.get(NAMESPACE)
    assert str(caught.value) == (
        f"samsung-sds: GET {NAMESPACE}: 404 with an HTML page '404 Not Found', which no Kubernetes API server answers; "
        "check `server` of context 'samsung-sds', and the proxies between"
    )


@pytest.mark.parametrize("reply", [NOT_SERVED, NO_SUCH_PATH])
def test_an_api_that_the_server_lacks_is_told(server, reply):
    server.answers(reply)
    with pytest.raises(ClusterError, match="has no such API, or something else answers for it"):
        server.api.get(NAMESPACE)
    assert server.api.ask("GET", NAMESPACE).status == 404


@pytest.mark.parametrize("asking", ALL)
@pytest.mark.parametrize("answer", NO_OBJECT)
def test_a_success_without_an_object_is_none(server, asking, answer):
    server.answers(NO_OBJECT[answer])
    with pytest.raises(ClusterUnreachable, match="which no Kubernetes API server answers"):
        ALL[asking](server.api)


@pytest.mark.parametrize("reply", [Reply(404, HTML), Reply(404, b"no such host")])
def test_the_preflight_does_not_take_a_page_for_an_absence(server, reply):
    server.answers(reply)
    with pytest.raises(ClusterUnreachable, match="which no Kubernetes API server answers"):
        server.api.ask("GET", NAMESPACE)


def test_a_long_answer_is_cut_short(server):
    server.answers(Reply(400, b"word\n" * 9999))
    with pytest.raises(ClusterError) as caught:
        server.api.get(NAMESPACE)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("reason", ["Conflict", "Timeout"])
def test_a_conflict_is_not_an_object_that_is_there(server, reason):
    """As where a quota was changed while it was charged."""
    server.answers(refusal(409, reason, {"name": "gpu-x"}))
    with pytest.raises(ClusterError, match="409"):
        server.api.create("/api/v1/namespaces", {})


def test_an_object_is_replaced_unless_somebody_else_has_changed_it(server):
    lease = {"kind": "Lease", "metadata": {"name": "up", "resourceVersion": "4"}}
    path = "/apis/coordination.k8s.io/v1/namespaces/gpuprov-system/leases/up"
    written = lease | {"metadata": {"name": "up", "resourceVersion": "5"}}
    server.answers(Reply(200, written), refusal(409, "Conflict", {"name": "up", "kind": "leases"}))
    assert server.api.replace(path, lease) == written
    assert server.asked == [("PUT", path, {}, lease)]
    assert server.api.replace(path, lease, conflict_ok=True) is None
    with pytest.raises(ClusterError, match="409"):
        server.api.replace(path, lease)


def test_a_conflict_of_another_kind_is_no_conflict_of_versions(server):
    server.answers(refusal(409, "AlreadyExists"))
    with pytest.raises(ClusterError, match="409"):
        server.api.replace(NAMESPACE, {}, conflict_ok=True)


def pod(name, namespace="gpu-x"):
    return {"metadata": {"name": name, "namespace": namespace}}


def expired(token=""):
    """What an API server says of a token whose revision etcd has compacted."""
    reply = refusal(410, "Expired")
    return Reply(410, reply.body | {"metadata": {"continue": token} if token else {}})


def names(server):
    return [pod["metadata"]["name"] for pod in server.api.list("/api/v1/pods", labelSelector="a=b")]


def test_a_list_goes_on_with_the_token_that_an_expired_one_is_answered_with(server):
    server.answers(listing(pod("a"), pod("b"), token="old"), expired("inconsistent"), listing(pod("c")))
    assert names(server) == ["a", "b", "c"]
    assert [request.query.get("continue") for request in server.asked] == [None, "old", "inconsistent"]
    assert {request.query["labelSelector"] for request in server.asked} == {"a=b"}


def test_a_list_starts_over_without_such_a_token_and_yields_each_object_once(server):
    server.answers(
        listing(pod("a"), pod("b"), token="old"),
        expired(),
        listing(pod("a"), pod("a", "gpu-y"), token="new"),
        listing(pod("b"), pod("c")),
    )
    assert names(server) == ["a", "b", "a", "c"]
    assert [request.query.get("continue") for request in server.asked] == [None, "old", None, "new"]


def test_a_list_that_always_expires_is_an_error(server):
    server.does(lambda asked: expired("more") if "continue" in asked.query else listing(pod("a"), token="old"))
    with pytest.raises(ClusterError, match="410"):
        names(server)
    assert len(server.asked) == RESUMES + 2


def test_a_list_of_nothing_and_one_without_items(server):
    server.answers(Reply(body={"kind": "PodList", "items": None}), Reply(body={"kind": "Pod"}))
    assert names(server) == []
    with pytest.raises(ClusterError, match="no items"):
        names(server)


def test_items_are_told_their_kind(server):
    server.answers(listing(pod("a")))
    assert list(server.api.list("/api/v1/pods")) == [{"apiVersion": "v1", "kind": "Pod"} | pod("a")]


def test_an_identity_that_is_not_known_needs_new_credentials_and_one_without_a_right_an_administrator(server):
    server.answers(refusal(401, "Unauthorized"))
    with pytest.raises(
        ClusterUnreachable, match=r"does not know the identity of context .*; renew its credentials in the"
    ):
        server.api.get(NAMESPACE)
    server.answers(refusal(403, "Forbidden"))
    with pytest.raises(ClusterUnreachable, match=r"may not GET .*; let the cluster's administrator give it that right"):
        server.api.get(NAMESPACE)


def test_a_certificate_or_a_credential_that_fails_is_mended_in_the_kubeconfig():
    bad = MaxRetryError(None, "/", SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"))  # type: ignore[arg-type]
    told = unanswered("kt", bad)
    assert told.startswith(
        "the API server of context 'kt' has a certificate that the kubeconfig does not trust ([SSL: "
    )
    assert "certificate-authority-data" in told
    told = unanswered("kt", ConfigException("exec: process returned 1"))
    assert told == (
        "the credentials of context 'kt' cannot be used (exec: process returned 1); renew them in the kubeconfig"
    )
    assert "check the cluster and the network" in unanswered("kt", TimeoutError("timed out"))
