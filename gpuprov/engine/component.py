"""AwardTenant: one award's objects as a Pulumi component.

The objects are declared from the manifests that the drift check compares with, by type token; Pulumi's typed classes
would be a second description of the same objects.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import FIXED_QUOTA, MANAGER, TENANT_TYPE, Manifest, tenant_manifests
from gpuprov.core.tenant import Tenant
from gpuprov.engine.registry import Registered, Registry

PLUGIN_VERSION = version("pulumi-kubernetes")

_GROUPS = {"v1": "core/v1"}


def type_token(manifest: Manifest) -> str:
    """Return Pulumi's type token of a Kubernetes object: ``kubernetes:core/v1:Namespace``."""
    api_version = manifest["apiVersion"]
    return f"kubernetes:{_GROUPS.get(api_version, api_version)}:{manifest['kind']}"


def declared(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest with the annotations that the provider plugin needs.

    A fixed field manager lets a run adopt what an interrupted run left, and lets stacks and the command line write the
    same object; force takes back fields that somebody edited by hand.
    """
    metadata = manifest["metadata"]
    annotations = {
        **metadata.get("annotations", {}),
        "pulumi.com/patchFieldManager": MANAGER,
        "pulumi.com/patchForce": "true",
        "pulumi.com/skipAwait": "true",
    }
    if manifest["kind"] == "Namespace":  # await its deletion: a terminating namespace still holds its name
        del annotations["pulumi.com/skipAwait"]
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def award_tenant(registry: Registry, provider: Registered, tenant: Tenant, cluster: ProviderCluster) -> None:
    """Register the namespace of an award with its quota, limits, isolation and, last of all, access.

    Pulumi never deletes any of it, whoever runs it and whatever the program leaves out: `gpuprov.kube.reclaim` deletes
    a namespace once its GPUs are proven free, and only then does it leave the state. Every name is the award's id, by
    which targets and shards find it; of the two quotas one has another parent, and so another URN. Raises
    pulumi.RunError.
    """
    component = registry.component(TENANT_TYPE, tenant.award_id)
    namespace, *inside = tenant_manifests(tenant, cluster)
    home = registry.custom(
        type_token(namespace), tenant.award_id, declared(namespace), parent=component, provider=provider
    )
    for manifest in inside:  # one after the other, in their order
        registry.custom(
            type_token(manifest),
            tenant.award_id,
            declared(manifest),
            parent=home if manifest["metadata"]["name"] == FIXED_QUOTA else component,
            provider=provider,
            depends_on=[home],
            deleted_with=home,
        )


def kubernetes_provider(registry: Registry, cluster: ProviderCluster) -> Registered:
    """Register the plugin's configuration: the name of the context and no credentials, so that none reach the state.

    ``clusterIdentifier`` keeps a changed address or certificate in the kubeconfig from replacing every tenant; the
    guard checks whether the context leads to another cluster.
    """
    settings = {
        "context": cluster.context,
        "clusterIdentifier": cluster.provider,
        "enableServerSideApply": "true",
        "kubeClientSettings": '{"qps":500,"burst":500}',
        "suppressHelmHookWarnings": "true",
    }
    return registry.provider("kubernetes", cluster.provider, settings, version=PLUGIN_VERSION)
