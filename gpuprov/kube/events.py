"""Events on a cluster's objects: what `kubectl describe` and `kubectl get events` show."""

from __future__ import annotations

import logging
from datetime import datetime
from uuid import uuid4

from gpuprov.core.observed import Live
from gpuprov.errors import ClusterError
from gpuprov.kube.client import KubeApi

_LOG = logging.getLogger(__name__)

_LONGEST = 1024
"""Bytes of a message that the API takes (``MessageLengthLimit`` of events.k8s.io is the same)."""


def record(
    api: KubeApi, namespace: Live, reason: str, message: str, *, component: str, at: datetime, normal: bool
) -> None:
    """Record an event on a namespace. It lies in `default`, so it stays when the namespace goes.

    A failure is logged, and no error: what the event tells has happened all the same.
    """
    metadata, instant = namespace["metadata"], at.isoformat(timespec="seconds")
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:200]}.{uuid4().hex[:16]}", "namespace": "default"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Namespace",
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
        },
        "reason": reason,
        "message": message.encode()[:_LONGEST].decode(errors="ignore"),
        "type": "Normal" if normal else "Warning",
        "source": {"component": component},
        "firstTimestamp": instant,
        "lastTimestamp": instant,
        "count": 1,
    }
    try:
        api.create("/api/v1/namespaces/default/events", body)
    except ClusterError as error:
        _LOG.warning("no Event %s was recorded: %s", reason, error.message, extra={"namespace": metadata["name"]})
