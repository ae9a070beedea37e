"""Credentials for awardees whose supplier has no single sign-on: a service account's token that ends with the term.

The role binding of a tenant names the service account from the start; the account itself is made on request. A token
is bound to it, so deleting the account voids every token at once, and deleting the binding leaves them without rights.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gpuprov.cluster import ProviderCluster
from gpuprov.errors import ClusterError
from gpuprov.kube import KubeApi
from gpuprov.manifests import SERVICE_ACCOUNT, labels
from gpuprov.tenant import Tenant

SHORTEST_SECONDS = 600
"""Kubernetes' own lower bound for the life of a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token and where it is good: ``authority`` is the certificate that the server's is checked with, in PEM.

    ``issued`` and ``expires`` are by the API server's clock.
    """

    server: str
    authority: bytes
    token: str
    issued: datetime
    expires: datetime


def issue(cluster: ProviderCluster, tenant: Tenant, seconds: int) -> Token:
    """Make the tenant's service account where it is not there, and a token for it that lives ``seconds`` at most.

    Raises ClusterError, also where the server would let the token live longer; that token is void then.
    """
    api = KubeApi(cluster)
    accounts = f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts"
    api.create(accounts, _account(tenant))
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds},
    }
    answer = api.create(f"{accounts}/{SERVICE_ACCOUNT}/token", body)
    if answer is None:
        raise ClusterError(cluster.provider, f"no token for {tenant.namespace}; give the same command again")
    issued = datetime.fromisoformat(answer["metadata"]["creationTimestamp"])
    expires = datetime.fromisoformat(answer["status"]["expirationTimestamp"])
    if (expires - issued).total_seconds() > seconds + 1:  # the server prints whole seconds
        revoke(cluster, tenant.namespace)
        raise ClusterError(
            cluster.provider,
            f"the API server gave a token until {expires.isoformat()}, which is longer than the {seconds} s that the "
            "award has left; the token was revoked. Ask the supplier about --service-account-extend-token-expiration",
        )
    server, authority = api.endpoint()
    return Token(server=server, authority=authority, token=answer["status"]["token"], issued=issued, expires=expires)


def revoke(cluster: ProviderCluster, namespace: str) -> None:
    """Void every token of the tenant. Raises ClusterError."""
    KubeApi(cluster).delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/{SERVICE_ACCOUNT}")


def _account(tenant: Tenant) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": SERVICE_ACCOUNT, "namespace": tenant.namespace, "labels": labels(tenant)},
        "automountServiceAccountToken": False,
    }
