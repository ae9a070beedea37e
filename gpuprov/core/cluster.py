"""A supplier's Kubernetes cluster and the GPU pools that it brings: data from one stack's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gpuprov.core.accelerator import AcceleratorName, Resource
from gpuprov.core.invalid import invalid
from gpuprov.core.steps import Capacity, CapacityStep, Terms
from gpuprov.i18n import Message, tr

ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$")]
"""A provider's name: it is a stack name and a label value too."""

OTHER_GPU_RESOURCES: tuple[Resource, ...] = (
    "nvidia.com/gpu",
    "nvidia.com/gpu.shared",
    "nvidia.com/mig-1g.5gb",
    "nvidia.com/mig-1g.5gb.me",
    "nvidia.com/mig-1g.10gb",
    "nvidia.com/mig-1g.10gb.me",
    "nvidia.com/mig-1g.18gb",
    "nvidia.com/mig-1g.18gb.me",
    "nvidia.com/mig-1g.20gb",
    "nvidia.com/mig-1g.35gb",
    "nvidia.com/mig-2g.10gb",
    "nvidia.com/mig-2g.20gb",
    "nvidia.com/mig-2g.35gb",
    "nvidia.com/mig-3g.20gb",
    "nvidia.com/mig-3g.40gb",
    "nvidia.com/mig-3g.71gb",
    "nvidia.com/mig-4g.20gb",
    "nvidia.com/mig-4g.40gb",
    "nvidia.com/mig-4g.71gb",
    "nvidia.com/mig-7g.40gb",
    "nvidia.com/mig-7g.80gb",
    "nvidia.com/mig-7g.141gb",
)
"""Names under which NVIDIA's device plugin can offer a GPU or a slice of an A100, H100 or H200.

A quota on one name says nothing about the others: each that an award does not have is set to 0.
"""

DEVICE_CLASSES = ("gpu.nvidia.com", "mig.nvidia.com", "vfio.gpu.nvidia.com")
"""Device classes of NVIDIA's driver for dynamic resource allocation (DRA), the other way to a GPU."""


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=None, populate_by_name=True)


class PerGpu(_Config):
    """What a tenant may use beside each GPU of its award.

    Defaults are an eighth of a common 8-GPU server and no rule of the programme.
    """

    cpu: int = Field(default=24, ge=1, description="CPU cores")
    memory_gib: int = Field(default=200, ge=1, alias="memoryGiB", description="memory in GiB")
    storage_gib: int = Field(default=500, ge=0, alias="storageGiB", description="volume claims in GiB")
    ephemeral_gib: int = Field(default=2000, ge=1, alias="ephemeralGiB", description="the servers' own disks in GiB")


class ContainerDefaults(_Config):
    """What a container gets that declares nothing: a quota on cpu, memory or disk makes every one declare them."""

    cpu: int = Field(default=4, ge=1, description="CPU cores, request and limit")
    memory_gib: int = Field(default=32, ge=1, alias="memoryGiB", description="memory in GiB, request and limit")
    ephemeral_gib: int = Field(
        default=50, ge=1, alias="ephemeralGiB", description="the server's own disk in GiB, request and limit"
    )


_UNKNOWN = "unknown.invalid/accelerator"


class GpuPool(_Config):
    """The GPUs of one model in one cluster.

    ``capacity`` is as it was written; ask `capacity_at` how many GPUs there are.
    """

    model: AcceleratorName = Field(description="an accelerator of the programme")
    capacity: Capacity = Field(description="GPUs of this model in this cluster, or steps of them")
    resource: Resource = Field(description="the device plugin's resource name")
    node_label: dict[str, str] = Field(
        alias="nodeLabel", min_length=1, max_length=1, description="the label that tells this model's nodes"
    )
    per_gpu: PerGpu = Field(default=PerGpu(), alias="perGpu")
    sample_image: str | None = Field(
        default=None,
        alias="sampleImage",
        min_length=1,
        description="image of the sample pod and Job that awardees get; by default one from the public registry",
    )

    @model_validator(mode="before")
    @classmethod
    def _resource_of_the_model(cls, written: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 (YAML)
        """Take the accelerator's resource name where the pool names none."""
        if not isinstance(info.context, Terms) or not isinstance(written, Mapping) or "resource" in written:
            return written
        resources = info.context.resources or {}
        # A model that is unknown is refused by itself: no second problem for the name that nobody can know then.
        return {**written, "resource": resources.get(str(written.get("model")), _UNKNOWN)}

    @field_validator("model")
    @classmethod
    def _of_the_programme(cls, model: str, info: ValidationInfo) -> str:
        known = info.context.resources if isinstance(info.context, Terms) else None
        if known is not None and model not in known:
            names = ", ".join(known)
            message = tr("is no accelerator of the programme: write one of {names}", names=names)
            raise invalid("accelerator", message)
        return model

    @property
    def steps(self) -> tuple[CapacityStep, ...]:
        """The capacity over time, in order; the first step has no start. A plain number is one step."""
        return (CapacityStep(gpus=self.capacity),) if isinstance(self.capacity, int) else self.capacity

    def capacity_at(self, at: datetime) -> int:
        """Return how many GPUs the pool has at an (aware) instant."""
        return self.steps[self._step_at(at)].gpus

    def span_at(self, at: datetime) -> tuple[datetime | None, datetime | None]:
        """Return the half-open span around an instant in which one step holds; None where it has no bound."""
        steps, number = self.steps, self._step_at(at)
        return steps[number].start, steps[number + 1].start if number + 1 < len(steps) else None

    def _step_at(self, at: datetime) -> int:
        return sum(step.start is not None and step.start <= at for step in self.steps)


class ProviderCluster(_Config):
    """One supplier's cluster. Its name is the stack's name, its context a name in the kubeconfig."""

    provider: ProviderName
    aliases: tuple[str, ...] = Field(default=(), description="how award lists write this supplier")
    context: str = Field(min_length=1, description="the kubeconfig context; never credentials")
    admin_context: str | None = Field(
        default=None, alias="adminContext", description="context of a cluster administrator, for `gpuprov setup` alone"
    )
    exec_plugins: tuple[str, ...] = Field(
        default=(), alias="execPlugins", description="programs that the kubeconfig may run for credentials"
    )
    chart_values: dict[str, Any] = Field(
        default={}, alias="chartValues", description="values for charts/gpu-cluster on this cluster"
    )
    uid: str | None = Field(default=None, description="UID of the kube-system namespace, to pin the cluster")
    pools: tuple[GpuPool, ...] = Field(min_length=1)
    contact: str | None = Field(
        default=None, min_length=1, max_length=200, description="whom awardees ask: an address or a URL, on their page"
    )
    group_prefix: str = Field(default="gpuprov:", alias="groupPrefix", description="before the group's name")
    other_gpu_resources: tuple[Resource, ...] = Field(
        default=OTHER_GPU_RESOURCES, alias="otherGpuResources", description="resource names set to 0"
    )
    container_defaults: ContainerDefaults = Field(default=ContainerDefaults(), alias="containerDefaults")
    device_classes: tuple[str, ...] = Field(default=DEVICE_CLASSES, alias="deviceClasses")
    require_chart: bool = Field(
        default=True, alias="requireChart", description="grant nothing while charts/gpu-cluster is not in force"
    )
    shards: int = Field(default=1, ge=1, le=64, strict=True, description="stacks that share the provider's awards")

    @model_validator(mode="after")
    def _one_pool_for_each_model(self) -> Self:
        models = [pool.model for pool in self.pools]
        if len(set(models)) != len(models):
            raise invalid("pools", tr("each GPU model needs exactly one pool; add up the capacities"))
        return self

    def capacity_at(self, at: datetime) -> dict[str, int]:
        """Return how many GPUs each pool has at an (aware) instant."""
        return {pool.model: pool.capacity_at(at) for pool in self.pools}

    def pool(self, model: str) -> GpuPool | None:
        """Return the pool of ``model``, or None where this cluster has none."""
        return next((pool for pool in self.pools if pool.model == model), None)

    @property
    def resources(self) -> frozenset[str]:
        """The names under which the cluster's awards have GPUs."""
        return frozenset(pool.resource for pool in self.pools)

    @property
    def setup_stack(self) -> str:
        """The name of the stack that has charts/gpu-cluster. No provider's name has a dot."""
        return f"{self.provider}.setup"

    @property
    def setup_context(self) -> str:
        """The context with which the chart is installed."""
        return self.admin_context or self.context

    @property
    def administered(self) -> ProviderCluster:
        """The cluster as its administrator sees it."""
        return self.model_copy(update={"context": self.setup_context})

    def pins_another(self, uid: str) -> bool:
        """Tell whether the stack's configuration pins another cluster than the one with this UID."""
        return self.uid not in (None, uid)

    def not_as_pinned(self, uid: str) -> Message | None:
        """Return why the context leads to another cluster than the one that is pinned, None where it does not.

        ``uid`` is that of the kube-system namespace of the cluster that the context leads to.
        """
        if not self.pins_another(uid):
            return None
        return tr(
            "context {context!r} leads to the cluster {uid}, but the stack's configuration pins {pinned}; "
            "correct the kubeconfig or the stack's `uid`",
            context=self.context,
            uid=uid,
            pinned=self.uid,
        )

    @property
    def stacks(self) -> tuple[str, ...]:
        """The names of the stacks that share this cluster's awards. The first is the provider's and has the role."""
        return stack_names(self.provider, self.shards)

    def left_over(self, shards: int) -> list[str]:
        """Return the names of the stacks that there are besides, if the awards were once split into ``shards``."""
        return [stack for stack in stack_names(self.provider, shards) if stack not in self.stacks]

    def stack_of(self, award_id: str) -> str:
        """Return the stack that an award belongs to: the same on every machine, whatever other awards there are.

        Each stack draws a hash with the award and the highest wins, so with one stack more only those awards move
        that the new one wins.
        """
        return self.stacks[_shard_of(award_id, self.shards)]


@lru_cache(maxsize=1 << 16)
def _shard_of(award_id: str, shards: int) -> int:
    """Return the number of the highest draw. A run asks for the same awards again for each of its stacks."""
    return max(range(shards), key=lambda number: sha256(f"{number}:{award_id}".encode()).digest())


def stack_names(provider: str, shards: int) -> tuple[str, ...]:
    """Return the names of a provider's stacks: its own name, then ``<provider>.1`` and so on."""
    return (provider, *(f"{provider}.{number}" for number in range(1, shards)))
