"""Carries a plan out: one process for each provider, side by side; one that fails never stops the others."""

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
    """Return one job for each provider that was observed; a job is empty where nothing differs.

    An award differs where the cluster does not have it as it should be, or where the stack's last outputs say
    otherwise: a killed run writes none, so they tell what it left undone (a failed one writes them too; what it did
    not do the plan sees on the cluster itself). ``only`` restricts the jobs to some awards. ``accept`` names providers
    whose cluster was replaced: there everything is looked at again. ``purpose`` tells others what the run is for.
    """
    return [
        _job(planned, there, timeout, only, purpose, accepted=there.provider in accept) for there in planned.observed
    ]


def _job(
    planned: PlanContext,
    there: ObservedCluster,
    timeout: float,
    only: Collection[str] | None,
    purpose: str,
    *,
    accepted: bool,
) -> Job:
    cluster = planned.project.by_provider[there.provider]
    tenants = planned.desired.on(there.provider)
    said, unread = planned.outputs[there.provider], planned.unread.get(there.provider)
    known = said.tenants.keys()
    replaced = accepted and said.cluster_uid not in (None, there.uid)
    changes = planned.plan.on(there.provider)
    changed = set() if unread else _differing(changes, said, tenants, everything=replaced)
    if only is not None:
        changes = tuple(change for change in changes if change.award_id in only)
        changed &= set(only)
    lower = tuple(c.award_id for c in changes if c.op is Op.UPDATE and c.after < c.before)
    # A refresh would read through the old context; what drifted as well is put right by the next run.
    reconnect = only is None and bool(known) and said.context != cluster.context
    return Job(
        **_basis(planned, there),
        cluster=cluster,
        tenants=tenants,
        recorded=dict(said.tenants),
        purpose=purpose,
        timeout=timeout,
        stacks=said.stacks,
        changed=tuple(sorted(changed)),
        shrinking=lower,
        over=_over(planned, there, cluster, lower) if any(change.grows for change in changes) else {},
        unread=None if unread is None else str(unread),
        **_moves(changes),
        reshard=not unread and (bool(said.misplaced) or (bool(known) and said.shards != cluster.shards)),
        reconnect=reconnect,
        refresh=not reconnect and (replaced or not _clean(changes, known)),
    )


def _basis(planned: PlanContext, there: ObservedCluster) -> dict[str, Any]:
    """Return what the decision was made on, as a job has it."""
    return {
        "root": planned.project.root,
        "project": planned.project.name,
        "at": planned.desired.at,
        "cluster_uid": there.uid,
        "origin": planned.origin,
        "turn": there.turn,
        "files": dict(planned.files),
    }


def _moves(changes: Sequence[Change]) -> dict[str, Any]:
    """Return who gets GPUs that others may have to give back first, and who gives all of them back."""
    return {
        "growing": tuple(change.award_id for change in changes if change.grows),
        "reclaim": tuple(_reclaim(change) for change in changes if change.op is Op.RECLAIM),
    }


def restored(planned: PlanContext, jobs: Sequence[Job]) -> int:
    """Return how many awards are right on their clusters and not in Pulumi's state, which is then written anew."""
    return sum(
        len(set(job.changed) - {change.award_id for change in planned.plan.on(job.cluster.provider)}) for job in jobs
    )


def _differing(
    changes: Sequence[Change], said: StackOutputs, tenants: Sequence[Tenant], *, everything: bool
) -> set[str]:
    """Return the awards that differ on the cluster, or of which the stacks' outputs say something else."""
    known, should = said.tenants.keys(), summary(tenants)
    differing = {change.award_id for change in changes}
    differing |= {one for one in known | should.keys() if said.tenants.get(one) != should.get(one)}
    return differing | known | should.keys() if everything else differing


def _over(
    planned: PlanContext, there: ObservedCluster, cluster: ProviderCluster, lower: Collection[str]
) -> dict[str, int]:
    """Return what tenants hold beyond what is desired. Shrinking ones are counted again once they are lowered."""
    shrinking = {tenant.namespace for tenant in planned.desired.on(cluster.provider) if tenant.award_id in lower}
    others = tuple(tenant for tenant in there.tenants if tenant.namespace not in shrinking)
    seen = ObservedCluster(provider=there.provider, uid=there.uid, tenants=others)
    over = held_after(planned.plan, planned.desired, seen, cluster)
    for tenant in planned.desired.on(cluster.provider):
        over[tenant.pool.model] -= tenant.gpus
    return {str(model): gpus for model, gpus in over.items() if gpus}


def _clean(changes: Sequence[Change], known: Collection[str]) -> bool:
    """True where all that happens is that new tenants appear and known ones go: then the state needs no refresh."""
    return all(
        (change.op is Op.CREATE and change.award_id not in known)
        or (change.op is Op.RECLAIM and change.award_id in known)
        for change in changes
    )


def _reclaim(change: Change) -> Reclaim:
    return Reclaim(award_id=change.award_id, namespace=change.namespace, model=change.model, gpus=change.before)


def carry_out(jobs: Sequence[Job], progress: Progress) -> dict[str, Outcome]:
    """Run the jobs and return what became of each provider. Interrupting it interrupts all of them."""
    busy = [job for job in jobs if not job.empty]
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
    """Return what became of each provider over all rounds of a command, in the order in which they first acted."""
    total: dict[str, Outcome] = {}
    for outcomes in rounds:
        for provider, outcome in outcomes.items():
            total[provider] = total[provider].then(outcome) if provider in total else outcome
    return list(total.values())
