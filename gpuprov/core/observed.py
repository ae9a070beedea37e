"""What is really there on a provider's cluster, as the read-only shell saw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gpuprov.core import naming
from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.manifests import (
    AWARD_ID,
    AWARD_LABEL,
    BINDING,
    GPUS,
    MODEL,
    NODE_SELECTOR,
    ORGANIZATION,
    QUOTA,
    TERM_END,
    TERM_START,
    node_selector,
)
from gpuprov.core.quantity import whole
from gpuprov.core.tenant import Tenant
from gpuprov.i18n import joined, tr

Live = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTenant:
    """One namespace of ours with the objects in it that carry our labels, by (kind, name).

    ``pods`` are the GPUs that its pods hold on their nodes, by resource, where the pods were read.
    """

    namespace: str
    objects: Mapping[tuple[str, str], Live]
    pods: Mapping[str, int] = field(default_factory=dict)

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
    def term_start(self) -> datetime | None:
        """The start of the term, as it was last written."""
        return self._instant(TERM_START)

    @property
    def term_end(self) -> datetime | None:
        """The end of the term that was promised when the tenant was last written."""
        return self._instant(TERM_END)

    @property
    def organization(self) -> str:
        """The awardee, as it was last written; empty where the annotation was removed."""
        return str(self._annotations.get(ORGANIZATION, ""))

    @property
    def granted(self) -> int | None:
        """The GPUs that we last granted, whatever the quota says now; None where the annotation was removed."""
        text = self._annotations.get(GPUS, "")
        return int(text) if text.isdecimal() else None

    @property
    def group(self) -> str | None:
        """The group that has access; None where there is no such binding."""
        binding = self.objects.get(("RoleBinding", BINDING), {})
        return next(
            (subject["name"] for subject in binding.get("subjects") or () if subject.get("kind") == "Group"), None
        )

    def pool(self, cluster: ProviderCluster) -> GpuPool | None:
        """Return the pool whose GPUs the tenant holds: by the model's annotation, else by the nodes that its pods are
        forced to; None where neither tells.
        """
        if len(cluster.pools) == 1:
            return cluster.pools[0]
        model, nodes = self._annotations.get(MODEL), self._annotations.get(NODE_SELECTOR)
        by_model = (pool for pool in cluster.pools if pool.model == model)
        by_nodes = (pool for pool in cluster.pools if node_selector(pool) == nodes)
        return next(by_model, None) or next(by_nodes, None)

    def pools(self, cluster: ProviderCluster) -> tuple[GpuPool, ...]:
        """Return the pools whose GPUs the tenant may hold: all where it cannot be told, so that none is given twice."""
        pool = self.pool(cluster)
        return cluster.pools if pool is None else (pool,)

    def as_written(self, cluster: ProviderCluster) -> Tenant | None:
        """Return the tenant that was last written here, by the namespace's annotations alone, whatever is there by now;
        None where they do not tell.
        """
        award_id = str(self._annotations.get(AWARD_ID, ""))
        pool = cluster.pool(str(self._annotations.get(MODEL, "")))
        start, end, gpus = self.term_start, self.term_end, self.granted
        if naming.namespace(award_id) != self.namespace or None in (pool, start, end, gpus):
            return None
        return Tenant.model_validate(
            {
                "award_id": award_id,
                "organization": self.organization,
                "provider": cluster.provider,
                "pool": pool,
                "gpus": gpus,
                "term_start": start,
                "term_end": end,
            }
        )

    @property
    def waits_for(self) -> str:
        """What the deletion of the namespace waits for."""
        return deletion_waits_for(self._namespace)

    def hard(self, resource: str) -> int:
        """Return the quota's limit on ``resource``, in GPUs; 0 where there is no quota."""
        return _gpus(self._quota.get("spec", {}).get("hard"), resource)

    def used(self, resource: str) -> int:
        """Return what the quota charges for ``resource``, in GPUs. 0 does not yet prove that a card is free."""
        return _gpus(self._quota.get("status", {}).get("used"), resource)

    def occupied(self, resource: str) -> int:
        """Return the GPUs that the tenant's pods hold, whatever it is granted."""
        return max(self.used(resource), self.pods.get(resource, 0))

    def held(self, resource: str) -> int:
        """Return the GPUs that nobody else may be given while this tenant is there: what is granted or, where that is
        more, what its pods hold.

        A teardown sets the quota to 0 first. From then on the quota says nothing: a pod that is stuck while it
        terminates is not even charged. What the award had counts until the namespace is gone.
        """
        hard = self.hard(resource)
        granted = (self.granted or 0) if hard == 0 else hard
        return max(granted, self.occupied(resource))

    def _instant(self, annotation: str) -> datetime | None:
        """Return an aware instant; None where the annotation is missing or has no such."""
        try:
            at = datetime.fromisoformat(str(self._annotations.get(annotation, "")))
        except ValueError:
            return None
        return at if at.tzinfo else None

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
    why awardees could not use what they are given, chart or not, likewise. ``turn`` counts the runs that had ended on
    it before it was read (`gpuprov.kube.lease`); None where that is not known; ``actor`` is who had the last of them.
    ``abandoned`` is set where that one was killed on this machine and has not given its turn back.
    """

    provider: str
    uid: str
    tenants: tuple[ObservedTenant, ...] = field(default=())
    missing: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()
    turn: int | None = None
    actor: str = ""
    abandoned: bool = False

    def with_pods(self, pods: Mapping[str, Mapping[str, int]]) -> ObservedCluster:
        """Return the cluster with what pods hold, in GPUs by namespace and resource; without pods a tenant holds 0."""
        tenants = tuple(replace(tenant, pods=pods.get(tenant.namespace, {})) for tenant in self.tenants)
        return replace(self, tenants=tenants)


def _gpus(quantities: Mapping[str, Any] | None, resource: str) -> int:
    return whole(str((quantities or {}).get(f"requests.{resource}", "0")))


def deletion_waits_for(namespace: Live) -> str:
    """Return what a namespace that is being deleted waits for, as its conditions and its own finalizers tell."""
    conditions = namespace.get("status", {}).get("conditions") or ()
    messages = [item["message"] for item in conditions if item.get("status") == "True" and item.get("message")]
    finalizers = namespace.get("metadata", {}).get("finalizers") or ()
    if finalizers:
        messages.append(tr("its finalizers {names}", names=", ".join(finalizers)))
    return joined("; ", messages) or tr("its deletion has not ended yet")
