"""A thin way to a provider's API server: JSON in, JSON out, and errors that name the provider.

The official client checks the server's certificate and renews credentials; its typed models are left out because
turning thousands of objects into them costs more than reading them.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.config.config_exception import ConfigException

from gpuprov.errors import ClusterError, ClusterUnreachable
from gpuprov.kube.answer import Answer, read
from gpuprov.kube.failures import innermost, is_broken_off, is_refused, unanswered
from gpuprov.kube.kubeconfig import read_context
from gpuprov.kube.request import JSON, MERGE_PATCH, Request
from gpuprov.kube.retries import passing, pause
from gpuprov.kube.target import Target

CONNECT_SECONDS = 5
READ_SECONDS = 60
PAGE = 500
"""Objects in one page of a LIST: bounds the server's memory for one request."""
RESUMES = 3
"""How often a LIST is gone on with after the server has forgotten its beginning."""

ONE_BY_ONE = 20
"""Up to this many namespaces are read one by one; for more the whole cluster is read at once."""

AT_ONCE = 16
"""Requests of one client that may be under way at the same time: as many connections are kept open."""

_LOG = logging.getLogger(__name__)
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _GONE = 400, 401, 403, 404, 409, 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time, as far as waiting needs it: seconds that only go up, and how to let some of them pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class KubeApi:
    """Requests to one provider's cluster, through the context of its stack configuration, or with ``settings`` of the
    official client.

    Every method raises ClusterUnreachable where the server does not answer or refuses the identity, and ClusterError
    for any other refusal. What passes is waited for, as `retries` has it: a server that is busy or fails, a connection
    that it breaks off, and its restart. A server that refuses the very first connection is reported at once.

    Making one reads the kubeconfig and its certificates, which takes about 17 ms; threads may share one.
    """

    def __init__(
        self, cluster: Target, *, clock: Clock | None = None, settings: client.Configuration | None = None
    ) -> None:
        self.provider = cluster.provider
        self.clock = clock or Clock()
        self._context = cluster.context
        settings = settings or read_context(cluster)
        settings.retries = False  # urllib3's own would hide how often and why
        settings.connection_pool_maxsize = AT_ONCE + 1  # and the Lease is renewed meanwhile
        self._client = client.ApiClient(settings)
        self._signing = Lock()  # else each thread renews a token that has run out, which may ask for a password
        self._has_answered = False

    def get(self, path: str) -> dict[str, Any] | None:
        """Return one object, or None where it does not exist."""
        return self._object(Request("GET", path))

    def list(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Yield each item of a collection once, page by page. The server leaves out their ``kind`` and ``apiVersion``.

        Where the server has forgotten the state of the first page (410 after some minutes), the rest is of a later one:
        what was there all the time is yielded in any case.
        """
        token, resumes = "", 0
        yielded: set[tuple[str | None, str]] = set()
        while True:
            page = Request("GET", path, query={"limit": str(PAGE), **query} | ({"continue": token} if token else {}))
            answer = self._send(page)
            if answer.status == _GONE and resumes < RESUMES:
                resumes += 1
                token = answer.next_page  # without one the LIST starts over
                continue
            collection = self._accepted(page, answer)
            if "items" not in collection:
                raise self._foreign(page, answer)
            kind = str(collection.get("kind", "")).removesuffix("List")
            type_of_items = {"apiVersion": collection.get("apiVersion"), "kind": kind}
            for item in collection["items"] or ():
                name = item["metadata"].get("namespace"), item["metadata"]["name"]
                if name not in yielded:
                    yielded.add(name)
                    yield type_of_items | item
            token = answer.next_page
            if not token:
                return

    def merge(self, path: str, patch: Mapping[str, Any], *, manager: str) -> None:
        """Change the fields that ``patch`` names, as ``manager``; an object that is gone stays gone."""
        self._object(Request("PATCH", path, query={"fieldManager": manager}, body=patch, content=MERGE_PATCH))

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Create an object and return it as the server has it, or None where one of that name is there.

        It is sent again like what may be done twice: None can then also mean that the first try has made it.
        """
        request = Request("POST", path, body=body, harmless=True)
        answer = self._send(request)
        return None if answer.refused_as(_CONFLICT, "AlreadyExists") else self._accepted(request, answer)

    def replace(self, path: str, body: Mapping[str, Any], *, conflict_ok: bool = False) -> dict[str, Any] | None:
        """Replace a whole object, and return it as the server has it.

        With ``conflict_ok`` return None where it was changed since the version in ``metadata.resourceVersion`` of
        ``body``. That change can be our own, if a first try was written and its answer lost: read the object to know.
        """
        request = Request("PUT", path, body=body)
        answer = self._send(request)
        if conflict_ok and answer.refused_as(_CONFLICT, "Conflict"):
            return None
        return self._accepted(request, answer)

    def endpoint(self) -> tuple[str, bytes]:
        """Return the server's address and its certificate authority, in PEM.

        Raises ClusterError where the kubeconfig has none: whoever is handed this address could not check the server.
        """
        settings = self._client.configuration
        if not settings.verify_ssl or not settings.ssl_ca_cert:
            raise ClusterError(
                self.provider, f"context {self._context!r} has no certificate authority; add it to the kubeconfig"
            )
        return settings.host, Path(settings.ssl_ca_cert).read_bytes()

    def delete(self, path: str, **query: str) -> None:
        """Delete an object or a collection; one that is gone already is a success."""
        self._object(Request("DELETE", path, query=query))

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = JSON,
        harmless: bool = False,
    ) -> Answer:
        """Return the server's answer, a refusal too. Raises ClusterUnreachable only where there is none.

        What a proxy answers in its place (2xx or 404 without a Kubernetes object) is no answer. ``harmless`` lets a
        POST be sent again whose answer is lost.
        """
        request = Request(method, path, query=query or {}, body=body, content=content, harmless=harmless)
        answer = self._send(request)
        if answer.is_foreign:
            raise self._foreign(request, answer)
        return answer

    def _object(self, request: Request) -> dict[str, Any] | None:
        """Return the object that a request is answered with, None where the one it is about does not exist."""
        answer = self._send(request)
        return None if answer.says_missing(request.path) else self._accepted(request, answer)

    def _send(self, request: Request) -> Answer:
        """Return the server's answer, after as many tries as it takes and `gpuprov.kube.retries` allows."""
        begun, sent = self.clock.now(), 0
        while True:
            sent += 1
            outcome = self._try(request)
            self._log(request, outcome)
            wait = self._wait(request, outcome, sent, self.clock.now() - begun)
            if wait is not None:
                self.clock.sleep(wait)
            elif isinstance(outcome, Answer):
                return outcome
            else:
                raise ClusterUnreachable(self.provider, unanswered(self._context, outcome)) from outcome

    def _log(self, request: Request, outcome: Answer | Exception) -> None:
        """Log the request and the status, or why there is no answer; neither body, which may have a credential."""
        level = logging.INFO if request.changes else logging.DEBUG
        if _LOG.isEnabledFor(level):
            answered = outcome.status if isinstance(outcome, Answer) else innermost(outcome)
            _LOG.log(
                level, "%s: %s", request, answered, extra={"provider": self.provider, "namespace": request.namespace}
            )

    def _wait(self, request: Request, outcome: Answer | Exception, sent: int, spent: float) -> float | None:
        """Return the seconds after which the request is sent again, None where it is not."""
        asked = None
        if isinstance(outcome, Answer):
            asked = outcome.retry_after
            again = passing(outcome.status, repeatable=request.repeatable, asked=asked)
        elif is_refused(outcome):  # nothing was sent, so nothing can be done twice
            again = self._has_answered
        else:
            again = request.repeatable and is_broken_off(outcome)
        draw = random.random()  # noqa: S311 (it spreads clients over time, and is no secret)
        return pause(sent, spent, asked, draw) if again else None

    def _try(self, request: Request) -> Answer | Exception:
        """Send a request once. Return the server's answer, or why there is none."""
        try:
            with self._signing:
                serialized = self._client.param_serialize(
                    request.method,
                    request.path,
                    query_params=list(request.query.items()),
                    header_params={"Accept": JSON, "Content-Type": request.content},
                    auth_settings=["BearerToken"],  # renewed where it has run out
                )
            response = self._client.rest_client.request(
                *serialized[:3], body=request.body, _request_timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
            answer = read(response.status, response.headers, response.read())
        except (urllib3.exceptions.HTTPError, client.ApiException, ConfigException, OSError) as error:
            return error
        self._has_answered = True
        return answer

    def _accepted(self, request: Request, answer: Answer) -> dict[str, Any]:
        """Return the object of an answer. Raises ClusterError, or ClusterUnreachable, where it is a refusal."""
        if answer.status == _UNAUTHORIZED:
            raise ClusterUnreachable(
                self.provider,
                f"the API server does not know the identity of context {self._context!r} ({answer.message}); renew its "
                "credentials in the kubeconfig, then rerun the same command",
            )
        if answer.status == _FORBIDDEN:
            raise ClusterUnreachable(
                self.provider,
                f"the identity of context {self._context!r} may not {request} ({answer.message}); let the cluster's "
                "administrator give it that right (`gpuprov preflight` names all that gpuprov needs)",
            )
        if answer.is_foreign:
            raise self._foreign(request, answer)
        if answer.status >= _BAD_REQUEST:
            raise ClusterError(self.provider, f"{request}: {answer.status} {answer.message}{_advice(answer)}")
        return answer.data

    def _foreign(self, request: Request, answer: Answer) -> ClusterUnreachable:
        return ClusterUnreachable(
            self.provider,
            f"{request}: {answer.status} with {answer.message or 'no items'}, which no Kubernetes API server "
            f"answers; check `server` of context {self._context!r}, and the proxies between",
        )


def _advice(answer: Answer) -> str:
    if passing(answer.status, repeatable=True, asked=None):
        return "; the API server is busy or fails: rerun the same command in a while"
    if answer.status == _NOT_FOUND and not (answer.data.get("details") or {}).get("name"):
        return "; the API server has no such API, or something else answers for it: gpuprov preflight tells more"
    return ""
