"""Reads parts of a cluster. One that the identity may not read is returned as `Unread`, and is no error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gpuprov.core.manifests import TENANT_ROLE
from gpuprov.errors import ClusterError
from gpuprov.kube.client import KubeApi
from gpuprov.preflight.facts import Clock, Live, Seen, Unread

_OK, _NOT_FOUND = 200, 404
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_DRA = "/apis/resource.k8s.io"


Now = Callable[[], datetime]
"""This machine's clock."""


def read_clock(api: KubeApi, now: Now) -> Clock:
    """Ask for the server's time between two looks at this machine's. Do it on an open connection: the time to open one
    would look like a difference.
    """
    sent = now()
    answer = api.ask("GET", "/version")
    return Clock(sent=sent, received=now(), date=answer.date)


def read_object(api: KubeApi, path: str) -> Live | Unread | None:
    """Return one object, None where there is none, `Unread` where the server refuses it."""
    answer = api.ask("GET", path)
    if answer.status == _NOT_FOUND:
        return None
    return answer.data if answer.status == _OK else Unread(answer.message)


def read_list(api: KubeApi, path: str, **query: str) -> Seen:
    """Return a collection, `Unread` where it is refused. Raises ClusterUnreachable where the server is gone."""
    try:
        return tuple(api.list(path, **query))
    except ClusterError:
        answer = api.ask("GET", path, query={"limit": "1", **query})
        if answer.status == _NOT_FOUND:  # an API that this server does not have
            return ()
        if answer.status == _OK:
            raise
        return Unread(answer.message)


def read_chart(api: KubeApi) -> tuple[Seen, Seen, Live | Unread | None]:
    """Return what is read of charts/gpu-cluster: the admission policies, their bindings and the role of awardees."""
    policies = read_list(api, f"{_ADMISSION}/validatingadmissionpolicies")
    bindings = read_list(api, f"{_ADMISSION}/validatingadmissionpolicybindings")
    role = read_object(api, f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{TENANT_ROLE}")
    return policies, bindings, role


def read_uid(api: KubeApi) -> str | Unread:
    """Return the UID of the kube-system namespace, which tells one cluster from every other."""
    system = read_object(api, "/api/v1/namespaces/kube-system")
    if system is None:
        return Unread("there is none; is this a Kubernetes cluster?")
    return system if isinstance(system, Unread) else str(system["metadata"]["uid"])


def read_dra(api: KubeApi, *resources: str) -> tuple[Seen, ...]:
    """Return collections of resource.k8s.io in the version that the server prefers; none where it does not serve it."""
    group = api.ask("GET", _DRA)
    if group.status == _NOT_FOUND:
        return tuple(() for _ in resources)
    version = (group.data.get("preferredVersion") or {}).get("version")
    if not version:
        return tuple(Unread(group.message or "the server names no version of resource.k8s.io") for _ in resources)
    return tuple(read_list(api, f"{_DRA}/{version}/{resource}") for resource in resources)
