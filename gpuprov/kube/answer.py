"""What an API server answers, and how to tell it from what a proxy answers in its place.

An API server that answers 404 sends a ``Status`` object, which names what does not exist. Only that counts: a load
balancer, or a server that lacks an API, answers 404 as well, and proves nothing gone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pydantic_core import from_json

_BAD_REQUEST, _NOT_FOUND = 400, 404
_NO_SUCH_PATH = "404 page not found"
"""The plain text with which an API server answers a path outside the groups that it serves."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one request, whatever its status. ``date`` is the server's clock as HTTP writes it, if it was sent.

    ``data`` has only a ``message`` where the answer is no JSON object. ``retry_after`` are the seconds after which the
    server wants to be asked again, None where it names none.
    """

    status: int
    data: dict[str, Any]
    date: str | None = None
    is_json: bool = True
    retry_after: float | None = None

    @property
    def message(self) -> str:
        """The server's reason for a refusal."""
        return str(self.data.get("message", ""))

    @property
    def next_page(self) -> str:
        """The token with which a LIST goes on; empty where it is complete, or can only be started over."""
        return str((self.data.get("metadata") or {}).get("continue") or "")

    @property
    def is_foreign(self) -> bool:
        """Whether this looks like a success or an absence, and is not what an API server sends for either."""
        if self.is_json:
            return False
        return self.status < _BAD_REQUEST or (self.status == _NOT_FOUND and self.message != _NO_SUCH_PATH)

    def refused_as(self, status: int, reason: str) -> bool:
        """Tell whether this is a refusal of an API server, for this reason."""
        return self.status == status and self.data.get("kind") == "Status" and self.data.get("reason") == reason

    def says_missing(self, path: str) -> bool:
        """Tell whether an API server says that the object at ``path``, or the namespace around it, does not exist."""
        name = (self.data.get("details") or {}).get("name")
        return self.refused_as(_NOT_FOUND, "NotFound") and name in unquote(path).split("/")


def read(status: int, headers: Mapping[str, str], raw: bytes) -> Answer:
    """Read an answer as HTTP brings it."""
    data, is_json = _object(raw)
    return Answer(
        status=status,
        data=data,
        date=headers.get("Date"),
        is_json=is_json,
        retry_after=_seconds(headers.get("Retry-After")),
    )


def _object(raw: bytes) -> tuple[dict[str, Any], bool]:
    if raw.startswith(b"{"):
        try:
            return from_json(raw), True
        except ValueError:
            return {"message": f"broken JSON: {_shortened(raw.decode(errors='replace'))}"}, False
    return {"message": _summary(raw.decode(errors="replace").strip())}, False


def _summary(text: str) -> str:
    if not text.startswith("<"):
        return _shortened(text) or "an empty body"
    title = _TITLE.search(text)
    return f"an HTML page {_shortened(title[1])!r}" if title else "an HTML page"


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} …"


def _seconds(header: str | None) -> float | None:
    """Return what ``Retry-After`` asks for. API servers write seconds; anything else, such as a date, is None."""
    text = (header or "").strip()
    return float(text) if text.isascii() and text.isdecimal() else None
