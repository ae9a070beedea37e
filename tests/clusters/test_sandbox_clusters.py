"""The sandbox's clusters, run for real: what they are, and who may do what."""

import json
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3
import yaml
from sandbox_fixtures import ALPHA, BETA, api_of, created, eventually, programs, state_of, while_up

from gpuprov.errors import SandboxError
from gpuprov.sandbox import COMPONENTS, Sandbox, process
from gpuprov.sandbox.pki import Authority

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with while_up(Sandbox(tmp_path_factory.mktemp("sandbox") / "root", programs(), (ALPHA, BETA))) as made:
        yield made


def uids(sandbox: Sandbox) -> dict[str, str | None]:
    return {cluster.name: cluster.uid for cluster in sandbox.status()}


def pids(sandbox: Sandbox, cluster: str) -> dict[str, int]:
    return next(status.pids for status in sandbox.status() if status.name == cluster)


def own_processes(sandbox: Sandbox) -> list[psutil.Process]:
    return [part.process for part in process.find(state_of(sandbox).sandbox_id)]


def pod(name: str, gpus: int, image: str = "nothing.invalid/none") -> dict[str, Any]:
    resources = {"limits": {"nvidia.com/gpu": str(gpus)}}
    container = {"name": "main", "image": image, "resources": resources}
    return {"metadata": {"name": name}, "spec": {"containers": [container]}}


def test_every_cluster_is_ready_with_its_nodes_and_gpus(sandbox: Sandbox) -> None:
    found = {status.name: status for status in sandbox.status()}
    assert {name: (s.ready, s.nodes_ready, s.gpus, s.problem) for name, s in found.items()} == {
        "alpha": (True, 3, 24, ""),
        "beta": (True, 1, 8, ""),
    }
    assert set(found["alpha"].pids) == set(COMPONENTS)
    assert found["alpha"].uid
    assert found["alpha"].uid != found["beta"].uid


def test_a_second_up_changes_nothing(sandbox: Sandbox) -> None:
    before = (uids(sandbox), pids(sandbox, "alpha"), pids(sandbox, "beta"), sandbox.kubeconfig.read_bytes())
    messages: list[str] = []
    sandbox.up(messages.append)
    assert sorted(messages) == ["alpha: is ready already", "beta: is ready already"]
    assert (uids(sandbox), pids(sandbox, "alpha"), pids(sandbox, "beta"), sandbox.kubeconfig.read_bytes()) == before


def test_other_clusters_than_those_that_are_there_are_refused(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="other clusters"):
        Sandbox(sandbox.root, programs(), (BETA,)).up()


def test_all_files_are_private(sandbox: Sandbox) -> None:
    for path in [sandbox.root, *sandbox.root.rglob("*")]:
        with suppress(FileNotFoundError):  # etcd renames its files
            assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path


def test_everything_listens_on_loopback_alone(sandbox: Sandbox) -> None:
    listening = {
        connection.laddr.ip
        for own in own_processes(sandbox)
        for connection in own.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_client_with_another_authority_refuses_the_server(sandbox: Sandbox) -> None:
    ports = state_of(sandbox).ports["alpha"]
    context = ssl.create_default_context(cadata=Authority("another").certificate.decode())
    for port in (ports.api, ports.etcd, ports.controller_manager, ports.scheduler):
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_etcd_lets_in_nobody_with_a_certificate_of_the_cluster(sandbox: Sandbox) -> None:
    layout = state_of(sandbox).layout(sandbox.root, "alpha")

    def health(certificate: str) -> int:
        context = ssl.create_default_context(cafile=str(layout.pki / "etcd-ca.crt"))
        context.load_cert_chain(*layout.key_pair(certificate))
        pool = urllib3.HTTPSConnectionPool("127.0.0.1", layout.ports.etcd, ssl_context=context, retries=False)
        return pool.request("GET", "/health").status

    assert health("etcd-client") == 200
    with pytest.raises((urllib3.exceptions.HTTPError, OSError)):
        health("admin")


def test_no_certificate_and_another_clusters_certificate_are_nobody(sandbox: Sandbox) -> None:
    state = state_of(sandbox)
    alpha, beta = (state.layout(sandbox.root, name) for name in ("alpha", "beta"))
    for credentials in (None, beta.key_pair("admin")):
        context = ssl.create_default_context(cafile=str(alpha.pki / "ca.crt"))
        if credentials is not None:
            context.load_cert_chain(*credentials)
        pool = urllib3.HTTPSConnectionPool("127.0.0.1", alpha.ports.api, ssl_context=context, retries=False)
        assert pool.request("GET", "/api/v1/namespaces").status == 401


def test_an_identity_without_bindings_may_do_nothing(sandbox: Sandbox) -> None:
    layout = state_of(sandbox).layout(sandbox.root, "alpha")
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    with api_of(sandbox, "alpha") as api:
        token = created(api, path, request).body["status"]["token"]
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    pool = urllib3.HTTPSConnectionPool("127.0.0.1", layout.ports.api, ssl_context=context, retries=False)
    answer = pool.request("GET", "/api/v1/nodes", headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 403
    assert "system:serviceaccount:default:default" in json.loads(answer.data)["message"]


def test_the_kubeconfig_works_for_a_stock_client(sandbox: Sandbox) -> None:
    from kubernetes import client, config

    for name, nodes in (("alpha", 3), ("beta", 1)):
        with config.new_client_from_config(str(sandbox.kubeconfig), context=f"{name}-admin") as api:
            assert len(client.CoreV1Api(api).list_node().items) == nodes
        with config.new_client_from_config(str(sandbox.kubeconfig), context=name) as api:
            me = client.AuthenticationV1Api(api).create_self_subject_review({}).status.user_info
            assert (me.username, "system:masters" in me.groups) == ("gpuprov", False)
    text = sandbox.kubeconfig.read_text()
    assert "insecure" not in text
    assert yaml.safe_load(text)["current-context"] == "alpha"


def test_a_gpu_pod_runs_within_its_quota_and_not_beyond(sandbox: Sandbox) -> None:
    with api_of(sandbox, "alpha") as api:
        selector = {"scheduler.alpha.kubernetes.io/node-selector": "nvidia.com/gpu.product=NVIDIA-A100-SXM4-80GB"}
        created(api, "/api/v1/namespaces", {"metadata": {"name": "award", "annotations": selector}})
        core = "/api/v1/namespaces/award"
        quota = {"metadata": {"name": "gpu"}, "spec": {"hard": {"requests.nvidia.com/gpu": "4"}}}
        created(api, f"{core}/resourcequotas", quota)
        eventually(lambda: (api.get(f"{core}/resourcequotas/gpu") or {}).get("status", {}).get("used"))
        eventually(lambda: api.get(f"{core}/serviceaccounts/default"))
        created(api, f"{core}/pods", pod("fits", 3))
        refused = api.request("POST", f"{core}/pods", pod("too-much", 2))
        assert refused.status == 403
        assert "exceeded quota: gpu" in refused.body["message"]
        eventually(lambda: (api.get(f"{core}/pods/fits") or {})["status"]["phase"] == "Running")
        # The only A100 node: the namespace's annotation forced the model.
        assert (api.get(f"{core}/pods/fits") or {})["spec"]["nodeName"] == "alpha-a100-00"
        api.request("DELETE", f"{core}/pods/fits")
        api.request("DELETE", core)
        eventually(lambda: api.request("GET", core).status == 404)


def test_one_cluster_stops_and_comes_back_with_its_data_while_the_other_goes_on(sandbox: Sandbox) -> None:
    before, beta = uids(sandbox), pids(sandbox, "beta")
    address = state_of(sandbox).layout(sandbox.root, "alpha").url
    sandbox.stop("alpha")
    found = {status.name: status for status in sandbox.status()}
    assert not found["alpha"].ready
    assert found["alpha"].pids == {}
    assert "not running: etcd" in found["alpha"].problem
    assert found["beta"].ready
    sandbox.start("alpha")
    assert uids(sandbox) == before
    assert pids(sandbox, "beta") == beta
    assert state_of(sandbox).layout(sandbox.root, "alpha").url == address
    assert all(status.ready for status in sandbox.status())


@pytest.mark.parametrize("component", COMPONENTS)
def test_up_restarts_only_what_died(sandbox: Sandbox, component: str) -> None:
    before, identities = pids(sandbox, "beta"), uids(sandbox)
    victim = next(own for own in own_processes(sandbox) if own.pid == before[component])
    process.end([victim], grace=0)
    sandbox.up()
    after = pids(sandbox, "beta")
    assert after.pop(component) != before.pop(component)
    if component not in ("etcd", "kube-apiserver"):  # others may end by themselves while they have no server
        assert after == before
    assert uids(sandbox) == identities


def test_an_unknown_cluster_is_named(sandbox: Sandbox) -> None:
    for act in (sandbox.stop, sandbox.start):
        with pytest.raises(SandboxError, match=r"no cluster 'gamma'.*alpha, beta"):
            act("gamma")


def test_a_new_port_is_chosen_where_the_old_one_is_taken_for_good(sandbox: Sandbox) -> None:
    before = uids(sandbox)
    sandbox.stop("beta")
    taken = state_of(sandbox).ports["beta"].api
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", taken))
        thief.listen()
        sandbox.start("beta")
    assert state_of(sandbox).ports["beta"].api != taken
    assert str(state_of(sandbox).ports["beta"].api) in sandbox.kubeconfig.read_text()
    assert uids(sandbox) == before


def test_a_component_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho the reason why\nexit 3\n")
    broken.chmod(0o700)
    made = Sandbox(tmp_path / "root", {**programs(), "etcd": broken}, (BETA,))
    try:
        with pytest.raises(SandboxError, match=r"beta: etcd ended by itself; .*etcd\.log ends with:\nthe reason why"):
            made.up()
    finally:
        made.down()
    assert not made.root.exists()
