"""Clusters that are read side by side, with one kubeconfig: each finds the certificates that it needs."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import yaml
from kubernetes import client
from kubernetes.config import kube_config
from strategies import cluster

from gpuprov.kube.client import KubeApi
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
