"""A thin way to a provider's API server: JSON in, JSON out, and errors that name the provider.

The official client checks the server's certificate and renews credentials; its typed models are left out because
turning thousands of objects into them costs more than reading them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.config.config_exception import ConfigException

from gpuprov.core.cluster import ProviderCluster
from gpuprov.errors import ClusterError, ClusterUnreachable
from gpuprov.kube.answer import Answer, read
from gpuprov.kube.kubeconfig import read_context
from gpuprov.kube.retries import passing, pause

CONNECT_SECONDS = 5
READ_SECONDS = 60
PAGE = 500
"""Objects in one page of a LIST: bounds the server's memory for one request."""
RESUMES = 3
"""How often a LIST is gone on with after the server has forgotten its beginning."""

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _GONE = 400, 401, 403, 404, 409, 410
_JSON, _MERGE = "application/json", "application/merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time, as far as waiting needs it: seconds that only go up, and how to let some of them pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class KubeApi:
    """Requests to one provider's cluster, through the context of its stack configuration.

    Every method raises ClusterUnreachable where the server does not answer or refuses the identity, and ClusterError
    for any other refusal. What passes is waited for, as `retries` has it: a server that is busy or fails, and a
    connection that it breaks off. One that refuses connections is reported at once.
    """

    def __init__(self, cluster: ProviderCluster, *, clock: Clock | None = None) -> None:
        self.provider = cluster.provider
        self.clock = clock or Clock()
        self._context = cluster.context
        settings = read_context(cluster)
        settings.retries = False  # urllib3's own would hide how often and why
        self._client = client.ApiClient(settings)

    def get(self, path: str) -> dict[str, Any] | None:
        """Return one object, or None where it does not exist."""
        return self._request("GET", path, missing_ok=True)

    def list(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Yield each item of a collection once, page by page. The server leaves out their ``kind`` and ``apiVersion``.

        Where the server has forgotten the state of the first page (410 after some minutes), the rest is of a later one:
        what was there all the time is yielded in any case.
        """
        token, resumes = "", 0
        yielded: set[tuple[str | None, str]] = set()
        while True:
            page = {"limit": str(PAGE), **query} | ({"continue": token} if token else {})
            answer = self._send("GET", path, query=page)
            if answer.status == _GONE and resumes < RESUMES:
                resumes += 1
                token = answer.next_page  # without one the LIST starts over
                continue
            found = self._accepted("GET", path, answer)
            if "items" not in found:
                raise self._foreign("GET", path, answer)
            about = {"apiVersion": found.get("apiVersion"), "kind": str(found.get("kind", "")).removesuffix("List")}
            for item in found["items"] or ():
                name = item["metadata"].get("namespace"), item["metadata"]["name"]
                if name not in yielded:
                    yielded.add(name)
                    yield about | item
            token = answer.next_page
            if not token:
                return

    def merge(self, path: str, patch: Mapping[str, Any], *, manager: str) -> None:
        """Change the fields that ``patch`` names, as ``manager``; an object that is gone stays gone."""
        query = {"fieldManager": manager}
        self._request("PATCH", path, query=query, body=patch, content=_MERGE, missing_ok=True)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Create an object and return it as it is then, or None where one of that name is there.

        It is sent again like what may be done twice: if the first try had made the object, it is there.
        """
        answer = self._send("POST", path, body=body, repeatable=True)
        return None if answer.refused_as(_CONFLICT, "AlreadyExists") else self._accepted("POST", path, answer)

    def replace(self, path: str, body: Mapping[str, Any], *, conflict_ok: bool = False) -> dict[str, Any] | None:
        """Write an object whole, and return it as it is then.

        With ``conflict_ok`` return None where it is not any more what ``metadata.resourceVersion`` of ``body`` says.
        That can be our own doing, if a first try was written and its answer lost: read the object to know.
        """
        answer = self._send("PUT", path, body=body)
        if conflict_ok and answer.refused_as(_CONFLICT, "Conflict"):
            return None
        return self._accepted("PUT", path, answer)

    def endpoint(self) -> tuple[str, bytes]:
        """Return the server's address and the certificate, in PEM, that its own is checked with.

        Raises ClusterError where the kubeconfig does without: nobody is to be handed an address that is not checked.
        """
        settings = self._client.configuration
        if not settings.verify_ssl or not settings.ssl_ca_cert:
            raise ClusterError(
                self.provider, f"context {self._context!r} has no certificate authority; add it to the kubeconfig"
            )
        return settings.host, Path(settings.ssl_ca_cert).read_bytes()

    def delete(self, path: str, **query: str) -> None:
        """Delete an object or a collection; one that is gone already is a success."""
        self._request("DELETE", path, query=query, missing_ok=True)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = _JSON,
    ) -> Answer:
        """Return the server's answer, a refusal too. Raises ClusterUnreachable only where there is none.

        A page of a proxy is none, where it says that all is well (2xx) or that nothing is there (404).
        """
        answer = self._send(method, path, query=query, body=body, content=content)
        if answer.is_foreign:
            raise self._foreign(method, path, answer)
        return answer

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = _JSON,
        missing_ok: bool = False,
    ) -> dict[str, Any] | None:
        answer = self._send(method, path, query=query, body=body, content=content)
        return None if missing_ok and answer.says_missing(path) else self._accepted(method, path, answer)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = _JSON,
        repeatable: bool = False,
    ) -> Answer:
        """Return the server's answer, after as many tries as it takes and `gpuprov.kube.retries` allows."""
        repeatable = repeatable or method in ("GET", "PUT", "DELETE") or content == _MERGE
        begun, sent = self.clock.now(), 0
        while True:
            sent += 1
            outcome = self._try(method, path, query or {}, body, content)
            if isinstance(outcome, Answer):
                asked = outcome.retry_after
                again = passing(outcome.status, repeatable=repeatable, asked=asked)
            else:
                asked, again = None, repeatable and _broken_off(outcome)
            draw = random.random()  # noqa: S311 (it spreads clients over time, and is no secret)
            wait = pause(sent, self.clock.now() - begun, asked, draw) if again else None
            if wait is not None:
                self.clock.sleep(wait)
            elif isinstance(outcome, Answer):
                return outcome
            else:
                raise ClusterUnreachable(
                    self.provider,
                    f"the API server of context {self._context!r} does not answer ({_short(outcome)}); check the "
                    "cluster and the network, then rerun the same command",
                ) from outcome

    def _try(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None, content: str
    ) -> Answer | Exception:
        """Send a request once. Return the server's answer, or why there is none."""
        try:
            request = self._client.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params={"Accept": _JSON, "Content-Type": content},
                auth_settings=["BearerToken"],  # renewed where it has run out
            )
            response = self._client.rest_client.request(
                *request[:3], body=body, _request_timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
            return read(response.status, response.headers, response.read())
        except (urllib3.exceptions.HTTPError, client.ApiException, ConfigException, OSError) as error:
            return error

    def _accepted(self, method: str, path: str, answer: Answer) -> dict[str, Any]:
        """Return the object of an answer. Raises ClusterError, or ClusterUnreachable, where it is a refusal."""
        if answer.status in (_FORBIDDEN, _UNAUTHORIZED):
            raise ClusterUnreachable(
                self.provider,
                f"the identity of context {self._context!r} may not {method} {path} ({answer.message}); give it that "
                "right",
            )
        if answer.is_foreign:
            raise self._foreign(method, path, answer)
        if answer.status >= _BAD_REQUEST:
            raise ClusterError(self.provider, f"{method} {path}: {answer.status} {answer.message}{_advice(answer)}")
        return answer.data

    def _foreign(self, method: str, path: str, answer: Answer) -> ClusterUnreachable:
        return ClusterUnreachable(
            self.provider,
            f"{method} {path}: {answer.status} with {answer.message or 'no items'}, which no Kubernetes API server "
            f"answers; check `server` of context {self._context!r}, and the proxies between",
        )


def _advice(answer: Answer) -> str:
    if passing(answer.status, repeatable=True, asked=None):
        return "; the API server is busy or fails: rerun the same command in a while"
    if answer.status == _NOT_FOUND and not (answer.data.get("details") or {}).get("name"):
        return "; the API server has no such API, or something else answers for it: gpuprov preflight tells more"
    return ""


def _broken_off(error: Exception) -> bool:
    """Tell whether a connection that was made has ended too early. What is no HTTP at all stays that."""
    cause = error.args[-1] if isinstance(error, urllib3.exceptions.ProtocolError) and error.args else None
    return isinstance(cause, (ConnectionError, IncompleteRead))


def _short(error: BaseException) -> str:
    """Return the innermost cause: the outer ones repeat the whole request."""
    reason = getattr(error, "reason", None)
    return _short(reason) if isinstance(reason, BaseException) else str(error)
