"""What a sandbox consists of: the clusters, their node pools, and the programs that run them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpuprov.errors import SandboxError

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
"""The programs of one cluster, in the order in which they start."""

H100 = "NVIDIA-H100-80GB-HBM3"
A100 = "NVIDIA-A100-SXM4-80GB"
H200 = "NVIDIA-H200"

GPU_RESOURCE = "nvidia.com/gpu"
PRODUCT_LABEL = "nvidia.com/gpu.product"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePool:
    """Servers of one accelerator in one cluster.

    ``product`` is the value of the node label ``label``, by default the one that NVIDIA's GPU feature discovery sets.
    ``resource`` is the name under which the servers offer their devices.
    """

    product: str
    count: int
    gpus_per_node: int = 8
    resource: str = GPU_RESOURCE
    label: str = PRODUCT_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """One cluster. Its name is also that of its kubeconfig context and folder, and the prefix of its nodes' names."""

    name: str
    pools: tuple[NodePool, ...]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SandboxError(f"{self.name!r} cannot be a cluster's name; use a-z, 0-9 and inner hyphens")

    @property
    def nodes(self) -> int:
        """Number of servers."""
        return sum(pool.count for pool in self.pools)

    @property
    def gpus(self) -> int:
        """Number of GPUs."""
        return sum(pool.count * pool.gpus_per_node for pool in self.pools)


DEFAULT_CLUSTERS = (
    ClusterSpec(name="samsung-sds", pools=(NodePool(product=H100, count=25),)),
    ClusterSpec(name="elice-cloud", pools=(NodePool(product=H100, count=50), NodePool(product=A100, count=10))),
    ClusterSpec(name="kt-cloud", pools=(NodePool(product=H200, count=50),)),
)
"""The three suppliers of the programme: 200 H100, 400 H100 and 80 A100, 400 H200."""


def check_binaries(binaries: Mapping[str, Path]) -> None:
    """Raise `SandboxError` with the names of all missing programs, if any of `COMPONENTS` is missing."""
    missing = [name for name in COMPONENTS if name not in binaries or not binaries[name].is_file()]
    if missing:
        raise SandboxError(f"no program for {', '.join(missing)}; get them with `gpuprov toolchain install`")
