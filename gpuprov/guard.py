"""Refuses plans that would do harm, before anything is changed.

Five rules: no pool is ever granted beyond its capacity (nothing overrides this); awards do not go in masses unless
the ledger or the promised end of their term explains it; the cluster behind a kubeconfig context is the one that the
stack was last applied to; nothing is granted where the rules that hold a tenant to its quota are not in force; and what
is written keeps the rules that the policy pack enforces (docs/policies.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gpuprov.award import PROGRAMME_END
from gpuprov.cluster import ProviderCluster
from gpuprov.errors import PlanRefused
from gpuprov.gpu import GpuModel
from gpuprov.manifests import tenant_manifests
from gpuprov.observed import ObservedCluster
from gpuprov.plan import Op, Plan
from gpuprov.rules import Bounds, Rule, Violation, violations
from gpuprov.tenant import Desired

MASS_TEARDOWN_PERCENT = 20
"""Share of a cluster's live awards, in percent, that may go unexplained (policy: no rule of the programme)."""

_MOST_OF_A_RULE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What the operator has confirmed explicitly for this one run.

    ``teardown``: how many unexplained reclaims were read and are meant, in all. ``clusters``: providers whose cluster
    was really replaced by another.
    """

    teardown: int = 0
    clusters: frozenset[str] = frozenset()


def check(  # noqa: PLR0917 (each is a part of the decision, and all are named at the call)
    plan: Plan,
    desired: Desired,
    observed: Sequence[ObservedCluster],
    clusters: Mapping[str, ProviderCluster],
    known_uids: Mapping[str, str],
    confirmed: Confirmed,
    programme_end: datetime = PROGRAMME_END,
) -> None:
    """Raise PlanRefused with every broken rule; return None where the plan may go on.

    ``known_uids`` has, for each provider that was applied before, the UID of its cluster's kube-system namespace. No
    term may reach into ``programme_end``.
    """
    reasons: list[str] = []
    for there in observed:
        cluster = clusters[there.provider]
        reasons += _wrong_cluster(there, cluster, known_uids.get(there.provider), confirmed)
        reasons += _over_capacity(plan, desired, cluster)
        reasons += _not_set_up(plan, there, cluster)
        reasons += _broken_rules(plan, Bounds.of(cluster, desired.tenants, programme_end))
    reasons += _mass_teardown(plan, observed, confirmed)
    if reasons:
        raise PlanRefused(reasons)


def _wrong_cluster(
    there: ObservedCluster, cluster: ProviderCluster, known: str | None, confirmed: Confirmed
) -> list[str]:
    if cluster.uid is not None and cluster.uid != there.uid:
        return [
            (
                f"{there.provider}: context {cluster.context!r} leads to the cluster {there.uid}, but the stack's "
                f"configuration pins {cluster.uid}; correct the kubeconfig or the stack's `uid`"
            )
        ]
    if known not in (None, there.uid) and there.provider not in confirmed.clusters:
        return [
            (
                f"{there.provider}: context {cluster.context!r} leads to the cluster {there.uid}, but this stack was "
                f"last applied to {known}; correct the kubeconfig, or confirm with --accept-cluster {there.provider}"
            )
        ]
    return []


def _not_set_up(plan: Plan, there: ObservedCluster, cluster: ProviderCluster) -> list[str]:
    """A quota that can be walked around or not be used is no allocation. What takes back or stays as it is goes on."""
    if not any(change.after > change.before for change in plan.on(there.provider)):
        return []
    reasons = []
    if there.missing and cluster.require_chart:
        reasons.append(
            f"{there.provider}: the cluster lacks what charts/gpu-cluster brings ({'; '.join(there.missing)}), so "
            "tenants could take more than they are given; its administrator installs it with "
            f"`gpuprov setup --provider {there.provider}`"
        )
    if there.unfit:
        reasons.append(
            f"{there.provider}: awardees could not use what they are given ({'; '.join(there.unfit)}); "
            f"`gpuprov preflight --provider {there.provider}` says what to do"
        )
    return reasons


def _over_capacity(plan: Plan, desired: Desired, cluster: ProviderCluster) -> list[str]:
    """Count what is granted, and where an award shrinks what its pods still hold: those cards are not free yet.

    A plan that only takes back is never refused: it is the way out.
    """
    if all(change.after <= change.before for change in plan.on(cluster.provider)):
        return []
    held: dict[GpuModel, int] = {}
    still = {change.award_id: change.used for change in plan.on(cluster.provider) if change.op is Op.UPDATE}
    for tenant in desired.on(cluster.provider):
        gpus = max(tenant.gpus, still.get(tenant.award_id, 0))
        held[tenant.pool.model] = held.get(tenant.pool.model, 0) + gpus
    return [
        f"{cluster.provider} {pool.model}: {held[pool.model]} GPUs granted or still held by pods, "
        f"{held[pool.model] - pool.capacity} more than the capacity of {pool.capacity}; "
        "forfeit or reduce awards, or wait for the pods to end"
        for pool in cluster.pools
        if held.get(pool.model, 0) > pool.capacity
    ]


def _broken_rules(plan: Plan, bounds: Bounds) -> list[str]:
    """Check the manifests of all tenants of a cluster where anything is written, with the policy pack's rules.

    A plan that only takes back is never refused. The capacity was counted with more knowledge: what pods still hold.
    """
    provider = bounds.cluster.provider
    if all(change.op is Op.RECLAIM or change.after < change.before for change in plan.on(provider)):
        return []
    objects = [one for tenant in bounds.awards.values() for one in tenant_manifests(tenant, bounds.cluster)]
    by_rule: dict[Rule, list[Violation]] = {}
    for one in violations(objects, bounds):
        if one.rule is not Rule.CAPACITY:
            by_rule.setdefault(one.rule, []).append(one)
    reasons = []
    for rule, found in by_rule.items():
        reasons += [f"{provider}: {one}" for one in found[:_MOST_OF_A_RULE]]
        if len(found) > _MOST_OF_A_RULE:
            reasons.append(f"{provider}: and {len(found) - _MOST_OF_A_RULE} more like it ({rule})")
    return reasons


def _mass_teardown(plan: Plan, observed: Sequence[ObservedCluster], confirmed: Confirmed) -> list[str]:
    """One unexplained reclaim a cluster always passes, so that small clusters are not blocked by their size."""
    unexplained = [change for change in plan.changes if change.op is Op.RECLAIM and not change.expected]
    if len(unexplained) <= confirmed.teardown:
        return []
    reasons = []
    for there in observed:
        here = [change for change in unexplained if change.provider == there.provider]
        live = len(there.tenants)
        if len(here) > 1 and len(here) * 100 > live * MASS_TEARDOWN_PERCENT:
            names = ", ".join(change.award_id for change in here[:5]) + (" …" if len(here) > 5 else "")  # noqa: PLR2004
            reasons.append(
                f"{there.provider}: {len(here)} of {live} live awards would be torn down though neither the ledger nor "
                f"the end of their term explains it ({names}: {here[0].reasons[0]}); check the award list, or confirm "
                f"with --allow-teardown {len(unexplained)}"
            )
    return reasons
