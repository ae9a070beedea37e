"""Threads that make clients side by side, of one kubeconfig, and threads that share one client."""

import base64
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import yaml
from kubernetes import client
from kubernetes.config import kube_config
from played_api import Reply, Server, played
from strategies import cluster

from gpuprov.kube.client import AT_ONCE, KubeApi
from gpuprov.sandbox.pki import Authority

CONTEXTS = ("a-cloud", "b-cloud", "c-cloud", "d-cloud")


def test_no_thread_is_given_the_file_of_a_certificate_that_another_still_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client keeps such files by their content, and remembers each before there is anything in it."""
    certificate = Authority("a CA that several clusters share").certificate
    settings = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "one",
                "cluster": {
                    "server": "https://127.0.0.1:1",
                    "certificate-authority-data": base64.b64encode(certificate).decode(),
                },
            }
        ],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": "one", "user": "me"}} for name in CONTEXTS],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    seen: list[bytes] = []

    def look(configuration: client.Configuration) -> object:
        seen.append(Path(configuration.ssl_ca_cert).read_bytes())
        return client.Configuration()

    monkeypatch.setattr(client, "ApiClient", look)
    together = Barrier(len(CONTEXTS))

    def connect(name: str) -> None:
        together.wait()
        KubeApi(cluster(name))

    with ThreadPoolExecutor(len(CONTEXTS)) as pool:
        for _ in range(100):
            kube_config._temp_files.clear()
            list(pool.map(connect, CONTEXTS))
    assert set(seen) == {certificate}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with played(tmp_path, monkeypatch) as made:
        made.does(lambda asked: Reply(body={"kind": "Namespace", "metadata": {"name": asked.path.rpartition("/")[2]}}))
        yield made


def ask_side_by_side(api: KubeApi, threads: int, each: int) -> list[tuple[str, str]]:
    """Let threads that begin together read namespaces; return the names that were asked for, and that were read."""
    together = Barrier(threads)

    def read(thread: int) -> list[tuple[str, str]]:
        together.wait()
        names = [f"gpu-{thread}-{number}" for number in range(each)]
        return [(name, (api.get(f"/api/v1/namespaces/{name}") or {})["metadata"]["name"]) for name in names]

    with ThreadPoolExecutor(threads) as pool:
        return [pair for pairs in pool.map(read, range(threads)) for pair in pairs]


def test_threads_that_share_a_client_are_each_given_their_own_answers(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """As teardowns ask, while the Lease is renewed. urllib3 warns where it had to drop a connection."""
    read = ask_side_by_side(server.api, AT_ONCE + 1, each=10)
    assert len(read) == len(server.asked) == (AT_ONCE + 1) * 10
    assert all(asked == got for asked, got in read)
    assert [record.getMessage() for record in caplog.records] == []


def test_a_token_that_has_run_out_is_renewed_by_one_thread_at_a_time(server: Server) -> None:
    """The renewal starts a program, which may ask its user for a password."""
    renewing, most = [], []

    def renew(configuration: client.Configuration) -> None:
        renewing.append(configuration)
        most.append(len(renewing))
        time.sleep(0.002)
        renewing.pop()

    server.api._client.configuration.refresh_api_key_hook = renew
    ask_side_by_side(server.api, 8, each=3)
    assert len(most) >= 8 * 3
    assert set(most) == {1}
