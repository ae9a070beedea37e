"""What the preflight has read on a cluster: everything that its checks decide from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gpuprov.preflight.rights import Right

Live = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, and why: mostly a right that the identity does not have."""

    reason: str


Seen = tuple[Live, ...] | Unread
"""The objects of a collection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One request by this machine's clock, and the server's clock in between, as its HTTP header ``Date`` says it."""

    sent: datetime
    received: datetime
    date: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server said to a write that it was asked only to try (``dryRun=All``)."""

    status: int
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One cluster at the moment of reading.

    ``who`` is our identity as the server knows it. ``configs`` are the configurations of NVIDIA's device plugin by
    ConfigMap (``namespace/name``). ``tenant_pods`` are pods of tenants with what their namespace's annotation forces
    them to; ``api_servers`` are the pods of the API server, where the cluster has them. ``probed_pod`` and
    ``probed_namespace`` are the answers to writes that are tried and never done; None where there was nothing to try.
    """

    version: Live
    clock: Clock
    who: str
    uid: str | Unread
    rights: Mapping[Right, bool] | Unread
    nodes: Seen
    daemon_sets: Seen = ()
    configs: Mapping[str, tuple[Live, ...] | Unread] = field(default_factory=dict)
    device_classes: Seen = ()
    resource_slices: Seen = ()
    policies: Seen = ()
    bindings: Seen = ()
    tenant_role: Live | Unread | None = None
    tenant_pods: tuple[tuple[Live, Mapping[str, str]], ...] = ()
    api_servers: Seen = ()
    probed_pod: Reply | None = None
    probed_namespace: Reply | None = None
