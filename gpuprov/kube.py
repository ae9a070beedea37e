"""A thin way to a provider's API server: JSON in, JSON out, and errors that name the provider.

The official client reads the kubeconfig, checks the server's certificate and renews credentials; its typed models are
left out because turning thousands of objects into them costs more than reading them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from pydantic_core import from_json

from gpuprov.cluster import ProviderCluster
from gpuprov.errors import ClusterError, ClusterUnreachable

CONNECT_SECONDS = 5
READ_SECONDS = 60
PAGE = 500
"""Objects in one page of a LIST: bounds the server's memory for one request."""

_loading = Lock()
"""The client hands a second thread the file of a certificate that the first has not written yet."""

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 400, 401, 403, 404, 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said to one request, whatever its status. ``date`` is its clock as HTTP writes it, if it told."""

    status: int
    data: dict[str, Any]
    date: str | None

    @property
    def message(self) -> str:
        """The server's reason for a refusal."""
        return str(self.data.get("message", ""))


class KubeApi:
    """Requests to one provider's cluster, through the context of its stack configuration.

    Every method raises ClusterUnreachable where the server does not answer or refuses the identity, and ClusterError
    for any other refusal.
    """

    def __init__(self, cluster: ProviderCluster) -> None:
        self.provider = cluster.provider
        self._context = cluster.context
        settings = client.Configuration()
        try:
            with _loading:
                config.load_kube_config(context=cluster.context, client_configuration=settings)
        except (ConfigException, OSError) as error:
            raise ClusterUnreachable(
                self.provider,
                f"no usable context {cluster.context!r} in the kubeconfig ({error}); set KUBECONFIG to the file that "
                "has it, or correct `context` in the stack's configuration",
            ) from error
        settings.retries = False  # a dead cluster is reported at once; whoever calls knows when to try again
        self._client = client.ApiClient(settings)

    def get(self, path: str) -> dict[str, Any] | None:
        """Return one object, or None where it does not exist."""
        return self._request("GET", path, missing_ok=True)

    def list(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Yield the items of a collection, page by page. The server leaves out their ``kind`` and ``apiVersion``."""
        token = ""
        while True:
            page = {"limit": str(PAGE), **query} | ({"continue": token} if token else {})
            found = self._request("GET", path, query=page) or {}
            about = {
                "apiVersion": found.get("apiVersion"),
                "kind": str(found.get("kind", "")).removesuffix("List"),
            }
            for item in found.get("items") or ():
                yield about | item
            token = found.get("metadata", {}).get("continue") or ""
            if not token:
                return

    def merge(self, path: str, patch: Mapping[str, Any], *, manager: str) -> None:
        """Change the fields that ``patch`` names, as ``manager``; an object that is gone stays gone."""
        query = {"fieldManager": manager}
        self._request("PATCH", path, query=query, body=patch, content="application/merge-patch+json", missing_ok=True)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Create an object and return it as it is then, or None where one of that name is there."""
        return self._request("POST", path, body=body, exists_ok=True)

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

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
        missing_ok: bool = False,
        exists_ok: bool = False,
    ) -> dict[str, Any] | None:
        answer = self.ask(method, path, query=query, body=body, content=content)
        if (answer.status == _NOT_FOUND and missing_ok) or (answer.status == _CONFLICT and exists_ok):
            return None
        if answer.status >= _BAD_REQUEST:
            raise self._refused(method, path, answer.status, str(answer.data.get("message")))
        return answer.data

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
    ) -> Answer:
        """Return the server's answer, a refusal too. Raises ClusterUnreachable only where there is none."""
        request = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.rest_client.request(
                *request[:3], body=body, _request_timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
            raw = response.read()
        except (urllib3.exceptions.HTTPError, client.ApiException, ConfigException, OSError) as error:
            raise ClusterUnreachable(
                self.provider,
                f"the API server of context {self._context!r} does not answer ({_short(error)}); check the cluster "
                "and the network, then run the same command again",
            ) from error
        data: dict[str, Any] = from_json(raw) if raw.startswith(b"{") else {"message": raw.decode(errors="replace")}
        return Answer(status=response.status, data=data, date=response.getheaders().get("Date"))

    def _refused(self, method: str, path: str, status: int, message: str) -> ClusterError:
        if status in (_FORBIDDEN, _UNAUTHORIZED):
            return ClusterUnreachable(
                self.provider,
                f"the identity of context {self._context!r} may not {method} {path} ({message}); give it that right",
            )
        return ClusterError(self.provider, f"{method} {path}: {status} {message}")


def _short(error: BaseException) -> str:
    """Return the innermost cause: the outer ones repeat the whole request."""
    reason = getattr(error, "reason", None)
    return _short(reason) if isinstance(reason, BaseException) else str(error)
