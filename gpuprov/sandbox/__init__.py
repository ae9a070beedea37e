"""Real Kubernetes clusters on this machine: kube-apiserver, etcd, controller-manager, scheduler, and kwok's nodes."""

from gpuprov.sandbox.cluster import ClusterStatus
from gpuprov.sandbox.sandbox import Sandbox
from gpuprov.sandbox.spec import A100, COMPONENTS, DEFAULT_CLUSTERS, H100, H200, ClusterSpec, NodePool

__all__ = [
    "A100",
    "COMPONENTS",
    "DEFAULT_CLUSTERS",
    "H100",
    "H200",
    "ClusterSpec",
    "ClusterStatus",
    "NodePool",
    "Sandbox",
]
