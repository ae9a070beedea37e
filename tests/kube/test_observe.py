"""What is read of a cluster whose chart is older than gpuprov: the identity has the rights that the old chart gives."""

import pytest
from played_api import Reply, listing, not_found, played, refusal
from strategies import cluster, live, tenant

from gpuprov.kube.observe import observe

TENANT = tenant()
PLACES = {
    "Namespace": "/api/v1/namespaces",
    "ResourceQuota": "/api/v1/resourcequotas",
    "LimitRange": "/api/v1/limitranges",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "ConfigMap": "/api/v1/configmaps",
}


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        yield made


def answer(asked):
    """A complete tenant, on a cluster that has nothing of the chart."""
    objects = live(TENANT, cluster()).objects
    for kind, path in PLACES.items():
        if asked.path == path:
            return listing(*(body for (of, _), body in objects.items() if of == kind), kind=f"{kind}List")
    if asked.path == "/api/v1/namespaces/kube-system":
        return Reply(body={"kind": "Namespace", "metadata": {"name": "kube-system", "uid": "uid-1"}})
    if asked.path.startswith("/apis/admissionregistration.k8s.io/"):
        return listing(kind="List")
    return not_found(asked.path.rsplit("/", 1)[1])


def without_pages(asked):
    return refusal(403, "Forbidden") if asked.path == PLACES["ConfigMap"] else answer(asked)


def test_pages_that_may_not_be_read_are_lacking_and_all_else_is_seen(server):
    server.does(answer)
    whole = observe(cluster(), server.api)
    server.does(without_pages)
    seen = observe(cluster(), server.api)
    (had,), (has,) = whole.tenants, seen.tenants
    assert had.objects.keys() - has.objects.keys() == {("ConfigMap", "welcome")}
    assert has.objects.keys() <= had.objects.keys()
    (lacking,) = set(seen.missing) - set(whole.missing)
    assert lacking.startswith("pages of awards (ConfigMap welcome) cannot be seen: no: Forbidden")


def test_pages_are_asked_for_by_name_alone(server):
    server.does(answer)
    observe(cluster(), server.api)
    (asked,) = [request for request in server.asked if request.path == PLACES["ConfigMap"]]
    assert asked.query["fieldSelector"] == "metadata.name=welcome"
