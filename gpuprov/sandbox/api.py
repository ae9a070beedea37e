"""A small client of one API server: JSON over mutual TLS, with the sandbox's own authority as the only trust."""

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
"""What a request raises while the server is not there, not yet ready, or somebody else's."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: HTTP status and the parsed body (empty where it is no JSON object)."""

    status: int
    body: Json

    @property
    def ok(self) -> bool:
        """Tell whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 (HTTP's success range)


class Api:
    """Requests as the sandbox's administrator. Close it, or use it in ``with``."""

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
        """Send one request; raise one of `NOT_ANSWERING` where no answer comes within `TIMEOUT_SECONDS`."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        content = None if body is None else json.dumps(body)
        answer = self._pool.request(method, path, body=content, headers=headers)
        try:
            parsed = json.loads(answer.data)
        except ValueError:
            parsed = {}
        return Reply(answer.status, parsed if isinstance(parsed, dict) else {})

    def get(self, path: str) -> Json | None:
        """Return the object at ``path``, or None where the server says no or does not answer."""
        try:
            reply = self.request("GET", path)
        except NOT_ANSWERING:
            return None
        return reply.body if reply.ok else None

    def healthy(self, path: str) -> bool:
        """Tell whether a health endpoint such as ``/readyz`` answers with success."""
        return self.get(path) is not None
