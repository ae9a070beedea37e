"""A small client of one API server: JSON over mutual TLS, which trusts the sandbox's own authority only."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import urllib3

from gpuprov.sandbox.controlplane import Layout
from gpuprov.sandbox.ports import LOOPBACK

TIMEOUT_SECONDS = 5.0
Json = dict[str, Any]

NOT_ANSWERING = (urllib3.exceptions.HTTPError, OSError)
"""What a request raises if the server is down, not yet ready, or not ours."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: HTTP status and the parsed body (empty if it is not a JSON object)."""

    status: int
    body: Json

    @property
    def ok(self) -> bool:
        """Tell whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 (HTTP's success range)


class Api:
    """Sends requests as the sandbox's administrator. Use it as a context manager, which closes its connections."""

    def __init__(self, layout: Layout, port: int | None = None, *, connections: int = 4) -> None:
        """Connect lazily to the cluster's API server, or to another of its components on ``port``."""
        context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        context.load_cert_chain(*layout.key_pair("admin"))
        self._pool = urllib3.HTTPSConnectionPool(
            LOOPBACK,
            port=layout.ports.api if port is None else port,
            maxsize=connections,
            timeout=urllib3.Timeout(total=TIMEOUT_SECONDS),
            retries=False,
            ssl_context=context,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def request(self, method: str, path: str, body: Json | None = None) -> Reply:
        """Send one request; raise one of `NOT_ANSWERING` if there is no response within `TIMEOUT_SECONDS`."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        content = None if body is None else json.dumps(body)
        answer = self._pool.request(method, path, body=content, headers=headers)
        try:
            parsed = json.loads(answer.data)
        except ValueError:
            parsed = {}
        return Reply(answer.status, parsed if isinstance(parsed, dict) else {})

    def get(self, path: str) -> Json | None:
        """Return the object at ``path``, or None if the server refuses or does not answer."""
        try:
            reply = self.request("GET", path)
        except NOT_ANSWERING:
            return None
        return reply.body if reply.ok else None

    def healthy(self, path: str) -> bool:
        """Tell whether a health endpoint such as ``/readyz`` answers with success."""
        return self.get(path) is not None
