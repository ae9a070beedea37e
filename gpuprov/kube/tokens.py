"""Credentials for awardees whose supplier has no single sign-on: a service account's token that ends with the term.

The role binding of a tenant names the service account from the start; the account itself is made on request. A token
is bound to it, so deleting the account voids every token, and deleting the binding leaves them without rights at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from gpuprov.core import naming
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import AWARD_ID, MANAGED_BY, MANAGER, SERVICE_ACCOUNT, labels
from gpuprov.core.tenant import Tenant
from gpuprov.errors import ClusterError
from gpuprov.kube.client import KubeApi

SHORTEST_SECONDS = 600
"""Kubernetes' own lower bound for the life of a token."""

REMEMBERED_SECONDS = 10
"""How long an API server still takes a token of an account that is gone, where it has just checked that token.

It is the constant ``TokenSuccessCacheTTL`` in ``pkg/kubeapiserver/options/authentication.go`` of Kubernetes. No option
of the server changes it, and each server of a cluster remembers for itself. Only with the token itself, which nobody
but the awardee has, could it be seen that it is over.
"""

_ROUNDING_SECONDS = 1
"""The server prints instants in whole seconds."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a cluster says before a token is asked for: its clock, and whether the award's namespace can be used.

    ``exists`` is true only for a namespace of ours; ``terminating`` is true while it is being deleted.
    """

    clock: datetime
    exists: bool
    terminating: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """A namespace whose tokens were voided. ``account`` is false where it had no service account, and so no token."""

    provider: str
    namespace: str
    account: bool


def look(cluster: ProviderCluster, award_id: str) -> Place:
    """Read the API server's clock and the award's namespace. Raises ClusterError, also where the server tells no time.

    Tokens end by that clock, whatever this machine's says.
    """
    api = KubeApi(cluster)
    namespace = api.get(f"/api/v1/namespaces/{naming.namespace(award_id)}") or {}
    date = api.ask("GET", "/version").date
    try:
        clock = parsedate_to_datetime(date or "")
    except ValueError as error:
        raise ClusterError(
            cluster.provider, f"the API server tells no time (Date: {date}); ask the supplier what stands before it"
        ) from error
    return Place(
        clock=clock if clock.tzinfo else clock.replace(tzinfo=UTC),
        exists=_is_of(namespace, award_id),
        terminating="deletionTimestamp" in namespace.get("metadata", {}),
    )


def issue(cluster: ProviderCluster, tenant: Tenant, seconds: int, until: datetime | None) -> Token:
    """Make the tenant's service account where it is not there, and a token for it that lives ``seconds`` at most.

    ``until`` is the instant, by the API server's clock, that no token may outlive; None where there is no such instant.
    Raises ClusterError, also where the server would let the token live longer; every token of the tenant is void then.
    """
    api = KubeApi(cluster)
    server, authority = api.endpoint()
    accounts = f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts"
    api.create(accounts, _account(tenant))
    answer = _request(api, accounts, seconds)
    late = _late(answer, seconds, until)
    if late > _ROUNDING_SECONDS and seconds - late >= SHORTEST_SECONDS:
        seconds -= late  # time went by since the clock was read; nobody has seen the first token
        answer = _request(api, accounts, seconds)
        late = _late(answer, seconds, until)
    if late > _ROUNDING_SECONDS:
        revoke(cluster, tenant.award_id)
        raise ClusterError(
            cluster.provider,
            f"the API server gave a token until {_expires(answer).isoformat()}, {late} s longer than the award lets it "
            "live; every token of the award was revoked. Ask the supplier how long its API server makes tokens live",
        )
    return Token(
        server=server,
        authority=authority,
        token=answer["status"]["token"],
        issued=_issued(answer),
        expires=_expires(answer),
    )


def revoke(cluster: ProviderCluster, award_id: str) -> Revoked | None:
    """Delete the award's service account and read back that it is gone; None where the cluster has no namespace for it.

    Its tokens are void then, after REMEMBERED_SECONDS at most. Raises ClusterError, also where the account stays.
    """
    api = KubeApi(cluster)
    namespace = naming.namespace(award_id)
    if not _is_of(api.get(f"/api/v1/namespaces/{namespace}") or {}, award_id):
        return None
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{SERVICE_ACCOUNT}"
    before = api.get(path)
    api.delete(path)
    left = api.get(path)
    if before and left and before["metadata"]["uid"] == left["metadata"]["uid"]:
        held = ", ".join(left["metadata"].get("finalizers") or ()) or "the server does not say by what"
        raise ClusterError(
            cluster.provider,
            f"the service account {SERVICE_ACCOUNT} in {namespace} is still there, held by {held}; remove what holds "
            "it, then rerun the same command",
        )
    return Revoked(provider=cluster.provider, namespace=namespace, account=before is not None)


def _is_of(namespace: Mapping[str, Any], award_id: str) -> bool:
    """Return whether a namespace of the award's name is ours: by its label, or, where that was lost, its annotation."""
    metadata = namespace.get("metadata", {})
    managed = (metadata.get("labels") or {}).get(MANAGED_BY) == MANAGER
    return managed or (metadata.get("annotations") or {}).get(AWARD_ID) == award_id


def _request(api: KubeApi, accounts: str, seconds: int) -> dict[str, Any]:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds},
    }
    answer = api.create(f"{accounts}/{SERVICE_ACCOUNT}/token", body)
    if answer is None:
        raise ClusterError(api.provider, f"no token from {accounts}; rerun the same command")
    return answer


def _late(answer: Mapping[str, Any], seconds: int, until: datetime | None) -> int:
    """Return how many seconds the token lives too long: beyond what was asked for, or beyond ``until``."""
    expires = _expires(answer)
    over = [(expires - _issued(answer)).total_seconds() - seconds]
    if until is not None:
        over.append((expires - until).total_seconds())
    return max(0, math.ceil(max(over)))


def _issued(answer: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(answer["metadata"]["creationTimestamp"])


def _expires(answer: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(answer["status"]["expirationTimestamp"])


def _account(tenant: Tenant) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": SERVICE_ACCOUNT, "namespace": tenant.namespace, "labels": labels(tenant)},
        "automountServiceAccountToken": False,
    }
