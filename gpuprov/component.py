"""AwardTenant: one award's objects as a Pulumi component.

The objects are declared from the same manifests with which the drift check compares, by their type tokens; Pulumi's
typed classes would build a second description of the same objects, and cost more time for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pulumi

from gpuprov.cluster import ProviderCluster
from gpuprov.manifests import MANAGER, Manifest, cluster_role, tenant_manifests
from gpuprov.tenant import Tenant

TENANT_TYPE = "gpuprov:index:AwardTenant"
PLUGIN_VERSION = version("pulumi-kubernetes")

_GROUPS = {"v1": "core/v1"}


def type_token(manifest: Manifest) -> str:
    """Return Pulumi's type token of a Kubernetes object: ``kubernetes:core/v1:Namespace``."""
    api_version = manifest["apiVersion"]
    return f"kubernetes:{_GROUPS.get(api_version, api_version)}:{manifest['kind']}"


def _declared(manifest: Manifest) -> dict[str, Any]:
    """Add what the provider plugin needs to know.

    A fixed field manager lets a run adopt what an interrupted one left, and lets stacks and the command line write
    the same object; force takes back fields that somebody edited by hand.
    """
    metadata = manifest["metadata"]
    annotations = {
        **metadata.get("annotations", {}),
        "pulumi.com/patchFieldManager": MANAGER,
        "pulumi.com/patchForce": "true",
        "pulumi.com/skipAwait": "true",
    }
    if manifest["kind"] == "Namespace":  # its deletion must be awaited: a namespace that is going is not free
        del annotations["pulumi.com/skipAwait"]
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


class _Object(pulumi.CustomResource):
    """A Kubernetes object as its manifest states it."""

    def __init__(self, name: str, manifest: Manifest, opts: pulumi.ResourceOptions) -> None:
        super().__init__(type_token(manifest), name, _declared(manifest), opts)


class AwardTenant(pulumi.ComponentResource):
    """The namespace of an award with its quota, limits, isolation and, last of all, access.

    Deleting the namespace deletes what is in it, so nothing else is deleted by itself.
    """

    def __init__(self, tenant: Tenant, cluster: ProviderCluster, provider: pulumi.ProviderResource) -> None:
        super().__init__(TENANT_TYPE, tenant.award_id, {}, pulumi.ResourceOptions(provider=provider))
        namespace, *inside, binding = tenant_manifests(tenant, cluster)
        home = _Object(tenant.award_id, namespace, pulumi.ResourceOptions(parent=self))
        options = pulumi.ResourceOptions(parent=self, deleted_with=home, depends_on=[home])
        limits = [_Object(tenant.award_id, manifest, options) for manifest in inside]
        access = pulumi.ResourceOptions(parent=self, deleted_with=home, depends_on=[home, *limits])
        _Object(tenant.award_id, binding, access)
        self.register_outputs({})


class ClusterAccess(pulumi.ComponentResource):
    """What all tenants of a cluster share: the role that each tenant's binding refers to."""

    def __init__(self, provider: pulumi.ProviderResource) -> None:
        super().__init__("gpuprov:index:ClusterAccess", "access", {}, pulumi.ResourceOptions(provider=provider))
        role = cluster_role()
        _Object(role["metadata"]["name"], role, pulumi.ResourceOptions(parent=self))
        self.register_outputs({})


def kubernetes_provider(cluster: ProviderCluster) -> pulumi.ProviderResource:
    """Declare the plugin's configuration: the context's name, never credentials, so that none reach the state.

    ``clusterIdentifier`` keeps a changed address or certificate in the kubeconfig from replacing every tenant; that
    another cluster stands behind the context is what the guard checks.
    """
    settings: Mapping[str, Any] = {
        "context": cluster.context,
        "clusterIdentifier": cluster.provider,
        "enableServerSideApply": "true",
        "kubeClientSettings": '{"qps":500,"burst":500}',
        "suppressHelmHookWarnings": "true",
    }
    return pulumi.ProviderResource(
        "kubernetes", cluster.provider, dict(settings), pulumi.ResourceOptions(version=PLUGIN_VERSION)
    )
