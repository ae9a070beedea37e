"""How Pulumi is told of a tenant's objects and of its plugin: plain data, which needs no Pulumi."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import MANAGER, Manifest

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


def provider_settings(cluster: ProviderCluster) -> dict[str, str]:
    """Return the plugin's configuration: the name of the context and no credentials, so that none reach the state.

    ``clusterIdentifier`` keeps a changed address or certificate in the kubeconfig from replacing every tenant; the
    guard checks whether the context leads to another cluster.
    """
    return {
        "context": cluster.context,
        "clusterIdentifier": cluster.provider,
        "enableServerSideApply": "true",
        "kubeClientSettings": '{"qps":500,"burst":500}',
        "suppressHelmHookWarnings": "true",
    }
