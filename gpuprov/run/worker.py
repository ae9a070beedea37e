"""One provider's process: takes a Job on standard input, answers in JSON lines on standard output.

The order is the point: what is given back is proven free before anything is granted.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence

from gpuprov import engine, reclaim
from gpuprov.errors import GpuprovError
from gpuprov.manifests import quota_hard
from gpuprov.program import summary
from gpuprov.run.job import Freed, Job, Outcome, Reclaim
from gpuprov.tenant import Tenant


def say(kind: str, value: object) -> None:
    """Write one line of the answer. Where nobody reads any more, the work is finished all the same."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps({kind: value}) + "\n")
        sys.stdout.flush()


def progress(line: str) -> None:
    """Tell the parent what is going on."""
    say("progress", line)


def run(job: Job) -> Outcome:
    """Release, lower, apply, prove. Raises GpuprovError; what was done before it stays done and can be repeated."""
    begun = time.monotonic()
    _lower(job)
    released, stuck, held = _release(job)
    postponed = _postpone(job, held)
    if job.reconnect and (stuck or postponed):
        # Without targets Pulumi would delete what is stuck or waits; with targets it would use the old context.
        return Outcome(
            provider=job.cluster.provider,
            stuck=stuck,
            postponed=tuple(sorted(postponed)),
            seconds=time.monotonic() - begun,
            error=_complaint(stuck, postponed),
        )
    leaving = {one.award_id for one in job.reclaim} | postponed
    tenants = [tenant for tenant in job.tenants if tenant.award_id not in leaving]
    touch = set(job.touch) - set(stuck) - postponed
    nothing_stays = not tenants and not job.told.keys() - touch and not stuck
    operations = _apply(job, tenants, touch, everything=nothing_stays or job.reconnect)
    freed = _prove(job, released, stuck, begun)
    return Outcome(
        provider=job.cluster.provider,
        applied=tuple(sorted(touch)),
        operations=operations,
        freed=tuple(freed),
        stuck=stuck,
        postponed=tuple(sorted(postponed)),
        seconds=time.monotonic() - begun,
        error=_complaint(stuck, postponed),
    )


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
    return free, stuck, held


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


def _apply(job: Job, tenants: Sequence[Tenant], touch: set[str], *, everything: bool) -> dict[str, int]:
    """Let Pulumi touch the awards that differ; with ``everything`` also what they share, which an empty stack loses."""
    if not touch and not job.reconnect:
        return {}
    progress(f"applying {len(touch)} awards")
    should = summary(tenants)
    told = {award_id: said for award_id, said in job.told.items() if award_id not in touch}
    told |= {award_id: said for award_id, said in should.items() if award_id in touch}
    applied = engine.up(
        job.root,
        job.project,
        job.cluster,
        tenants,
        job.cluster_uid,
        touch=None if everything else touch,
        told=told,
        refresh=job.refresh,
        progress=progress,
    )
    return dict(applied.operations)


def _prove(job: Job, released: dict[str, float], stuck: dict[str, str], begun: float) -> list[Freed]:
    """Read back that the namespaces are gone; what remains is added to ``stuck``."""
    going: list[Reclaim] = [one for one in job.reclaim if one.award_id not in stuck]
    if not going:
        return []
    remains = reclaim.prove_gone(job.cluster, [one.namespace for one in going], timeout=job.timeout, progress=progress)
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


def _complaint(stuck: dict[str, str], postponed: set[str]) -> str | None:
    if not stuck:
        return None
    lines = [f"{award_id} is not reclaimed: {reason}" for award_id, reason in sorted(stuck.items())]
    if postponed:
        lines.append(f"not granted until then: {', '.join(sorted(postponed))}")
    return "\n".join([*lines, "its GPUs are not credited; when the cause is gone, give the same command again"])


def main() -> None:
    """Read the job, do it, answer with the outcome. The exit code says nothing: the answer does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # lets Pulumi save its state before we go
    job = Job.model_validate_json(sys.stdin.read())
    try:
        outcome = run(job)
    except GpuprovError as error:
        outcome = Outcome(provider=job.cluster.provider, error=str(error))
    except KeyboardInterrupt:
        outcome = Outcome(provider=job.cluster.provider, error="interrupted; give the same command again")
    except Exception:  # noqa: BLE001 (a bug on one provider must not hide what the others did)
        outcome = Outcome(provider=job.cluster.provider, error=f"a bug in gpuprov:\n{traceback.format_exc()}")
    say("outcome", outcome.model_dump(mode="json"))


if __name__ == "__main__":
    main()
