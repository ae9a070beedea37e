"""What Pulumi has to do for one provider's job: which stacks, which awards in each, and the moves between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpuprov.core.outputs import summary
from gpuprov.core.tenant import Tenant
from gpuprov.engine import stacks
from gpuprov.engine.locks import Locks
from gpuprov.engine.messages import StackRun
from gpuprov.engine.shards import move
from gpuprov.engine.writes import create, remove, write_deployment
from gpuprov.i18n import tr, trn
from gpuprov.run.child import Errand, require_live_parent, run_all
from gpuprov.run.job import Job, StackDone
from gpuprov.run.slots import engines

Progress = Callable[[str], None]


def reshard(job: Job, progress: Progress) -> None:
    """Move awards into the stacks that they belong to, and remove stacks that the provider has no more."""
    wanted = job.cluster.stacks
    names = dict.fromkeys([*wanted, *job.stacks])
    progress(tr("moving awards between the stacks {stacks}; no tenant changes", stacks=", ".join(names)))
    found = {stack: stacks.read_deployment(job.root, stack) for stack in names}
    locks = {stack: Locks(root=job.root, stack=stack, patience=job.timeout, progress=progress) for stack in names}
    for stack in wanted:
        if found[stack] is None:
            require_live_parent()
            create(locks[stack])
            found[stack] = stacks.read_deployment(job.root, stack)
    before = {stack: deployment for stack, deployment in found.items() if deployment is not None}
    moved = move(before, job.project, job.cluster)
    for stack, deployment in moved.writes:
        require_live_parent()
        write_deployment(locks[stack], deployment)
        if stack not in wanted and not deployment["deployment"]["resources"]:
            remove(locks[stack])
    progress(trn("moved {number} award", "moved {number} awards", moved.awards))


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPart:
    """What of a job belongs to one stack.

    ``tenants`` are those that it shall have once the job is done, and ``recorded`` what its outputs say now;
    ``changed`` are the awards that Pulumi has to touch, ``stuck`` those that could not be taken back.
    """

    stack: str
    tenants: list[Tenant] = field(default_factory=list)
    recorded: dict[str, Any] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)


def split(job: Job, changed: set[str], stays: set[str], waits: set[str]) -> list[StackPart]:
    """Divide a job between its provider's stacks; ``stays`` are stuck, ``waits`` postponed."""
    parts = {stack: StackPart(stack=stack) for stack in job.cluster.stacks}
    leaving = {award.award_id for award in job.reclaim} | waits
    for tenant in job.tenants:
        if tenant.award_id not in leaving:
            parts[job.cluster.stack_of(tenant.award_id)].tenants.append(tenant)
    for award_id, record in job.recorded.items():
        parts[job.cluster.stack_of(award_id)].recorded[award_id] = record
    for award_id in changed:
        parts[job.cluster.stack_of(award_id)].changed.add(award_id)
    for award_id in stays:
        parts[job.cluster.stack_of(award_id)].stuck.add(award_id)
    return list(parts.values())


def apply(job: Job, changed: set[str], *, stays: set[str], waits: set[str], progress: Progress) -> list[StackDone]:
    """Let Pulumi touch the awards that differ, stack by stack; ``stays`` are stuck, ``waits`` postponed.

    A stack that loses its last award is applied as a whole, so that what its awards share goes too.
    """
    runs = [run for part in split(job, changed, stays, waits) if (run := stack_run(job, part)) is not None]
    if not runs:
        return []
    awards = trn("applying {number} award", "applying {number} awards", len(changed))
    progress(awards if len(runs) == 1 else tr("{applying} in {number} stacks", applying=awards, number=len(runs)))
    if len(runs) == 1:
        from gpuprov.run import stack as engine_run  # loads Pulumi's SDK: not before GPUs are free

        return [engine_run.run(runs[0], progress)]
    errands = [Errand(module="gpuprov.run.stack", message=run, progress=progress) for run in runs]
    answers = run_all(errands, at_once=engines())
    return [answered.read(StackDone, stack=run.stack) for run, answered in zip(runs, answers, strict=True)]


def stack_run(job: Job, part: StackPart) -> StackRun | None:
    """Return what Pulumi has to do on one stack, or None where that is nothing."""
    if not (part.changed or job.reconnect):
        return None
    untouched = (part.recorded.keys() | {tenant.award_id for tenant in part.tenants}) - part.changed
    # Targets cost time for each of them and each object: they are for runs that leave something alone.
    everything = job.reconnect or not (untouched or part.stuck)
    recorded = {award_id: record for award_id, record in part.recorded.items() if award_id not in part.changed}
    recorded |= {award_id: record for award_id, record in summary(part.tenants).items() if award_id in part.changed}
    return StackRun(
        root=job.root,
        project=job.project,
        stack=part.stack,
        cluster=job.cluster,
        tenants=tuple(part.tenants),
        cluster_uid=job.cluster_uid,
        origin=job.origin,
        exists=job.reshard or part.stack in job.stacks,
        changed=None if everything else tuple(sorted(part.changed)),
        recorded=recorded,
        refresh=job.refresh,
        patience=job.timeout,
    )


def total(done: Sequence[StackDone]) -> dict[str, int]:
    """Return how many objects had which of Pulumi's operations in all stacks together."""
    objects: dict[str, int] = {}
    for stack in done:
        for operation, number in stack.operations.items():
            objects[operation] = objects.get(operation, 0) + number
    return objects
