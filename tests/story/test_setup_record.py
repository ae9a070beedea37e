"""The record that a set-up leaves on the cluster: none while Pulumi runs, and after a success what its state says."""

import json

import pytest
from cli_world import script
from golden_chart import chart
from played_api import Reply, not_found, played, refusal
from strategies import cluster

from gpuprov.engine import automation
from gpuprov.engine.messages import SetUp
from gpuprov.errors import EngineError
from gpuprov.kube import installed as on_cluster
from gpuprov.preflight.installed import COLLECTIONS, Record, differences, digest, name_of
from gpuprov.run import setup
from gpuprov.run.chart import source

MAPS = "/api/v1/namespaces/gpuprov-system/configmaps"
RECORD = f"{MAPS}/gpuprov-setup"
HOME = {"metadata": {"name": "gpuprov-system", "uid": "u"}}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", **HOME}
ROLE = chart("ClusterRole")["gpuprov-tenant"]


class Supplier:
    """An API server that keeps the record, and has one role of the chart."""

    def __init__(self):
        self.record = None
        self.refuses = ""

    def __call__(self, asked):
        if asked.path == "/version":
            return Reply(body={"gitVersion": "v1.36.3"})
        if asked.path.endswith("/kube-system"):
            return Reply(
                body={"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system", "uid": "uid"}}
            )
        if asked.path == "/api/v1/namespaces/gpuprov-system":
            return Reply(body=NAMESPACE)
        if asked.path in COLLECTIONS.values():
            items = [ROLE] if asked.path == COLLECTIONS["ClusterRole"] else []
            kind = next(kind for kind, path in COLLECTIONS.items() if path == asked.path)
            version = "rbac.authorization.k8s.io/v1" if items else "v1"
            return Reply(body={"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": items})
        return self.keep(asked)

    def keep(self, asked):
        assert asked.path in (MAPS, RECORD)
        if asked.method == self.refuses:
            return refusal(403, "Forbidden")
        if asked.method in ("POST", "PUT"):
            self.record = asked.body
            return Reply(body=asked.body)
        if self.record is None:
            return not_found("gpuprov-setup", "configmaps")
        body = self.record
        if asked.method == "DELETE":
            self.record = None
        return Reply(body=body)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The supplier's API server, and a Pulumi whose state has the namespace and one role."""
    resources = [
        {"type": f"kubernetes:x/v1:{found['kind']}", "custom": True, "outputs": found} for found in (NAMESPACE, ROLE)
    ]
    (tmp_path / "state.json").write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))
    script(tmp_path / "bin" / "pulumi", f'#!/bin/sh\ncat "{tmp_path}/state.json"\n')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    folder = tmp_path / "charts"
    folder.mkdir()
    (folder / "Chart.yaml").write_text("name: gpu-cluster\n", encoding="utf-8")
    with played(tmp_path, monkeypatch) as made:
        yield made


def asked(tmp_path):
    return SetUp(root=tmp_path, cluster=cluster("samsung-sds", H100=8), chart=tmp_path / "charts")


def test_after_a_success_the_cluster_has_the_digests_of_pulumis_state(tmp_path, monkeypatch, server):
    supplier = Supplier()
    server.does(supplier)
    during = []
    monkeypatch.setattr(automation, "set_up", lambda *_: during.append(supplier.record) or {"create": 2})
    supplier.record = {"kind": "ConfigMap", "metadata": {"name": "gpuprov-setup"}, "data": {"record": "old"}}
    message = asked(tmp_path)
    assert setup.install(message).operations == {"create": 2}
    assert during == [None]
    record = on_cluster.read_record(server.api)
    assert record.objects == {name_of(found): digest(found) for found in (NAMESPACE, ROLE)}
    made_from = source(message.chart, message.cluster, "v1.36.3")
    assert differences(record, made_from, on_cluster.read_objects(server.api)) == ()


def test_after_a_failure_there_is_no_record(tmp_path, monkeypatch, server):
    supplier = Supplier()
    server.does(supplier)
    supplier.record = {"kind": "ConfigMap", "metadata": {"name": "gpuprov-setup"}, "data": {}}

    def fails(*_):
        raise EngineError("Pulumi failed")

    monkeypatch.setattr(automation, "set_up", fails)
    with pytest.raises(EngineError):
        setup.install(asked(tmp_path))
    assert supplier.record is None


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_where_no_record_can_be_kept_the_set_up_is_done_and_says_so(tmp_path, monkeypatch, server, method, capsys):
    supplier = Supplier()
    supplier.refuses = method
    server.does(supplier)
    monkeypatch.setattr(automation, "set_up", lambda *_: {"create": 2})
    assert setup.install(asked(tmp_path)).operations == {"create": 2}
    told = capsys.readouterr().out
    assert told.count("so the next one starts Pulumi again: samsung-sds: the identity of context") == 1


def test_a_record_that_is_there_already_is_replaced(server):
    supplier = Supplier()
    there = refusal(409, "AlreadyExists")
    server.does(lambda asked: there if asked.method == "POST" else supplier(asked))
    on_cluster.write_record(server.api, Record(source="s", objects={"a": "b"}))
    assert on_cluster.read_record(server.api) == Record(source="s", objects={"a": "b"})


def test_only_the_charts_objects_are_asked_for(server):
    server.does(Supplier())
    on_cluster.read_objects(server.api)
    lists = {
        request.path: request.query["labelSelector"] for request in server.asked if "labelSelector" in request.query
    }
    assert lists.keys() == set(COLLECTIONS.values())
    assert set(lists.values()) == {"app.kubernetes.io/name=gpu-cluster,app.kubernetes.io/part-of=gpuprov"}


@pytest.mark.parametrize("by", ["the cluster", "Pulumi"])
def test_whoever_is_no_administrator_is_told_which_context_is_used(tmp_path, monkeypatch, server, by):
    supplier = Supplier()
    no = Reply(
        403, {"kind": "Status", "reason": "Forbidden", "message": 'namespaces "x" is forbidden: User "y" cannot'}
    )
    server.does(lambda asked: no if by == "the cluster" and asked.path.endswith("/kube-system") else supplier(asked))

    def fails(*_):
        raise EngineError('samsung-sds.setup: clusterroles "x" is forbidden: User "y" cannot patch')

    monkeypatch.setattr(automation, "set_up", fails)
    told = "the set-up needs a cluster administrator, whose context is `adminContext` in Pulumi.samsung-sds.yaml"
    with pytest.raises(EngineError, match=told):
        setup.install(asked(tmp_path))
