"""The Pulumi program of one stack: the same for `pulumi up` by hand and for the command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pulumi

from gpuprov.cluster import ProviderCluster
from gpuprov.component import AwardTenant, ClusterAccess, kubernetes_provider
from gpuprov.tenant import Tenant

UID_OUTPUT = "clusterUid"
CONTEXT_OUTPUT = "context"
TENANTS_OUTPUT = "tenants"


def summary(tenants: Sequence[Tenant]) -> dict[str, dict[str, Any]]:
    """Return what the stack's output ``tenants`` says of each award: namespace, quota and term."""
    return {
        tenant.award_id: {
            "namespace": tenant.namespace,
            "model": str(tenant.pool.model),
            "quota": {f"requests.{tenant.pool.resource}": tenant.gpus},
            "term": {"start": tenant.term_start.isoformat(), "end": tenant.term_end.isoformat()},
        }
        for tenant in tenants
    }


def declare(
    cluster: ProviderCluster,
    tenants: Sequence[Tenant],
    cluster_uid: str,
    *,
    only: Collection[str] | None = None,
    told: Mapping[str, Any] | None = None,
) -> None:
    """Declare the tenants of one provider's cluster and export what they are.

    ``only`` leaves out the components of all other awards, for a run that targets these so that its cost follows what
    changed; ``told`` is then what the output ``tenants`` says, since the tenants alone do not tell what of them was
    applied. Without tenants the stack is empty but for its outputs.
    """
    if tenants:
        provider = kubernetes_provider(cluster)
        ClusterAccess(provider)
        for tenant in tenants:
            if only is None or tenant.award_id in only:
                AwardTenant(tenant, cluster, provider)
    pulumi.export(UID_OUTPUT, cluster_uid)
    pulumi.export(CONTEXT_OUTPUT, cluster.context)
    pulumi.export(TENANTS_OUTPUT, summary(tenants) if told is None else dict(told))
