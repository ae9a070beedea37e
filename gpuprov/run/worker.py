"""One provider's process: takes a Job on standard input, answers in JSON lines on standard output.

The order is the point: what is given back is proven free before anything is granted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from gpuprov import reclaim, state
from gpuprov.manifests import quota_hard
from gpuprov.outputs import summary
from gpuprov.run.child import Errand, answer, insist_on_parent, listen, run_all
from gpuprov.run.child import tell as progress
from gpuprov.run.job import Freed, Job, Outcome, Reclaim, StackDone
from gpuprov.run.slots import engines
from gpuprov.shards import move
from gpuprov.stackrun import StackRun


def run(job: Job) -> Outcome:
    """Release, lower, apply, prove. Raises GpuprovError; what was done before it stays done and can be repeated."""
    begun = time.monotonic()
    if job.reshard:
        _reshard(job)
    _lower(job)
    released, stuck, held = _release(job)
    insist_on_parent()
    freed = _end(job, released, stuck, begun)
    postponed = _postpone(job, held)
    stuck |= _settle(job)
    failed: list[str] = []
    done: list[StackDone] = []
    touch = set(job.touch) - set(stuck) - postponed
    if job.reconnect and (stuck or postponed):
        # Without targets Pulumi would delete what is stuck or waits; with targets it would use the old context.
        touch = set()
    else:
        done = _apply(job, touch, stays=set(stuck), waits=postponed)
        failed = [one.error for one in done if one.error]
        broken = {one.stack for one in done if one.error}
        touch = {award_id for award_id in touch if job.cluster.stack_of(award_id) not in broken}
    return Outcome(
        provider=job.cluster.provider,
        lowered=job.lower,
        applied=tuple(sorted(touch)),
        operations=_sum(done),
        freed=tuple(freed),
        stuck=stuck,
        postponed=tuple(sorted(postponed)),
        seconds=time.monotonic() - begun,
        error="\n".join([*failed, *([complaint] if (complaint := _complaint(stuck, postponed)) else [])]) or None,
    )


def _reshard(job: Job) -> None:
    """Move awards into the stacks that they belong to, and remove stacks that the provider has no more."""
    wanted = job.cluster.stacks
    names = dict.fromkeys([*wanted, *job.stacks])
    progress(f"moving awards between the stacks {', '.join(names)}; no tenant changes")
    there = {stack: state.read_deployment(job.root, stack) for stack in names}
    for stack in wanted:
        if there[stack] is None:
            insist_on_parent()
            state.create(job.root, stack)
            there[stack] = state.read_deployment(job.root, stack)
    before = {stack: deployment for stack, deployment in there.items() if deployment is not None}
    moved = move(before, job.project, job.cluster)
    for stack, deployment in moved.writes:
        insist_on_parent()
        state.write_deployment(job.root, stack, deployment)
        if stack not in wanted and not deployment["deployment"]["resources"]:
            state.remove(job.root, stack)
    progress(f"moved {moved.awards} awards")


def _lower(job: Job) -> None:
    tenants = {tenant.award_id: tenant for tenant in job.tenants}
    shrinking = [tenants[award_id] for award_id in job.lower]
    if shrinking:
        progress(f"lowering {len(shrinking)} quotas")
        reclaim.lower(job.cluster, {tenant.namespace: quota_hard(tenant, job.cluster) for tenant in shrinking})


def _release(job: Job) -> tuple[dict[str, float], dict[str, str], dict[str, int]]:
    """End the pods of what is reclaimed.

    Return the seconds for each award whose GPUs are proven free, the reason for each where they are not, and the GPUs
    that pods of the latter hold, by model.
    """
    if not job.reclaim:
        return {}, {}, {}
    progress(f"ending the pods of {len(job.reclaim)} awards")
    awards = {one.namespace: one for one in job.reclaim}
    releases = reclaim.release(job.cluster, list(awards), timeout=job.timeout, progress=progress)
    free: dict[str, float] = {}
    stuck: dict[str, str] = {}
    held: dict[str, int] = {}
    for one in releases:
        award = awards[one.namespace]
        if one.stuck:
            stuck[award.award_id] = "; ".join(one.stuck)
            held[award.model] = held.get(award.model, 0) + one.held
        else:
            free[award.award_id] = one.seconds
    if free:
        progress(f"the GPUs of {len(free)} awards are proven free")
    return free, stuck, held


def _end(job: Job, released: dict[str, float], stuck: dict[str, str], begun: float) -> list[Freed]:
    """Delete the namespaces and read back that they are gone; what remains is added to ``stuck``.

    Before Pulumi, which would wait for one that hangs, and hold up all other awards with it.
    """
    going: list[Reclaim] = [one for one in job.reclaim if one.award_id in released]
    if not going:
        return []
    names = [one.namespace for one in going]
    reclaim.delete(job.cluster, names)
    remains = reclaim.prove_gone(job.cluster, names, timeout=job.timeout, progress=progress)
    seconds = time.monotonic() - begun
    stuck.update(
        (one.award_id, f"namespace {one.namespace}: {remains[one.namespace]}")
        for one in going
        if one.namespace in remains
    )
    return [
        Freed(
            award_id=one.award_id,
            namespace=one.namespace,
            model=one.model,
            gpus=one.gpus,
            pods_seconds=released[one.award_id],
            seconds=seconds,
        )
        for one in going
        if one.namespace not in remains
    ]


def _settle(job: Job) -> dict[str, str]:
    """Wait for namespaces that are to be made again; return the awards whose namespaces do not go, with the reason."""
    awards = {tenant.namespace: tenant.award_id for tenant in job.tenants if tenant.award_id in job.touch}
    going = reclaim.settle(job.cluster, awards.keys(), timeout=job.timeout, progress=progress)
    return {awards[name]: f"namespace {name}: {reason}" for name, reason in going.items()}


def _postpone(job: Job, held: Mapping[str, int]) -> set[str]:
    """Return the awards that must wait because pods of reclaimed tenants still hold what they would get.

    What the pods hold is counted, not what a quota says: that is 0 since the teardown began.
    """
    wanted: dict[str, int] = {}
    for tenant in job.tenants:
        wanted[tenant.pool.model] = wanted.get(tenant.pool.model, 0) + tenant.gpus
    full = {
        pool.model
        for pool in job.cluster.pools
        if held.get(pool.model) and held[pool.model] + wanted.get(pool.model, 0) > pool.capacity
    }
    return {tenant.award_id for tenant in job.tenants if tenant.award_id in job.grow and tenant.pool.model in full}


def _apply(job: Job, touch: set[str], *, stays: set[str], waits: set[str]) -> list[StackDone]:
    """Let Pulumi touch the awards that differ, stack by stack; ``stays`` are stuck, ``waits`` postponed.

    A stack that loses its last award is applied as a whole, so that what its awards share goes too.
    """
    runs = [one for stack in job.cluster.stacks if (one := _stack_run(job, stack, touch, stays, waits)) is not None]
    if not runs:
        return []
    progress(f"applying {len(touch)} awards" + (f" in {len(runs)} stacks" if len(runs) > 1 else ""))
    if len(runs) == 1:
        from gpuprov.run import stack as engine_run  # loads Pulumi's SDK: not before GPUs are free

        return [engine_run.run(runs[0], progress)]
    errands = [Errand(module="gpuprov.run.stack", message=one, progress=progress) for one in runs]
    answers = run_all(errands, at_once=engines())
    return [
        StackDone.model_validate(said.outcome)
        if said.outcome is not None
        else StackDone(stack=one.stack, error=f"{one.stack}: its process ended with code {said.code} and no answer")
        for one, said in zip(runs, answers, strict=True)
    ]


def _stack_run(job: Job, stack: str, touch: set[str], stays: set[str], waits: set[str]) -> StackRun | None:
    """Return what Pulumi has to do on one stack, or None where that is nothing."""
    leaving = {one.award_id for one in job.reclaim} | waits
    tenants = tuple(
        tenant
        for tenant in job.tenants
        if tenant.award_id not in leaving and job.cluster.stack_of(tenant.award_id) == stack
    )
    told = {award_id: said for award_id, said in job.told.items() if job.cluster.stack_of(award_id) == stack}
    mine = {award_id for award_id in touch if job.cluster.stack_of(award_id) == stack}
    stuck_here = {award_id for award_id in stays if job.cluster.stack_of(award_id) == stack}
    untouched = (told.keys() | {tenant.award_id for tenant in tenants}) - mine
    if not (mine or job.reconnect):
        return None
    # Targets cost time for each of them and each object: they are for runs that leave something alone.
    everything = job.reconnect or not (untouched or stuck_here)
    should = summary(tenants)
    told = {award_id: said for award_id, said in told.items() if award_id not in mine}
    told |= {award_id: said for award_id, said in should.items() if award_id in mine}
    return StackRun(
        root=job.root,
        project=job.project,
        stack=stack,
        cluster=job.cluster,
        tenants=tenants,
        cluster_uid=job.cluster_uid,
        exists=job.reshard or stack in job.stacks,
        touch=None if everything else tuple(sorted(mine)),
        told=told,
        refresh=job.refresh,
        patience=job.timeout,
    )


def _sum(done: Sequence[StackDone]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in done:
        for operation, number in one.operations.items():
            total[operation] = total.get(operation, 0) + number
    return total


def _complaint(stuck: dict[str, str], postponed: set[str]) -> str | None:
    if not stuck:
        return None
    lines = [f"{award_id} is not reclaimed: {reason}" for award_id, reason in sorted(stuck.items())]
    if postponed:
        lines.append(f"not granted until then: {', '.join(sorted(postponed))}")
    return "\n".join([*lines, "its GPUs are not credited; when the cause is gone, give the same command again"])


def main() -> None:
    """Read the job, do it, answer with the outcome."""
    job = Job.model_validate_json(listen())
    answer(lambda: run(job), lambda error: Outcome(provider=job.cluster.provider, error=error))


if __name__ == "__main__":
    main()
