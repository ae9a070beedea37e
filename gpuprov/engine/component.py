"""AwardTenant: one award's objects as a Pulumi component.

The objects are declared from the manifests that the drift check compares with, by type token; Pulumi's typed classes
would be a second description of the same objects.
"""

from __future__ import annotations

from collections.abc import Sequence

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import FIXED_QUOTA, TENANT_TYPE, Manifest, tenant_manifests
from gpuprov.core.tenant import Tenant
from gpuprov.engine.declared import PLUGIN_VERSION, declared, provider_settings, type_token
from gpuprov.engine.registry import Registered, Registry


def award_tenant(registry: Registry, provider: Registered, tenant: Tenant, cluster: ProviderCluster) -> None:
    """Register the objects of an award that is to be on the cluster. Raises pulumi.RunError."""
    award_objects(registry, provider, tenant.award_id, tenant_manifests(tenant, cluster))


def award_objects(registry: Registry, provider: Registered, award_id: str, manifests: Sequence[Manifest]) -> None:
    """Register the namespace of an award with its quota, limits, isolation and, last of all, access.

    Pulumi never deletes any of it, whoever runs it and whatever the program leaves out: `gpuprov.kube.reclaim` deletes
    a namespace once its GPUs are proven free, and only then does it leave the state. Every name is the award's id, by
    which targets and shards find it; of the two quotas one has another parent, and so another URN. Raises
    pulumi.RunError.
    """
    component = registry.component(TENANT_TYPE, award_id)
    namespace, *inside = manifests
    home = registry.custom(type_token(namespace), award_id, declared(namespace), parent=component, provider=provider)
    for manifest in inside:  # one after the other, in their order
        registry.custom(
            type_token(manifest),
            award_id,
            declared(manifest),
            parent=home if manifest["metadata"]["name"] == FIXED_QUOTA else component,
            provider=provider,
            depends_on=[home],
            deleted_with=home,
        )


def kubernetes_provider(registry: Registry, cluster: ProviderCluster) -> Registered:
    """Register the plugin's configuration."""
    return registry.provider("kubernetes", cluster.provider, provider_settings(cluster), version=PLUGIN_VERSION)
