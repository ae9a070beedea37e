"""GPUs that the scheduler hands out by dynamic resource allocation (DRA) under the name of a pool's resource.

From Kubernetes 1.36 on a device class answers plain requests for its extended resource on nodes whose device plugin
offers none: the scheduler makes a resource claim in the pod's namespace. The quota and the chart's rules take such a
claim for a way around the award, so every GPU pod of an awardee would stay pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import DRA_RESOURCE
from gpuprov.i18n import tr
from gpuprov.preflight.facts import Live, Seen, Unread

REMEDY = (
    "let NVIDIA's device plugin offer the GPUs, and take the device class away (NVIDIA's DRA driver has "
    "`resources.gpus.enabled=false`) or its extendedResourceName: gpuprov does not know GPUs of DRA yet"
)


def extended_name(device_class: Live) -> str:
    """Return the resource that a device class was told to answer for; empty where it was told of none."""
    return str((device_class.get("spec") or {}).get("extendedResourceName") or "")


def unseen(device_classes: Seen) -> tuple[str, ...]:
    """Return why the device classes cannot be judged, as a phrase; nothing where they can."""
    if isinstance(device_classes, Unread):
        return (tr("device classes of DRA cannot be seen: {reason}", reason=device_classes.reason),)
    return ()


def served(cluster: ProviderCluster, device_classes: Seen) -> tuple[str, ...]:
    """Return a phrase for each device class that answers for a GPU name of the quotas.

    A name that every class has by itself counts where it is a pool's; where it is another, the quota sets it to 0.
    """
    return tuple(_served(cluster, () if isinstance(device_classes, Unread) else device_classes))


def _served(cluster: ProviderCluster, device_classes: tuple[Live, ...]) -> Iterator[str]:
    awarded = {pool.resource for pool in cluster.pools}
    for device_class in device_classes:
        name = str(device_class["metadata"]["name"])
        extended = {extended_name(device_class)} & {*awarded, *cluster.other_gpu_resources}
        for resource in sorted(extended | ({DRA_RESOURCE + name} & awarded)):
            yield tr("device class {device_class} serves {resource} by DRA", device_class=name, resource=resource)
