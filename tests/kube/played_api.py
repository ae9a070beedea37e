"""An API server that answers over real HTTP what a test tells it to, and a clock on which waiting takes no time."""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import yaml
from loopback import JsonHandler, serving
from strategies import cluster

from gpuprov.kube.client import Clock, KubeApi


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """One answer; ``fault`` breaks the connection off: before it, or in the middle of its body."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


LAST = {"Connection": "close"}
"""The header with which a server ends a connection after an answer."""

RESET = Reply(fault="reset")
CUT = Reply(body={"kind": "Namespace", "metadata": {"name": "gpu-x"}}, fault="cut")
HTML = b"<html>\n<head><title>404\n Not Found</title></head><body>nginx</body></html>"


def refusal(status: int, reason: str, details: dict[str, Any] | None = None, **headers: str) -> Reply:
    """A Status object as an API server writes it."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": f"no: {reason}"}
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body | {"reason": reason, "details": details or {}, "code": status}, told)


def not_found(name: str, kind: str = "namespaces") -> Reply:
    return refusal(404, "NotFound", {"name": name, "kind": kind})


def listing(*items: dict[str, Any], token: str = "", kind: str = "PodList") -> Reply:
    metadata = {"resourceVersion": "7"} | ({"continue": token} if token else {})
    return Reply(body={"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": list(items)})


def in_turn(*replies: Reply) -> Callable[[Asked], Reply]:
    """Answer with one after the other, and then always with the last."""
    left = list(replies)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


class Watch:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.at = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.at, sleep=self.sleep)


@dataclass
class Talk:
    """What was asked, how it is answered, and what went wrong with an answer: that is the test's own mistake."""

    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Reply] = field(default_factory=lambda: in_turn(RESET))
    mistakes: list[Exception] = field(default_factory=list)


@dataclass
class Server:
    """The API server, and a client whose waits are noted."""

    api: KubeApi
    watch: Watch
    talk: Talk
    url: str
    running: ExitStack

    @property
    def asked(self) -> list[Asked]:
        return self.talk.asked

    def answers(self, *replies: Reply) -> None:
        self.talk.answer = in_turn(*replies)

    def does(self, answer: Callable[[Asked], Reply]) -> None:
        self.talk.answer = answer

    def stop(self) -> None:
        """Refuse connections from now on. A reply with the header LAST leaves none open."""
        self.running.close()

    def start(self) -> None:
        """Listen again, at the same address."""
        self.running.enter_context(serving(_handler(self.talk), port=int(self.url.rpartition(":")[2])))

    def starts_after(self, waits: int) -> None:
        """Stop now, and start when the client, or whoever shares its clock, has waited so often."""
        sleep, left = self.watch.sleep, [waits]

        def starting(seconds: float) -> None:
            sleep(seconds)
            left[0] -= 1
            if left[0] == 0:
                self.start()

        self.watch.sleep = starting  # type: ignore[method-assign]
        self.api.clock = self.watch.clock
        self.stop()

    def count(self, method: str) -> int:
        return len([request for request in self.asked if request.method == method])


def _handler(talk: Talk) -> type[JsonHandler]:
    lock = Lock()

    class Handler(JsonHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment an answer: two would wait for each other

        def reply_as_told(self) -> None:
            url = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Asked(self.command, url.path, dict(parse_qsl(url.query)), json.loads(sent or b"null"))
            with lock:
                talk.asked.append(request)
                try:
                    reply = talk.answer(request)
                except Exception as error:  # noqa: BLE001 (the test is told when the server ends)
                    talk.mistakes.append(error)
                    reply = RESET
            if reply.fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.write(reply)
            self.close_connection = self.close_connection or bool(reply.fault)

        def write(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.raw)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.raw[: len(reply.raw) // 2] if reply.fault == "cut" else reply.raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = reply_as_told  # noqa: N815 (the base class's names)

    return Handler


def kubeconfig(path: Path, url: str, name: str = "samsung-sds", **server: Any) -> Path:
    """Write a kubeconfig with one context, and with more fields of its ``server``."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, **server}}],
        "users": [{"name": name, "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@contextmanager
def played(folder: Path, monkeypatch) -> Iterator[Server]:
    """Let an API server answer for the cluster ``samsung-sds`` as long as the block lasts."""
    watch = Watch()
    talk = Talk()
    with ExitStack() as running:
        url = running.enter_context(serving(_handler(talk)))
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(folder / "kubeconfig", url)))
        yield Server(KubeApi(cluster(), clock=watch.clock), watch, talk, url, running)
    assert talk.mistakes == []
