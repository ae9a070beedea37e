"""What Pulumi has to do for one provider's job: which stacks, which awards in each, and the moves between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpuprov.core.outputs import summary
from gpuprov.engine import stacks
from gpuprov.engine.locks import Locks
from gpuprov.engine.messages import StackRun
from gpuprov.engine.shards import move
from gpuprov.engine.writes import create, remove, write_deployment
from gpuprov.run.child import Errand, require_live_parent, run_all
from gpuprov.run.job import Job, StackDone
from gpuprov.run.slots import engines

Progress = Callable[[str], None]


def reshard(job: Job, progress: Progress) -> None:
    """Move awards into the stacks that they belong to, and remove stacks that the provider has no more."""
    wanted = job.cluster.stacks
    names = dict.fromkeys([*wanted, *job.stacks])
    progress(f"moving awards between the stacks {', '.join(names)}; no tenant changes")
    there = {stack: stacks.read_deployment(job.root, stack) for stack in names}
    locks = {stack: Locks(root=job.root, stack=stack, patience=job.timeout, progress=progress) for stack in names}
    for stack in wanted:
        if there[stack] is None:
            require_live_parent()
            create(locks[stack])
            there[stack] = stacks.read_deployment(job.root, stack)
    before = {stack: deployment for stack, deployment in there.items() if deployment is not None}
    moved = move(before, job.project, job.cluster)
    for stack, deployment in moved.writes:
        require_live_parent()
        write_deployment(locks[stack], deployment)
        if stack not in wanted and not deployment["deployment"]["resources"]:
            remove(locks[stack])
    progress(f"moved {moved.awards} awards")


def apply(job: Job, changed: set[str], *, stays: set[str], waits: set[str], progress: Progress) -> list[StackDone]:
    """Let Pulumi touch the awards that differ, stack by stack; ``stays`` are stuck, ``waits`` postponed.

    A stack that loses its last award is applied as a whole, so that what its awards share goes too.
    """
    runs = [one for stack in job.cluster.stacks if (one := stack_run(job, stack, changed, stays, waits)) is not None]
    if not runs:
        return []
    progress(f"applying {len(changed)} awards" + (f" in {len(runs)} stacks" if len(runs) > 1 else ""))
    if len(runs) == 1:
        from gpuprov.run import stack as engine_run  # loads Pulumi's SDK: not before GPUs are free

        return [engine_run.run(runs[0], progress)]
    errands = [Errand(module="gpuprov.run.stack", message=one, progress=progress) for one in runs]
    answers = run_all(errands, at_once=engines())
    return [answered.read(StackDone, stack=run.stack) for run, answered in zip(runs, answers, strict=True)]


def stack_run(job: Job, stack: str, changed: set[str], stays: set[str], waits: set[str]) -> StackRun | None:
    """Return what Pulumi has to do on one stack, or None where that is nothing."""
    leaving = {one.award_id for one in job.reclaim} | waits
    tenants = tuple(
        tenant
        for tenant in job.tenants
        if tenant.award_id not in leaving and job.cluster.stack_of(tenant.award_id) == stack
    )
    recorded = {award_id: said for award_id, said in job.recorded.items() if job.cluster.stack_of(award_id) == stack}
    mine = {award_id for award_id in changed if job.cluster.stack_of(award_id) == stack}
    stuck_here = {award_id for award_id in stays if job.cluster.stack_of(award_id) == stack}
    untouched = (recorded.keys() | {tenant.award_id for tenant in tenants}) - mine
    if not (mine or job.reconnect):
        return None
    # Targets cost time for each of them and each object: they are for runs that leave something alone.
    everything = job.reconnect or not (untouched or stuck_here)
    should = summary(tenants)
    recorded = {award_id: said for award_id, said in recorded.items() if award_id not in mine}
    recorded |= {award_id: said for award_id, said in should.items() if award_id in mine}
    return StackRun(
        root=job.root,
        project=job.project,
        stack=stack,
        cluster=job.cluster,
        tenants=tenants,
        cluster_uid=job.cluster_uid,
        origin=job.origin,
        exists=job.reshard or stack in job.stacks,
        changed=None if everything else tuple(sorted(mine)),
        recorded=recorded,
        refresh=job.refresh,
        patience=job.timeout,
    )


def total(done: Sequence[StackDone]) -> dict[str, int]:
    """Return how many objects had which of Pulumi's operations in all stacks together."""
    objects: dict[str, int] = {}
    for one in done:
        for operation, number in one.operations.items():
            objects[operation] = objects.get(operation, 0) + number
    return objects
