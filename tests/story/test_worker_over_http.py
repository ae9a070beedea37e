"""One provider's process on an API server played over HTTP: in which order it asks, and through how many clients."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from leases import Leases, keeping_leases
from played_api import Asked, Reply, listing, not_found
from strategies import MARCH, cluster, live, tenant

from gpuprov.core.outputs import Origin
from gpuprov.kube.client import KubeApi
from gpuprov.run import stack as stack_process
from gpuprov.run import worker
from gpuprov.run.job import Job, Reclaim, StackDone

WHERE = cluster("samsung-sds", H100=16)
GPUS = "requests.nvidia.com/gpu"
A, B, X = (tenant(name, 4, WHERE) for name in "ABX")
JOB = Job(
    root=Path("project"),
    project="gpuprov",
    at=MARCH,
    cluster=WHERE,
    cluster_uid="uid",
    origin=Origin(providers=("samsung-sds",), ledger={"events": 0, "sha256": ""}),
    turn=0,
    tenants=(A, B),
    recorded={"B": {}, "X": {}},
    changed=("A", "B", "X"),
    growing=("A",),
    shrinking=("B",),
    reclaim=(Reclaim(award_id="X", namespace=X.namespace, model="H100", gpus=4),),
)
"""A gets what X gives back; B shrinks from 8 GPUs to 4."""


class Namespaces:
    """The API server's part: the objects of each namespace, and no pods."""

    def __init__(self, leases: Leases, *tenants: Any) -> None:
        self.leases = leases
        self.objects = {tenant.namespace: deepcopy(dict(live(tenant, WHERE).objects)) for tenant in tenants}

    def write(self, tenant: Any) -> None:
        self.objects[tenant.namespace] = dict(live(tenant, WHERE).objects)

    def __call__(self, asked: Asked) -> Reply:
        if "/leases" in asked.path:
            return self.leases(asked)
        place, name = asked.path.split("/"), asked.path.rpartition("/")[2]
        namespace = place[place.index("namespaces") + 1 :][:1]
        if not namespace:
            return listing(*(objects["Namespace", key] for key, objects in self.objects.items()))
        objects = self.objects.get(namespace[0], {})
        if name == "pods":
            return listing()
        if asked.method == "DELETE" and name == namespace[0]:
            self.objects.pop(name, None)
        quota = objects.get(("ResourceQuota", "gpu"))
        if asked.method == "PATCH" and quota:
            quota["spec"]["hard"] |= asked.body["spec"]["hard"]
        found = objects.get(("Namespace" if name == namespace[0] else "ResourceQuota", name))
        return Reply(body=found) if found else not_found(name)


def test_a_worker_has_one_client_and_asks_in_the_order_that_frees_before_it_grants(tmp_path, monkeypatch):
    made: list[KubeApi] = []
    make = KubeApi.__init__

    def counting(self: KubeApi, *given: Any, **more: Any) -> None:
        make(self, *given, **more)
        made.append(self)

    with keeping_leases(tmp_path, monkeypatch) as (server, leases):
        namespaces = Namespaces(leases, tenant("B", 8, WHERE), X)
        server.does(namespaces)

        def up(what: Any, progress: object) -> StackDone:
            server.asked.append(Asked("PULUMI", "", {}, [declared.award_id for declared in what.tenants]))
            namespaces.write(A)
            return StackDone(stack=what.stack, operations={"create": 6})

        monkeypatch.setattr(KubeApi, "__init__", counting)
        monkeypatch.setattr(stack_process, "run", up)
        outcome = worker.run(JOB)

    assert len(made) == 1
    assert (outcome.error, outcome.applied, outcome.lowered) == (None, ("A", "B", "X"), ("B",))
    assert [freed.award_id for freed in outcome.freed] == ["X"]
    writes = [f"{asked.method} {asked.path.rpartition('v1/')[2]}" for asked in server.asked if asked.method != "GET"]
    assert writes == [
        "POST namespaces/gpuprov-system/leases",
        "PATCH namespaces/gpu-b/resourcequotas/gpu",
        "DELETE namespaces/gpu-x/rolebindings/awardee",
        "DELETE namespaces/gpu-x/serviceaccounts/awardee",
        "PATCH namespaces/gpu-x/resourcequotas/gpu",
        "DELETE namespaces/gpu-x",
        "PULUMI ",
        "PUT namespaces/gpuprov-system/leases/gpuprov",
    ]


@pytest.mark.parametrize("gpus", [0, 3])
def test_what_was_not_written_is_read_back_over_the_same_client(gpus, tmp_path, monkeypatch):
    with keeping_leases(tmp_path, monkeypatch) as (server, leases):
        namespaces = Namespaces(leases, B)
        server.does(namespaces)

        def up(what: Any, progress: object) -> StackDone:
            if gpus:
                namespaces.write(tenant("A", gpus, WHERE))
            return StackDone(stack=what.stack)

        monkeypatch.setattr(stack_process, "run", up)
        outcome = worker.run(JOB.model_copy(update={"changed": ("A",), "shrinking": (), "reclaim": ()}))
    reason = f"its quota grants {gpus}" if gpus else "its namespace is not there"
    assert outcome.error == f"A: Pulumi reported success, and {reason}; rerun the command"
    assert outcome.applied == ()
