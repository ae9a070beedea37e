"""An API server that restarts: it refuses connections for a while, and no request reaches it meanwhile."""

import json
import socket
import ssl
import struct
from contextlib import contextmanager, suppress
from threading import Thread

import pytest
import urllib3
from played_api import LAST, Reply, Watch, kubeconfig, played
from strategies import cluster

from gpuprov.errors import ClusterUnreachable
from gpuprov.kube import failures
from gpuprov.kube.client import KubeApi
from gpuprov.kube.retries import TOTAL_SECONDS, TRIES
from gpuprov.sandbox.pki import Authority

PATH = "/api/v1/namespaces/gpu-x"
ASKING = {
    "get": lambda api: api.get(PATH),
    "delete": lambda api: api.delete(PATH),
    "merge": lambda api: api.merge(PATH, {}, manager="gpuprov"),
    "create": lambda api: api.create("/api/v1/namespaces", {}),
    "replace": lambda api: api.replace(PATH, {}),
    "post": lambda api: api.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body={}),
}


@pytest.fixture
def server(tmp_path, monkeypatch):
    with played(tmp_path, monkeypatch) as made:
        made.answers(Reply(body={"kind": "Namespace", "metadata": {"name": "gpu-x"}}, headers=LAST))
        yield made


@pytest.mark.parametrize("asking", ASKING)
def test_a_restart_is_waited_for_and_each_request_reaches_the_server_once(server, asking):
    assert server.api.get(PATH) is not None
    server.starts_after(3)
    ASKING[asking](server.api)
    assert len(server.asked) == 2
    assert len(server.watch.slept) == 3


def test_a_server_that_stays_away_is_given_up_and_told(server):
    assert server.api.get(PATH) is not None
    server.stop()
    with pytest.raises(ClusterUnreachable, match=r"does not answer .*refused"):
        server.api.get(PATH)
    assert len(server.watch.slept) == TRIES - 1
    assert server.watch.at < TOTAL_SECONDS


def test_a_client_that_never_had_an_answer_does_not_wait(server):
    server.stop()
    with pytest.raises(ClusterUnreachable, match=r"does not answer .*refused"):
        server.api.get(PATH)
    assert server.watch.slept == []


def test_what_another_client_was_answered_says_nothing(server):
    """Its context may lead elsewhere."""
    assert server.api.get(PATH) is not None
    server.stop()
    with pytest.raises(ClusterUnreachable):
        KubeApi(cluster(), clock=server.watch.clock).get(PATH)
    assert server.watch.slept == []


@contextmanager
def balancer(folder, closes, *, resets=False):
    """Let a load balancer end so many connections in the handshake, while no server is behind it, and then answer."""
    pair = Authority("test").server("server")
    for name, text in {"crt": pair.certificate, "key": pair.key}.items():
        (folder / name).write_bytes(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    body = json.dumps({"kind": "Namespace", "metadata": {"name": "gpu-x"}}).encode()
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        left = closes
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    if left:
                        connection.recv(1 << 16)
                        if resets:
                            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        left -= 1
                        continue
                    with context.wrap_socket(connection, server_side=True) as talk:
                        talk.recv(1 << 16)
                        talk.sendall(answer)

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def behind(url, folder, monkeypatch):
    path = kubeconfig(folder / "kubeconfig", url, **{"insecure-skip-tls-verify": True})
    monkeypatch.setenv("KUBECONFIG", str(path))
    watch = Watch()
    return KubeApi(cluster(), clock=watch.clock), watch


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("resets", [False, True])
def test_a_load_balancer_without_a_server_behind_it_is_waited_for(resets, tmp_path, monkeypatch):
    with balancer(tmp_path, 2, resets=resets) as url:
        api, watch = behind(url, tmp_path, monkeypatch)
        assert api.get(PATH) is not None
        assert len(watch.slept) == 2


def test_a_connection_that_is_reset_while_it_is_made_was_broken_off_and_not_refused():
    """The reset may overtake the answer that the connection was accepted: then the system calls it a failed connect."""
    for cause, broken_off in ((ConnectionResetError(), True), (ConnectionRefusedError(), False), (OSError(), False)):
        error = urllib3.exceptions.NewConnectionError(urllib3.HTTPConnectionPool("127.0.0.1"), "failed")
        error.__cause__ = cause
        refused = isinstance(cause, ConnectionRefusedError)
        assert (failures.is_broken_off(error), failures.is_refused(error)) == (broken_off, refused)


def test_what_must_not_be_done_twice_is_not_sent_again_where_tls_has_ended_early(tmp_path, monkeypatch):
    with balancer(tmp_path, 1) as url:
        api, watch = behind(url, tmp_path, monkeypatch)
        with pytest.raises(ClusterUnreachable, match="EOF occurred"):
            api.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body={})
        assert watch.slept == []
