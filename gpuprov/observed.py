"""What is really there on a provider's cluster, as the read-only shell saw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gpuprov.cluster import GpuPool, ProviderCluster
from gpuprov.manifests import AWARD_ID, AWARD_LABEL, GPUS, MODEL, QUOTA, TERM_END
from gpuprov.quantity import whole

Live = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTenant:
    """One namespace of ours with the objects in it that carry our labels, by (kind, name)."""

    namespace: str
    objects: Mapping[tuple[str, str], Live]

    @property
    def award_id(self) -> str:
        """The award's id; its label value where the annotation was removed."""
        labels = self._namespace.get("metadata", {}).get("labels") or {}
        return str(self._annotations.get(AWARD_ID) or labels.get(AWARD_LABEL) or self.namespace)

    @property
    def terminating(self) -> bool:
        """True while the namespace is being deleted."""
        return bool(self._namespace.get("metadata", {}).get("deletionTimestamp"))

    @property
    def term_end(self) -> datetime | None:
        """The end of the term that was promised when the tenant was last written."""
        text = self._annotations.get(TERM_END, "")
        try:
            end = datetime.fromisoformat(text)
        except ValueError:
            return None
        return end if end.tzinfo else None

    def pool(self, cluster: ProviderCluster) -> GpuPool:
        """Return the pool whose GPUs the tenant holds; the first where the model's annotation says nothing."""
        model = self._annotations.get(MODEL)
        return next((pool for pool in cluster.pools if pool.model == model), cluster.pools[0])

    def hard(self, resource: str) -> int:
        """Return the quota's limit on ``resource``, in GPUs; 0 where there is no quota."""
        return _gpus(self._quota.get("spec", {}).get("hard"), resource)

    def used(self, resource: str) -> int:
        """Return what the quota charges for ``resource``, in GPUs. 0 does not yet prove that a card is free."""
        return _gpus(self._quota.get("status", {}).get("used"), resource)

    def held(self, resource: str) -> int:
        """Return the GPUs that nobody else may be given while this tenant is there.

        A teardown sets the quota to 0 first. From then on the quota says nothing: a pod that is stuck while it
        terminates is not even charged. What the award had counts until the namespace is gone.
        """
        hard = self.hard(resource)
        if hard == 0 and self._annotations.get(GPUS, "").isdecimal():
            return max(int(self._annotations[GPUS]), self.used(resource))
        return max(hard, self.used(resource))

    @property
    def _annotations(self) -> Mapping[str, str]:
        return self._namespace.get("metadata", {}).get("annotations") or {}

    @property
    def _namespace(self) -> Live:
        return self.objects.get(("Namespace", self.namespace), {})

    @property
    def _quota(self) -> Live:
        return self.objects.get(("ResourceQuota", QUOTA), {})


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCluster:
    """One provider's cluster at the moment of reading.

    ``uid`` is that of its kube-system namespace. ``missing`` is what the cluster lacks of what charts/gpu-cluster
    brings, a phrase of the preflight's for each; without it tenants could take more than they were given. ``unfit`` is
    why awardees could not use what they are given, chart or not, likewise.
    """

    provider: str
    uid: str
    tenants: tuple[ObservedTenant, ...] = field(default=())
    missing: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()


def _gpus(quantities: Mapping[str, Any] | None, resource: str) -> int:
    return whole(str((quantities or {}).get(f"requests.{resource}", "0")))
