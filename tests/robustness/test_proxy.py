"""The proxy between operators and an API server: what goes through it, and what a client sees of each fault."""

import ssl
from contextlib import closing, contextmanager

import pytest
import urllib3
from loopback import JsonHandler, serving
from proxy import Proxy, Server

from gpuprov.sandbox.pki import Authority

QUICK = urllib3.Timeout(total=0.3)


class Echo(JsonHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802
        self.reply(200, {"path": self.path})

    def do_POST(self):  # noqa: N802
        self.reply(200, {"body": self.rfile.read(int(self.headers["Content-Length"])).decode()})


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority("test")
    (folder / "ca.crt").write_bytes(authority.certificate)
    for name, pair in {"server": authority.server("server"), "client": authority.client("client")}.items():
        (folder / f"{name}.crt").write_bytes(pair.certificate)
        (folder / f"{name}.key").write_bytes(pair.key)
    return folder


def pair(keys, name):
    return str(keys / f"{name}.crt"), str(keys / f"{name}.key")


@pytest.fixture
def proxy(keys):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair(keys, "server"))
    with serving(Echo, context) as url:
        port = urllib3.util.parse_url(url).port
        with closing(Proxy(Server(port, pair(keys, "server"), pair(keys, "client"), keys / "ca.crt"))) as made:
            yield made


@contextmanager
def client(keys, port):
    with urllib3.HTTPSConnectionPool(
        "127.0.0.1", port, ca_certs=str(keys / "ca.crt"), retries=False, timeout=urllib3.Timeout(total=20)
    ) as pool:
        yield pool


@pytest.mark.parametrize("answering", [False, True])
def test_requests_and_answers_go_through(answering, keys, proxy):
    with client(keys, proxy.answering_port if answering else proxy.port) as pool:
        for number in range(3):  # over one connection
            assert pool.request("GET", f"/{number}").json() == {"path": f"/{number}"}
        assert pool.request("POST", "/", body="x" * 100_000).json() == {"body": "x" * 100_000}


@pytest.mark.parametrize(("code", "after"), [(429, "1"), (500, None)])
def test_a_busy_or_failing_server_answers_in_the_servers_form(code, after, keys, proxy):
    with client(keys, proxy.answering_port) as pool:
        proxy.refusing = (code, 1.0)
        refused = pool.request("POST", "/", body="x")
        assert (refused.status, refused.headers.get("Retry-After"), refused.json()["kind"]) == (code, after, "Status")
        proxy.refusing = None
        assert pool.request("GET", "/again").json() == {"path": "/again"}
    assert proxy.hit == 1


def test_a_silent_network_says_nothing_and_then_goes_on(keys, proxy):
    with client(keys, proxy.port) as pool:
        pool.request("GET", "/")
        proxy.silent = True
        with pytest.raises(urllib3.exceptions.TimeoutError):
            pool.request("GET", "/", timeout=QUICK)
        proxy.silent = False
        assert pool.request("GET", "/later").json() == {"path": "/later"}
    assert proxy.hit >= 1


def test_connections_are_reset_and_new_ones_too_for_a_while(keys, proxy):
    with client(keys, proxy.port) as pool:
        pool.request("GET", "/")
        proxy.broken = True
        assert proxy.break_off() >= 1
        with pytest.raises(urllib3.exceptions.HTTPError, match="reset"):
            pool.request("GET", "/")
        proxy.broken = False
        assert pool.request("GET", "/again").json() == {"path": "/again"}


def test_latency_delays(keys, proxy):
    with client(keys, proxy.port) as pool:
        pool.request("GET", "/")
        proxy.latency = 1.0  # and half as much at least
        with pytest.raises(urllib3.exceptions.TimeoutError):
            pool.request("GET", "/", timeout=QUICK)
        proxy.latency = 0.0


def test_nobody_listens_where_there_is_no_server(keys):
    with (
        closing(Proxy(Server(1, pair(keys, "server"), pair(keys, "client"), keys / "ca.crt"))) as made,
        client(keys, made.port) as pool,
        pytest.raises(urllib3.exceptions.HTTPError),
    ):
        pool.request("GET", "/")
