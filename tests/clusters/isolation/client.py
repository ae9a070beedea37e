"""Requests to a sandbox's API server as anybody: the administrator's certificate, a service account's token, or nobody.

gpuprov's own clients raise on a refusal and cannot show another identity; here the refusal is what is wanted.
"""

import json
import ssl
from collections.abc import Mapping
from typing import Any

import urllib3

from gpuprov.sandbox.api import Reply
from gpuprov.sandbox.controlplane import Layout

Json = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TIMEOUT_SECONDS = 60.0


class Client:
    """One identity on one cluster. Without ``token`` and ``certificate`` it is nobody."""

    def __init__(
        self,
        layout: Layout,
        *,
        token: str = "",
        certificate: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        if certificate:
            context.load_cert_chain(*layout.key_pair(certificate))
        self._pool = urllib3.HTTPSConnectionPool(
            "127.0.0.1", port=layout.ports.api, maxsize=4, timeout=TIMEOUT_SECONDS, retries=False, ssl_context=context
        )
        self._headers = {"Accept": "application/json", **(headers or {})}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        content: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and return whatever the server answers."""
        sent = self._headers | {"Content-Type": content} | dict(headers or {})
        raw = None if body is None else json.dumps(body)
        answer = self._pool.request(method, path, body=raw, headers=sent)
        try:
            parsed = json.loads(answer.data)
        except ValueError:
            parsed = {"message": answer.data.decode(errors="replace")}
        return Reply(answer.status, parsed if isinstance(parsed, dict) else {})

    def post(self, path: str, body: Json, **headers: str) -> Reply:
        return self.request("POST", path, body, headers=headers)

    def patch(self, path: str, body: Json, content: str = MERGE) -> Reply:
        return self.request("PATCH", path, body, content=content)

    def delete(self, path: str) -> Reply:
        return self.request("DELETE", path)

    def read(self, path: str) -> Json:
        """Return what is at ``path``; an empty object where nothing is."""
        reply = self.request("GET", path)
        assert reply.ok or reply.status == 404, (path, reply)
        return reply.body if reply.ok else {}

    def items(self, path: str) -> list[Json]:
        """Return the items of a collection that must be readable."""
        reply = self.request("GET", path)
        assert reply.ok, (path, reply)
        return list(reply.body.get("items") or ())

    def must(self, reply: Reply) -> Json:
        """Return the body of an answer that must be a success."""
        assert reply.ok, reply
        return reply.body
