"""One request to an API server, as plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_ASKING = ("/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/", "/apis/coordination.k8s.io/")
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: ``body`` as JSON, of the media type ``content``.

    ``harmless`` is set where it does no harm to do it twice and the method does not tell: an object is created by its
    name, so that a second try finds it there, or something is asked and nothing kept.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    body: Mapping[str, Any] | None = field(default=None, kw_only=True)
    content: str = field(default=JSON, kw_only=True)
    harmless: bool = field(default=False, kw_only=True)

    @property
    def repeatable(self) -> bool:
        """Whether it does no harm to do it twice."""
        return self.harmless or self.method in ("GET", "PUT", "DELETE") or self.content == MERGE_PATCH

    @property
    def changes(self) -> bool:
        """Whether it changes anything but who has the turn: reviews and dry runs only ask, and a Lease is renewed."""
        return self.method != "GET" and "dryRun" not in self.query and not self.path.startswith(_ASKING)

    @property
    def namespace(self) -> str:
        """The namespace that it is about; empty where it is about none."""
        found = re.search(r"/namespaces/([^/]+)", self.path)
        return found[1] if found else ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
