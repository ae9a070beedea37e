"""What keeps a request from being answered, and what the operator does about it."""

from __future__ import annotations

import ssl
from http.client import IncompleteRead

import urllib3
from kubernetes.client import ApiException
from kubernetes.config.config_exception import ConfigException


def unanswered(context: str, error: Exception) -> str:
    """Say why there is no answer, and what to do: a certificate or a credential is mended in the kubeconfig."""
    reason = innermost(error)
    if isinstance(error, ConfigException):
        return f"the credentials of context {context!r} cannot be used ({reason}); renew them in the kubeconfig"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return (
            f"the API server of context {context!r} has a certificate that the kubeconfig does not trust ({reason}); "
            "check `server` and `certificate-authority-data` there, and this machine's clock"
        )
    return (
        f"the API server of context {context!r} does not answer ({reason}); check the cluster and the network, then "
        "rerun the same command"
    )


def is_refused(error: Exception) -> bool:
    """Tell whether nobody listens at the server's address, as while it restarts."""
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)
    return refused and isinstance(error.__cause__, ConnectionRefusedError)


def is_broken_off(error: Exception) -> bool:
    """Tell whether a connection that was made has ended too early. One to what speaks no HTTP is not meant.

    One that is reset as soon as it was made is, and TLS that ends without a farewell: so does a server that dies, and a
    load balancer that has none behind it. The official client hides the latter in an exception of its own.
    """
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return isinstance(error.__cause__, ConnectionResetError)
    told = error.__context__ if isinstance(error, ApiException) else error
    cause = told.args[-1] if isinstance(told, _BROKEN) and told.args else None
    return isinstance(cause, (ConnectionError, IncompleteRead, ssl.SSLEOFError))


_BROKEN = (urllib3.exceptions.ProtocolError, urllib3.exceptions.SSLError)


def innermost(error: BaseException) -> str:
    """Return the innermost cause: the outer ones repeat the whole request."""
    reason = getattr(error, "reason", None)
    return innermost(reason) if isinstance(reason, BaseException) else str(error)
