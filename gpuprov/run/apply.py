"""Carries out a plan: one process per provider, in parallel; one that fails never stops the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.holdings import held_after
from gpuprov.core.observed import ObservedCluster
from gpuprov.core.outputs import StackOutputs, summary
from gpuprov.core.plan import Change, Op
from gpuprov.core.tenant import Tenant
from gpuprov.run.child import Errand, run_all
from gpuprov.run.job import Job, Outcome, Reclaim
from gpuprov.run.pipeline import PlanContext, Progress


def make_jobs(
    planned: PlanContext,
    *,
    timeout: float,
    only: Collection[str] | None = None,
    accept: Collection[str] = (),
    purpose: str = "gpuprov",
) -> list[Job]:
    """Return one job for each observed provider; a job is empty if nothing differs.

    An award differs if the cluster does not match its desired state, or if the stack's last outputs do not: a killed
    run writes no outputs, so they show what it left undone. (A failed run does write them; what it left undone is
    visible on the cluster.) ``only`` restricts the jobs to some awards. ``accept`` names providers whose cluster was
    replaced: all of their awards are applied again. ``purpose`` tells other users what the command is.
    """
    return [
        _job(planned, observed, timeout, only, purpose, accepted=observed.provider in accept)
        for observed in planned.observed
    ]


def _job(
    planned: PlanContext,
    observed: ObservedCluster,
    timeout: float,
    only: Collection[str] | None,
    purpose: str,
    *,
    accepted: bool,
) -> Job:
    cluster = planned.project.by_provider[observed.provider]
    tenants = planned.desired.on(observed.provider)
    outputs, unread = planned.outputs[observed.provider], planned.unread.get(observed.provider)
    known = outputs.tenants.keys()
    replaced = accepted and outputs.cluster_uid not in (None, observed.uid)
    changes = planned.plan.on(observed.provider)
    changed = set() if unread else _differing(changes, outputs, tenants, everything=replaced)
    if only is not None:
        changes = tuple(change for change in changes if change.award_id in only)
        changed &= set(only)
    shrinking = tuple(c.award_id for c in changes if c.op is Op.UPDATE and c.after < c.before)
    # A refresh would read through the old context; any drift is corrected by the next run.
    reconnect = only is None and bool(known) and outputs.context != cluster.context
    return Job(
        **_basis(planned, observed),
        cluster=cluster,
        tenants=tenants,
        recorded=dict(outputs.tenants),
        purpose=purpose,
        timeout=timeout,
        stacks=outputs.stacks,
        changed=tuple(sorted(changed)),
        shrinking=shrinking,
        over=_over(planned, observed, cluster, shrinking) if any(change.grows for change in changes) else {},
        unread=None if unread is None else unread.message_text,
        **_moves(changes),
        reshard=not unread and (bool(outputs.misplaced) or (bool(known) and outputs.shards != cluster.shards)),
        reconnect=reconnect,
        refresh=not reconnect and (replaced or not _clean(changes, known)),
    )


def _basis(planned: PlanContext, observed: ObservedCluster) -> dict[str, Any]:
    """Return the fields of a job that say what the decision is based on."""
    return {
        "root": planned.project.root,
        "project": planned.project.name,
        "at": planned.desired.at,
        "cluster_uid": observed.uid,
        "origin": planned.origin,
        "turn": observed.turn,
        "abandoned": observed.abandoned,
        "files": dict(planned.files),
    }


def _moves(changes: Sequence[Change]) -> dict[str, Any]:
    """Return the awards that get GPUs, which others may have to give back first, and the tenants to reclaim."""
    return {
        "growing": tuple(change.award_id for change in changes if change.grows),
        "reclaim": tuple(_reclaim(change) for change in changes if change.op is Op.RECLAIM),
    }


def restored(planned: PlanContext, jobs: Sequence[Job]) -> int:
    """Return how many awards are correct on their clusters and wrong in Pulumi's state, which is then rewritten."""
    return sum(
        len(set(job.changed) - {change.award_id for change in planned.plan.on(job.cluster.provider)}) for job in jobs
    )


def _differing(
    changes: Sequence[Change], outputs: StackOutputs, tenants: Sequence[Tenant], *, everything: bool
) -> set[str]:
    """Return the awards that differ on the cluster or in the stacks' outputs."""
    known, wanted = outputs.tenants.keys(), summary(tenants)
    differing = {change.award_id for change in changes}
    differing |= {name for name in known | wanted.keys() if outputs.tenants.get(name) != wanted.get(name)}
    return differing | known | wanted.keys() if everything else differing


def _over(
    planned: PlanContext, observed: ObservedCluster, cluster: ProviderCluster, lowered: Collection[str]
) -> dict[str, int]:
    """Return the GPUs by model that tenants hold beyond the desired state, without those whose quotas are ``lowered``.

    These are counted by the worker once their quotas are lower.
    """
    shrinking = {tenant.namespace for tenant in planned.desired.on(cluster.provider) if tenant.award_id in lowered}
    others = tuple(tenant for tenant in observed.tenants if tenant.namespace not in shrinking)
    remaining = ObservedCluster(provider=observed.provider, uid=observed.uid, tenants=others)
    over = held_after(planned.plan, planned.desired, remaining, cluster)
    for tenant in planned.desired.on(cluster.provider):
        over[tenant.pool.model] -= tenant.gpus
    return {str(model): gpus for model, gpus in over.items() if gpus}


def _clean(changes: Sequence[Change], known: Collection[str]) -> bool:
    """True if the plan only creates unknown tenants and reclaims known ones: then the state needs no refresh."""
    return all(
        (change.op is Op.CREATE and change.award_id not in known)
        or (change.op is Op.RECLAIM and change.award_id in known)
        for change in changes
    )


def _reclaim(change: Change) -> Reclaim:
    return Reclaim(award_id=change.award_id, namespace=change.namespace, model=change.model, gpus=change.before)


def carry_out(jobs: Sequence[Job], progress: Progress) -> dict[str, Outcome]:
    """Run the jobs and return the outcome of each provider. An interrupt is passed on to all of them."""
    busy = [job for job in jobs if not job.idle]
    answers = run_all(
        [
            Errand(module="gpuprov.run.worker", message=job, progress=partial(progress, job.cluster.provider))
            for job in busy
        ]
    )
    done = {
        job.cluster.provider: answer.read(Outcome, provider=job.cluster.provider)
        for job, answer in zip(busy, answers, strict=True)
    }
    return {job.cluster.provider: Outcome(provider=job.cluster.provider) for job in jobs} | done


def merged(rounds: Sequence[Mapping[str, Outcome]]) -> list[Outcome]:
    """Return each provider's outcome over all rounds of a command, in the order in which they first acted."""
    total: dict[str, Outcome] = {}
    for outcomes in rounds:
        for provider, outcome in outcomes.items():
            total[provider] = total[provider].then(outcome) if provider in total else outcome
    return list(total.values())
