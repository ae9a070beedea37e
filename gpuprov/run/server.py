"""The service's pages: whether it lives, whether it is ready, and its metrics. Nothing can be changed through them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr

Complaints = Callable[[], Sequence[str]]
"""Returns what is wrong, a line each; nothing where all is well."""


@contextmanager
def serving(
    address: tuple[str, int], registry: CollectorRegistry, alive: Complaints, ready: Complaints
) -> Iterator[str]:
    """Serve ``/healthz``, ``/readyz`` and ``/metrics`` while the block runs; yield the address.

    Raises InputError where the address cannot be used.
    """

    class Handler(_Handler):
        pages: ClassVar = {
            "/healthz": lambda: _words(alive()),
            "/readyz": lambda: _words(ready()),
            "/metrics": lambda: (HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST),
        }

    try:
        server = ThreadingHTTPServer(address, Handler)
    except OSError as error:
        value = "{}:{}".format(*address)
        message = tr("cannot listen there ({reason})", reason=error.strerror or str(error))
        problem = Problem(argument="--listen", value=value, message=message, remedy=tr("name another address"))
        raise InputError([problem]) from error
    thread = Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield "http://{}:{}".format(*server.server_address[:2])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _words(complaints: Sequence[str]) -> tuple[HTTPStatus, bytes, str]:
    status = HTTPStatus.SERVICE_UNAVAILABLE if complaints else HTTPStatus.OK
    return status, ("\n".join(complaints or ["ok"]) + "\n").encode(), "text/plain; charset=utf-8"


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[dict[str, Callable[[], tuple[HTTPStatus, bytes, str]]]]
    timeout = 10  # of a client that sends nothing

    def do_GET(self) -> None:
        """Answer with a page, or say which there are."""
        page = self.pages.get(self.path.partition("?")[0])
        there_are = ", ".join(self.pages)
        missing = HTTPStatus.NOT_FOUND, f"there are {there_are}\n".encode(), "text/plain; charset=utf-8"
        status, body, kind = missing if page is None else page()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Log no request: probes come every few seconds."""
