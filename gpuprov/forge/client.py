"""Requests to the API of a platform, in JSON: retried where that does no harm; the token is sent to nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3

from gpuprov.errors import ForgeError
from gpuprov.i18n import tr
from gpuprov.outgoing import LOOPBACK, cause, pool_for

_LONGEST_WAIT = 60.0
"""Seconds to wait at most before a request is sent again, also where the platform asks for more."""

_PER_PAGE, _MOST_PAGES = 100, 100
_MOST_TOLD = 300
"""Characters of a platform's own words in a message."""


class _Retry(urllib3.Retry):
    """What the platform did not do is sent again, and so is what may be done twice; as `kube.retries` has it.

    A new comment is not, where it is unknown whether it was written: the next run finds it by its marker.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Tell whether an answer with this status is no reason to give up."""
        limited = status_code in {HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE} and has_retry_after
        if limited or status_code == HTTPStatus.TOO_MANY_REQUESTS:
            return bool(self.total)
        return super().is_retry(method, status_code, has_retry_after)

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """Return the seconds that the platform asks to wait, up to a bound."""
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, _LONGEST_WAIT)


_RETRIES = _Retry(
    total=5,
    redirect=0,
    allowed_methods={"GET", "PUT", "PATCH"},
    status_forcelist={500, 502, 503, 504},
    backoff_factor=0.5,
    backoff_max=10,
    raise_on_status=False,
    raise_on_redirect=False,
)


class Client:
    """The API at an address. ``headers`` have the token; it is in no message and in no log."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise ForgeError(tr("{address}: a token is sent over https only", address=address))
        self._address = address.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "gpuprov", **headers}
        self._pool = pool_for(address, urllib3.Timeout(connect=10, read=30))

    def pages(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page after page, as the platform links them. Raises ForgeError."""
        url = f"{self._address}/{path}?{urlencode({'per_page': _PER_PAGE, **query})}"
        for _ in range(_MOST_PAGES):
            items, following = self._request("GET", url)
            yield from items
            if following is None:
                return
            url = urljoin(url, following)
            if urlsplit(url)[:2] != urlsplit(self._address)[:2]:  # scheme, and host with port
                raise ForgeError(tr("{address} links its next page elsewhere: {url}", address=self._address, url=url))
        raise ForgeError(tr("{address}/{path} has too many pages", address=self._address, path=path))

    def get(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        """Return one document. Raises ForgeError."""
        return self._request("GET", f"{self._address}/{path}")[0]

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 (JSON)
        """Send a document, and return the answer. Raises ForgeError."""
        return self._request(method, f"{self._address}/{path}".rstrip("/"), body)[0]

    def _request(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> tuple[Any, str | None]:
        """Return the answer, and the link to the next page if there is one."""
        where = f"{method} {url.partition('?')[0]}"
        headers = self._headers | ({} if body is None else {"Content-Type": "application/json"})
        content = None if body is None else json.dumps(body)
        try:
            answer = self._pool.request(method, url, body=content, headers=headers, retries=_RETRIES)
        except urllib3.exceptions.HTTPError as error:
            reason = cause(getattr(error, "reason", None) or error)
            raise ForgeError(tr("{request}: no answer ({reason})", request=where, reason=reason)) from error
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise ForgeError(_refusal(where, answer))
        try:
            return answer.json(), _next(answer.headers.get("Link", ""))
        except ValueError as error:
            raise ForgeError(tr("{request}: the answer is no JSON", request=where)) from error


def _next(link: str) -> str | None:
    """Return the address of the next page from a header (RFC 8288): ``<…>; rel="prev", <…>; rel="next"``."""
    for part in link.split(","):
        address, _, parameters = part.partition(";")
        if 'rel="next"' in parameters.replace(" ", ""):
            return address.strip().strip("<>")
    return None


_REMEDIES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: tr("the token is not valid, or has expired"),
    HTTPStatus.FORBIDDEN: tr("the token may not do that: give the job the right to write comments and issues"),
    HTTPStatus.NOT_FOUND: tr("there is no such thing, or the token may not see it"),
    HTTPStatus.TOO_MANY_REQUESTS: tr("too many requests: rerun the job later"),
}


def _refusal(where: str, answer: urllib3.BaseHTTPResponse) -> str:
    """Return what a platform refused, in its own words and with what can be done."""
    try:
        told = answer.json()
        words = told.get("message") or told.get("error") or "" if isinstance(told, dict) else ""
    except ValueError:
        words = ""
    return tr(
        "{request}: {status} {words}; {remedy}",
        request=where,
        status=answer.status,
        words=str(words)[:_MOST_TOLD],
        remedy=_REMEDIES.get(answer.status, tr("rerun the job later")),
    )
