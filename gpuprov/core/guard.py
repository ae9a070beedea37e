"""Refuses plans that would do harm, before anything is changed.

No pool is ever granted beyond its capacity, counting what pods still hold (nothing overrides this); awards neither go
nor shrink nor lose their access in masses unless the ledger or the promised end of their term explains it; the cluster
behind a kubeconfig context is the one that the stack was last applied to, and no two providers'; nothing is granted
where the rules that hold a tenant to its quota are not in force; and what is written keeps the rules that the policy
pack enforces (docs/policies.md). `pulumi up` by hand is under the same rules and some more: it cannot prove that a GPU
is free, so it takes nothing back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.holdings import held_after
from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.observed import ObservedCluster
from gpuprov.core.plan import Change, Loss, Op, Plan
from gpuprov.core.rules import Bounds, Rule, Violation, violations
from gpuprov.core.tenant import Desired
from gpuprov.i18n import joined, tr

MASS_CHANGE_PERCENT = 20
"""Share of the live awards, in percent, of a cluster or of all, that may lose something unexplained (policy: no rule of
the programme)."""

_MOST_OF_A_RULE = 5
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What the operator has confirmed explicitly for this one run.

    ``teardown``: how many unexplained reclaims were read and are meant, in all; ``change``: how many awards that shrink
    or whose group changes. ``clusters``: providers whose cluster was really replaced by another. ``ledger``: the ledger
    is meant as it is, though it lacks events that were applied.
    """

    teardown: int = 0
    change: int = 0
    ledger: bool = False
    clusters: frozenset[str] = frozenset()


def reasons(  # noqa: PLR0917 (each is a part of the decision, and all are named at the call)
    plan: Plan,
    desired: Desired,
    observed: Sequence[ObservedCluster],
    clusters: Mapping[str, ProviderCluster],
    known_uids: Mapping[str, str],
    confirmed: Confirmed,
    programme_end: datetime,
) -> list[str]:
    """Return why the plan is refused, one line for each broken rule; nothing where it may go on.

    ``known_uids`` has, for each provider that was applied before, the UID of its cluster's kube-system namespace. No
    term may reach into ``programme_end``.
    """
    refusals: list[str] = []
    for observed_cluster in observed:
        cluster = clusters[observed_cluster.provider]
        refusals += wrong_cluster(observed_cluster, cluster, known_uids.get(observed_cluster.provider), confirmed)
        refusals += _over_capacity(plan, desired, observed_cluster, cluster)
        refusals += _not_set_up(plan, observed_cluster, cluster)
        refusals += _broken_rules(plan, Bounds.of(cluster, desired.tenants, desired.at, programme_end))
    return refusals + _mass_changes(plan, observed, confirmed)


def by_hand(plan: Plan, desired: Desired, observed: ObservedCluster, cluster: ProviderCluster) -> list[str]:
    """Return why `pulumi up` by hand may not carry a plan out, beyond what `reasons` says.

    Pulumi creates and updates side by side, deletes last, and waits for no pod: so what it grants may not rest on GPUs
    that the same run would free, and what has to be taken back is left to the command that proves it.
    """
    changes = plan.on(cluster.provider)
    reclaims = [change for change in changes if change.op is Op.RECLAIM]
    refusals: list[str] = []
    if reclaims:
        refusals.append(
            tr(
                "{provider}: {awards} must be taken back, which Pulumi can neither prove nor do in the right order; "
                "run `gpuprov up --provider {provider}`, or `gpuprov expire` for what has ended",
                provider=cluster.provider,
                awards=_names(reclaims),
            )
        )
    going = {tenant.namespace for tenant in observed.tenants if tenant.terminating}
    again = [change for change in changes if change.op is not Op.RECLAIM and change.namespace in going]
    if again:
        refusals.append(
            tr(
                "{provider}: the namespace of {awards} is being deleted, for which Pulumi does not wait; "
                "run `gpuprov up --provider {provider}`, which makes it again once it is gone",
                provider=cluster.provider,
                awards=_names(again),
            )
        )
    if not any(change.grows for change in changes):
        return refusals
    held = held_after(plan, desired, observed, cluster, lowered_first=False)
    return refusals + [
        tr(
            "{provider} {model}: what is granted would rest on GPUs that the same run frees ({held} of {gpus} until "
            "then); run `gpuprov up --provider {provider}`, which frees them first",
            provider=cluster.provider,
            model=model,
            held=held[model],
            gpus=gpus,
        )
        for model, gpus in cluster.capacity_at(desired.at).items()
        if held[model] > gpus
    ]


def wrong_cluster(
    observed: ObservedCluster, cluster: ProviderCluster, known: str | None, confirmed: Confirmed
) -> list[str]:
    """Return why the context leads to another cluster than the one that is pinned, or that the stack was last applied
    to (``known``); nothing where it does not.
    """
    if reason := cluster.not_as_pinned(observed.uid):
        return [tr("{provider}: {reason}", provider=observed.provider, reason=reason)]
    if known not in (None, observed.uid) and observed.provider not in confirmed.clusters:
        return [
            tr(
                "{provider}: context {context!r} leads to the cluster {uid}, but this stack was last applied to "
                "{known}; correct the kubeconfig, or confirm with --accept-cluster {provider}",
                provider=observed.provider,
                context=cluster.context,
                uid=observed.uid,
                known=known,
            )
        ]
    return []


def _not_set_up(plan: Plan, observed: ObservedCluster, cluster: ProviderCluster) -> list[str]:
    """A quota that can be walked around or not be used is no allocation. What takes back or stays as it is goes on."""
    if not any(change.grows for change in plan.on(observed.provider)):
        return []
    reasons: list[str] = []
    if observed.missing and cluster.require_chart:
        reasons.append(
            tr(
                "{provider}: the cluster lacks what charts/gpu-cluster brings ({missing}), so tenants could take more "
                "than they are given; its administrator installs it with `gpuprov setup --provider {provider}`",
                provider=observed.provider,
                missing=joined("; ", observed.missing),
            )
        )
    if observed.unfit:
        reasons.append(
            tr(
                "{provider}: awardees could not use what they are given ({unfit}); "
                "`gpuprov preflight --provider {provider}` says what to do",
                provider=observed.provider,
                unfit=joined("; ", observed.unfit),
            )
        )
    return reasons


def _over_capacity(plan: Plan, desired: Desired, observed: ObservedCluster, cluster: ProviderCluster) -> list[str]:
    """Count what is held by everybody who is there. A plan that only takes back is never refused: it is the way out."""
    if not any(change.grows for change in plan.on(cluster.provider)):
        return []
    held = held_after(plan, desired, observed, cluster)
    return [
        tr(
            "{provider} {model}: {held} GPUs granted or still held by pods, {excess} more than the capacity of {gpus}; "
            "forfeit or reduce awards, or wait for the pods to end",
            provider=cluster.provider,
            model=model,
            held=held[model],
            excess=held[model] - gpus,
            gpus=gpus,
        )
        for model, gpus in cluster.capacity_at(desired.at).items()
        if held[model] > gpus
    ]


def _broken_rules(plan: Plan, bounds: Bounds) -> list[str]:
    """Check the manifests of all tenants of a cluster where anything is written, with the policy pack's rules.

    A plan that only takes back is never refused. The capacity was counted with more knowledge: what pods still hold.
    """
    provider = bounds.cluster.provider
    if all(change.op is Op.RECLAIM or change.after < change.before for change in plan.on(provider)):
        return []
    objects = [manifest for tenant in bounds.awards.values() for manifest in tenant_manifests(tenant, bounds.cluster)]
    by_rule: dict[Rule, list[Violation]] = {}
    for violation in violations(objects, bounds):
        if violation.rule is not Rule.CAPACITY:
            by_rule.setdefault(violation.rule, []).append(violation)
    reasons: list[str] = []
    for rule, rule_violations in by_rule.items():
        reasons += [
            tr("{provider}: {reason}", provider=provider, reason=violation.sentence)
            for violation in rule_violations[:_MOST_OF_A_RULE]
        ]
        if (more := len(rule_violations) - _MOST_OF_A_RULE) > 0:
            reasons.append(tr("{provider}: and {more} more like it ({rule})", provider=provider, more=more, rule=rule))
    return reasons


TEARDOWNS = frozenset({Loss.TEARDOWN, Loss.MODEL, Loss.SUPPLIER})
"""What ``--allow-teardown`` confirms; the other losses ``--allow-change`` does."""


def _mass_changes(plan: Plan, observed: Sequence[ObservedCluster], confirmed: Confirmed) -> list[str]:
    """One unexplained change a cluster always passes, so that small clusters are not blocked by their size."""
    losses = [change for change in plan.changes if change.loss is not None]
    teardowns = [change for change in losses if change.loss in TEARDOWNS]
    others = [change for change in losses if change.loss not in TEARDOWNS]
    refusals: list[str] = []
    if len(teardowns) > confirmed.teardown:
        refusals += _in_masses(teardowns, observed, tr("torn down"), f"--allow-teardown {len(teardowns)}")
    if len(others) > confirmed.change:
        loss = tr("reduced, or lose their access,")
        refusals += _in_masses(others, observed, loss, f"--allow-change {len(others)}")
    return refusals


def _in_masses(
    changes: Sequence[Change], observed: Sequence[ObservedCluster], loss: str, confirmation: str
) -> list[str]:
    """Return a line for each cluster that loses a mass of awards, or one for all clusters together."""
    parts = [(cluster.provider, cluster.tenants) for cluster in observed]
    everywhere = (tr("all providers"), tuple(tenant for _, tenants in parts for tenant in tenants))
    refusals: list[str] = []
    for name, tenants in (*parts, everywhere):
        losses = [change for change in changes if name in (change.provider, everywhere[0])]
        if (
            len(losses) > 1
            and len(losses) * 100 > len(tenants) * MASS_CHANGE_PERCENT
            and (name != everywhere[0] or not refusals)
        ):
            refusals.append(
                tr(
                    "{provider}: {losses} of {tenants} live awards would be {loss} though neither the ledger nor the "
                    "end of their term explains it ({awards}: {reason}); check the award list and the stack's "
                    "configuration, or confirm with {confirmation}",
                    provider=name,
                    losses=len(losses),
                    tenants=len(tenants),
                    loss=loss,
                    awards=_names(losses),
                    reason=losses[0].reasons[0],
                    confirmation=confirmation,
                )
            )
    return refusals


def _names(changes: Sequence[Change]) -> str:
    return ", ".join(change.award_id for change in changes[:_MOST_NAMES]) + (" …" if len(changes) > _MOST_NAMES else "")
