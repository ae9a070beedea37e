"""Carries a plan out: one process for each provider, side by side; one that fails never stops the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from gpuprov.observed import ObservedCluster
from gpuprov.outputs import summary
from gpuprov.plan import Change, Op
from gpuprov.run.child import Answer, Errand, run_all
from gpuprov.run.job import Job, Outcome, Reclaim
from gpuprov.run.pipeline import Progress, Situation


def make_jobs(
    situation: Situation, *, timeout: float, only: Collection[str] | None = None, accept: Collection[str] = ()
) -> list[Job]:
    """Return one job for each provider that was observed; a job is empty where nothing differs.

    An award differs where the cluster does not have it as it should be, or where the stack's last outputs say
    otherwise: a killed run writes none, so they tell what it left undone (a failed one writes them too; what it did
    not do the plan sees on the cluster itself). ``only`` restricts the jobs to some awards. ``accept`` names providers
    whose cluster was replaced: there everything is looked at again.
    """
    return [_job(situation, there, timeout, only, accepted=there.provider in accept) for there in situation.observed]


def _job(
    situation: Situation, there: ObservedCluster, timeout: float, only: Collection[str] | None, *, accepted: bool
) -> Job:
    cluster = situation.project.by_provider[there.provider]
    tenants = situation.desired.on(there.provider)
    changes = situation.plan.on(there.provider)
    said, should = situation.outputs[there.provider], summary(tenants)
    known = said.tenants.keys()
    touch = {change.award_id for change in changes}
    touch |= {award_id for award_id in known | should.keys() if said.tenants.get(award_id) != should.get(award_id)}
    replaced = accepted and said.cluster_uid not in (None, there.uid)
    if replaced:
        touch |= known | should.keys()
    if only is not None:
        touch &= set(only)
        changes = tuple(change for change in changes if change.award_id in only)
    # A refresh would read through the old context; what drifted as well is put right by the next run.
    reconnect = only is None and bool(known) and said.context != cluster.context
    return Job(
        root=situation.project.root,
        project=situation.project.name,
        at=situation.desired.at,
        cluster=cluster,
        cluster_uid=there.uid,
        tenants=tenants,
        told=dict(said.tenants),
        touch=tuple(sorted(touch)),
        stacks=said.stacks,
        grow=tuple(change.award_id for change in changes if change.after > change.before),
        lower=tuple(c.award_id for c in changes if c.op is Op.UPDATE and c.after < c.before),
        reclaim=tuple(_reclaim(change) for change in changes if change.op is Op.RECLAIM),
        reshard=bool(said.misplaced) or (bool(known) and said.shards != cluster.shards),
        reconnect=reconnect,
        refresh=not reconnect and (replaced or not _clean(changes, known)),
        timeout=timeout,
    )


def _clean(changes: Sequence[Change], known: Collection[str]) -> bool:
    """True where all that happens is that new tenants appear and known ones go: then the state needs no refresh."""
    return all(
        (change.op is Op.CREATE and change.award_id not in known)
        or (change.op is Op.RECLAIM and change.award_id in known)
        for change in changes
    )


def _reclaim(change: Change) -> Reclaim:
    return Reclaim(award_id=change.award_id, namespace=change.namespace, model=change.model, gpus=change.before)


def carry_out(jobs: Sequence[Job], progress: Progress) -> list[Outcome]:
    """Run the jobs and return what became of each, in their order. Interrupting it interrupts all of them."""
    busy = [job for job in jobs if not job.empty]
    answers = run_all(
        [
            Errand(module="gpuprov.run.worker", message=job, progress=partial(progress, job.cluster.provider))
            for job in busy
        ]
    )
    done = {job.cluster.provider: _outcome(job, answer) for job, answer in zip(busy, answers, strict=True)}
    return [done.get(job.cluster.provider, Outcome(provider=job.cluster.provider)) for job in jobs]


def _outcome(job: Job, answer: Answer) -> Outcome:
    if answer.outcome is not None:
        return Outcome.model_validate(answer.outcome)
    died = f"its process ended with code {answer.code} and no answer; give the same command again"
    return Outcome(provider=job.cluster.provider, error=died)
