"""An HTTP server on loopback, whose handler stands for the providers' API servers."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_SHUTDOWN_SECONDS = 0.01
"""How often the server looks whether it is to end: each test waits for that."""


def unused_port() -> int:
    """Return a port on which nobody listens."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port


def refusal(code: int, reason: str, name: str = "") -> tuple[int, dict[str, Any]]:
    """Return the answer of an API server that refuses: only its own word counts for an absence."""
    details = {"name": name} if name else {}
    return code, {"kind": "Status", "code": code, "reason": reason, "message": f"{reason} {name}", "details": details}


class JsonHandler(BaseHTTPRequestHandler):
    """Answers in JSON, and writes no log."""

    disable_nagle_algorithm = True  # on a connection that is kept a body would wait 40 ms for its header's receipt

    def reply(self, code: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a preflight asks for many things at once


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[str]:
    """Let the handler answer for as long as the block lasts; the block gets the server's address.

    Port 0 is one that is free.
    """
    server = _Server(("127.0.0.1", port), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(_SHUTDOWN_SECONDS,))
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
