"""What a real API server says where gpuprov depends on it: absences, pods on nodes, tokens of a LIST that it forgot."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import urllib3
from sandbox_fixtures import ALPHA, admin_kubeconfig, eventually, programs, state_of, while_up

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.errors import ClusterError
from gpuprov.kube import client
from gpuprov.kube.client import KubeApi
from gpuprov.kube.reclaim import Teardown
from gpuprov.kube.usage import pods_on
from gpuprov.sandbox import Sandbox

pytestmark = pytest.mark.sandbox

GPU = "nvidia.com/gpu"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
CLUSTER = ProviderCluster(
    provider="alpha",
    context="alpha",
    pools=(
        GpuPool(
            model="H100",
            capacity=16,
            resource="nvidia.com/gpu",
            node_label={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
        ),
    ),
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with while_up(Sandbox(tmp_path_factory.mktemp("kube") / "root", programs(), (ALPHA,))) as made:
        yield made


@pytest.fixture
def api(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> KubeApi:
    monkeypatch.setenv("KUBECONFIG", str(admin_kubeconfig(sandbox)))
    return KubeApi(CLUSTER)


def namespace(api: KubeApi, name: str) -> str:
    """Make a namespace to which pods can come; return the path of its pods."""
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    eventually(lambda: api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
    return f"/api/v1/namespaces/{name}/pods"


def container(name: str, gpus: int, **fields: str) -> dict[str, Any]:
    return {"name": name, "image": "none.invalid/none", "resources": {"limits": {GPU: str(gpus)}}, **fields}


def start(api: KubeApi, pods: str, name: str, gpus: int, *init: dict[str, Any], on_node: bool = True) -> None:
    spec: dict[str, Any] = {"containers": [container("main", gpus)], "initContainers": list(init)}
    spec |= {"tolerations": [{"operator": "Exists"}]} if on_node else {"nodeSelector": {"is": "nowhere"}}
    api.create(pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    if on_node:
        eventually(lambda: (api.get(f"{pods}/{name}") or {}).get("spec", {}).get("nodeName"))


def teardown(api: KubeApi, timeout: float) -> Teardown:
    return Teardown.on(CLUSTER, api=api, timeout=timeout, progress=str)


def test_an_absence_is_told_by_name_and_an_api_that_is_not_served_is_none(api: KubeApi) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    assert api.get("/api/v1/namespaces/gpu-none") is None
    assert api.get("/api/v1/namespaces/gpu-none/resourcequotas/gpu") is None
    assert api.get(f"{rbac}/clusterroles/none:none") is None
    api.delete(f"{rbac}/namespaces/gpu-none/rolebindings/none")
    api.delete("/api/v1/namespaces/gpu-none/pods", gracePeriodSeconds="30")
    api.merge("/api/v1/namespaces/gpu-none/resourcequotas/gpu", {"spec": {"hard": {"pods": "0"}}}, manager="gpuprov")
    for path in (f"{rbac}/none/none", "/apis/none.example/v1/nones/none", "/api/v1/namespaces/default/nones/none"):
        with pytest.raises(ClusterError, match="has no such API"):
            api.get(path)


def test_an_object_is_replaced_only_in_the_version_that_was_read(api: KubeApi) -> None:
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "one"}, "spec": {}}
    first = api.create(LEASES, body)
    assert first is not None
    second = api.replace(f"{LEASES}/one", first | {"spec": {"holderIdentity": "second"}}, conflict_ok=True)
    assert second is not None
    assert api.replace(f"{LEASES}/one", first | {"spec": {"holderIdentity": "late"}}, conflict_ok=True) is None
    assert api.get(f"{LEASES}/one") == second


def test_what_pods_hold_is_what_the_scheduler_charges_also_while_they_terminate(
    api: KubeApi, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other, system = (namespace(api, name) for name in ("gpu-mine", "gpu-other", "elsewhere"))
    start(api, mine, "first", 1, container("sidecar", 1, restartPolicy="Always"), container("init", 3))
    start(api, mine, "waits", 8, on_node=False)
    start(api, other, "ended", 2)
    start(api, other, "terminates", 2)
    start(api, system, "theirs", 1)
    for name in ("ended", "terminates"):
        eventually(lambda path=f"{other}/{name}": (api.get(path) or {})["status"].get("phase") == "Running")
    failed = {"status": {"phase": "Failed"}}
    assert api.ask("PATCH", f"{other}/ended/status", body=failed, content="application/merge-patch+json").status == 200
    (status,) = sandbox.status()
    nodes = psutil.Process(status.pids["kwok"])
    nodes.suspend()  # as nodes that died
    try:
        eventually(lambda: nodes.status() == psutil.STATUS_STOPPED)
        api.delete(f"{other}/terminates")
        assert (api.get(f"{other}/terminates") or {})["metadata"]["deletionTimestamp"]
        monkeypatch.setattr(client, "PAGE", 1)
        assert pods_on(CLUSTER, None) == {"gpu-mine": {GPU: 4}, "gpu-other": {GPU: 2}}
        assert pods_on(CLUSTER, ["gpu-other", "elsewhere"]) == {"gpu-other": {GPU: 2}, "elsewhere": {GPU: 1}}
        (held,) = teardown(api, timeout=1).release(["gpu-other"])
        assert (held.held, len(held.stuck)) == (2, 1)
    finally:
        nodes.resume()
    assert not any(outcome.stuck for outcome in teardown(api, timeout=60).release(["gpu-mine", "gpu-other"]))
    assert pods_on(CLUSTER, None) == {}


def compact(sandbox: Sandbox, revision: int) -> None:
    """Let etcd forget what was before a revision, as the API server does every five minutes."""
    layout = state_of(sandbox).layout(sandbox.root, "alpha")
    context = ssl.create_default_context(cafile=str(layout.pki / "etcd-ca.crt"))
    context.load_cert_chain(*layout.key_pair("etcd-client"))
    with urllib3.PoolManager(ssl_context=context) as pool:
        url = f"https://127.0.0.1:{layout.ports.etcd}/v3/kv/compaction"
        assert pool.request("POST", url, body=json.dumps({"revision": revision})).status == 200


def test_a_list_goes_on_after_the_server_has_forgotten_its_beginning(
    api: KubeApi, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 1)
    names = [namespace["metadata"]["name"] for namespace in api.list("/api/v1/namespaces")]
    listed = api.list("/api/v1/namespaces")
    found = [next(listed)["metadata"]["name"]]
    for number in range(3):
        api.merge("/api/v1/namespaces/default", {"metadata": {"labels": {"number": str(number)}}}, manager="gpuprov")
    compact(sandbox, int((api.get("/api/v1/namespaces/default") or {})["metadata"]["resourceVersion"]))
    sandbox.stop("alpha")  # the server's own memory would still serve the old state
    sandbox.start("alpha")
    asked = []
    ask = api._send
    monkeypatch.setattr(api, "_send", lambda *some, **more: asked.append(ask(*some, **more)) or asked[-1])
    found += [namespace["metadata"]["name"] for namespace in listed]
    assert found == names
    assert [answer.status for answer in asked][:2] == [410, 200]
