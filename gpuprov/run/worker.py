"""One provider's process: takes a Job on standard input, answers in JSON lines on standard output.

It acts only while it has the turn on the cluster, and only on a decision that nobody's turn has overtaken. The order is
the point: access goes first, and what is given back is proven free before anything is granted.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gpuprov.core.manifests import quota_hard
from gpuprov.i18n import joined, tr, trn
from gpuprov.kube.client import KubeApi
from gpuprov.kube.lease import Turn, take_turn
from gpuprov.kube.leaseobject import NoLease
from gpuprov.kube.observe import read_back
from gpuprov.kube.reclaim import Teardown
from gpuprov.kube.usage import pods_on
from gpuprov.run import stacks
from gpuprov.run.child import answer, listen, require_live_parent
from gpuprov.run.child import tell as progress
from gpuprov.run.clock import now
from gpuprov.run.files import digests
from gpuprov.run.job import Freed, Job, Outcome, Reclaim, StackDone
from gpuprov.run.log import name_awards


def run(job: Job) -> Outcome:
    """Take the turn on the cluster, see that the decision still holds, carry it out. Raises GpuprovError; what was done
    before it stays done and can be repeated.
    """
    api = KubeApi(job.cluster)
    try:
        with take_turn(job.cluster, job.purpose, patience=job.timeout, progress=progress, api=api) as turn:
            if job.turn != turn.number - 1:
                turn.idle = True
                return Outcome(provider=job.cluster.provider, stale=_who(turn))
            outcome = _carry_out(job, turn, api)
            turn.good = not (outcome.error or outcome.stale)
            return outcome
    except NoLease:
        if job.growing:
            raise
        progress(tr("nothing keeps other runs away, and GPUs come back all the same"))
        return _carry_out(job, None, api)


def _who(turn: Turn) -> str:
    somebody = tr("somebody")
    return tr("{actor} has acted on this cluster", actor=turn.previous or somebody)


def _carry_out(job: Job, turn: Turn | None, api: KubeApi) -> Outcome:
    """Lower, release, apply, prove: in that order."""
    begun = time.monotonic()
    teardown = Teardown.on(job.cluster, api=api, timeout=job.timeout, progress=progress)
    _lower(job, teardown)
    asked = now(UTC).astimezone(job.at.tzinfo)  # by the programme's time zone, as people read it
    released, stuck, held = _release(job, teardown)
    require_live_parent()
    freed = _end(job, teardown, released, stuck, begun=begun, asked=asked)
    stale = _changed_files(job)
    postponed: set[str] = set()
    applied: set[str] = set()
    done: list[StackDone] = []
    if not (stale or job.unread):
        stuck |= _settle(job, teardown)
        postponed = _postpone(job, held, _kept(job, api))
        done, applied = _apply(job, turn, set(stuck), postponed)
    missing = _not_as_written(job, applied, api)
    errors = [job.unread, *(stack.error for stack in done), *missing.values(), _complaint(stuck, postponed)]
    return Outcome(
        provider=job.cluster.provider,
        lowered=job.shrinking,
        applied=tuple(sorted(applied - missing.keys())),
        operations=stacks.total(done),
        freed=tuple(freed),
        stuck=stuck,
        postponed=tuple(sorted(postponed)),
        seconds=time.monotonic() - begun,
        stale=stale,
        error=joined("\n", filter(None, errors)) or None,
    )


def _apply(job: Job, turn: Turn | None, stuck: set[str], postponed: set[str]) -> tuple[list[StackDone], set[str]]:
    """Bring Pulumi's stacks to what they should be; return what became of each, and the awards of those that succeeded.

    Raises ClusterError where the turn was lost meanwhile.
    """
    if job.reconnect and (stuck or postponed):
        # With targets Pulumi would use the old context; without, the state would lose what is stuck or waits.
        return [], set()
    if turn is not None:
        turn.require_held()
    if job.reshard:
        stacks.reshard(job, progress)
    changed = set(job.changed) - stuck - postponed
    done = stacks.apply(job, changed, stays=stuck, waits=postponed, progress=progress)
    failed = {stack.stack for stack in done if stack.error}
    return done, {award_id for award_id in changed if job.cluster.stack_of(award_id) not in failed}


def _changed_files(job: Job) -> str | None:
    """Say which files are not any more what was decided on: ending pods may have taken minutes."""
    present = digests([Path(path) for path in job.files])
    changed = [Path(path).name for path, digest in job.files.items() if present[path] != digest]
    return tr("{files} changed meanwhile", files=", ".join(changed)) if changed else None


def _kept(job: Job, api: KubeApi) -> dict[str, int]:
    """Return what shrinking tenants hold beyond their new quotas, by model: nothing new starts since they are lower."""
    tenants = {tenant.namespace: tenant for tenant in job.tenants if tenant.award_id in job.shrinking}
    kept: dict[str, int] = {}
    if not (tenants and job.growing):
        return kept
    pods = pods_on(job.cluster, tenants.keys(), api)
    for name, live in read_back(job.cluster, tenants.keys(), api).items():
        tenant = tenants[name]
        resource = tenant.pool.resource
        more = replace(live, pods=pods.get(name, {})).occupied(resource) - tenant.gpus
        kept[tenant.pool.model] = kept.get(tenant.pool.model, 0) + max(0, more)
    return kept


def _not_as_written(job: Job, applied: Collection[str], api: KubeApi) -> dict[str, str]:
    """Read back what was granted; return the awards that are not there as they should be, with what is wrong."""
    tenants = {tenant.namespace: tenant for tenant in job.tenants if tenant.award_id in applied}
    found = read_back(job.cluster, tenants.keys(), api) if tenants else {}
    wrong: dict[str, str] = {}
    for name, tenant in tenants.items():
        live = found.get(name)
        granted = None if live is None or live.terminating else live.hard(tenant.pool.resource)
        if granted != tenant.gpus:
            gone = tr("its namespace is not there")
            wrong[tenant.award_id] = tr(
                "{award}: Pulumi reported success, and {difference}; rerun the command",
                award=tenant.award_id,
                difference=gone if granted is None else _grants(granted),
            )
    return wrong


def _grants(gpus: int) -> str:
    return tr("its quota grants {gpus}", gpus=gpus)


def _lower(job: Job, teardown: Teardown) -> None:
    tenants = {tenant.award_id: tenant for tenant in job.tenants}
    shrinking = [tenants[award_id] for award_id in job.shrinking]
    if shrinking:
        progress(trn("lowering {number} quota", "lowering {number} quotas", len(shrinking)))
        teardown.lower({tenant.namespace: quota_hard(tenant) for tenant in shrinking})


def _release(job: Job, teardown: Teardown) -> tuple[dict[str, float], dict[str, str], dict[str, int]]:
    """End the pods of what is reclaimed.

    Return the seconds for each award whose GPUs are proven free, the reason for each where they are not, and the GPUs
    that pods of the latter hold, by model.
    """
    if not job.reclaim:
        return {}, {}, {}
    progress(trn("ending the pods of {number} award", "ending the pods of {number} awards", len(job.reclaim)))
    awards = {award.namespace: award for award in job.reclaim}
    free: dict[str, float] = {}
    stuck: dict[str, str] = {}
    held: dict[str, int] = {}
    for release in teardown.release(list(awards)):
        award = awards[release.namespace]
        if release.stuck:
            stuck[award.award_id] = joined("; ", release.stuck)
            held[award.model] = held.get(award.model, 0) + release.held
        else:
            free[award.award_id] = release.seconds
    if free:
        progress(
            trn(
                "the GPUs of {number} award are proven free",
                "the GPUs of {number} awards are proven free",
                len(free),
            )
        )
    return free, stuck, held


def _end(
    job: Job, teardown: Teardown, released: dict[str, float], stuck: dict[str, str], *, begun: float, asked: datetime
) -> list[Freed]:
    """Delete the namespaces and read back that they are gone; what remains is added to ``stuck``. ``asked`` is when the
    pods were asked to end.

    Before Pulumi, which would wait for one that hangs, and hold up all other awards with it.
    """
    awards: list[Reclaim] = [award for award in job.reclaim if award.award_id in released]
    if not awards:
        return []
    names = [award.namespace for award in awards]
    teardown.delete(names)
    remaining = teardown.prove_gone(names)
    seconds = time.monotonic() - begun
    stuck.update(
        (award.award_id, _of_namespace(award.namespace, remaining[award.namespace]))
        for award in awards
        if award.namespace in remaining
    )
    return [
        Freed(
            award_id=award.award_id,
            namespace=award.namespace,
            model=award.model,
            gpus=award.gpus,
            proven_at=asked + timedelta(seconds=released[award.award_id]),
            pods_seconds=released[award.award_id],
            seconds=seconds,
        )
        for award in awards
        if award.namespace not in remaining
    ]


def _settle(job: Job, teardown: Teardown) -> dict[str, str]:
    """Wait for namespaces that are to be made again; return the awards whose namespaces do not go, with the reason."""
    awards = {tenant.namespace: tenant.award_id for tenant in job.tenants if tenant.award_id in job.changed}
    terminating = teardown.settle(awards.keys())
    return {awards[name]: _of_namespace(name, reason) for name, reason in terminating.items()}


def _of_namespace(name: str, reason: str) -> str:
    return tr("namespace {name}: {reason}", name=name, reason=reason)


def _postpone(job: Job, held: Mapping[str, int], kept: Mapping[str, int]) -> set[str]:
    """Return the awards that must wait because others still hold what they would get.

    ``held`` are the GPUs of pods of reclaimed tenants, whatever their quota says (0, since the teardown began);
    ``kept`` are those that shrinking tenants hold on to.
    """
    taken = {model: job.over.get(model, 0) + held.get(model, 0) + kept.get(model, 0) for model in _models(job)}
    wanted = dict.fromkeys(taken, 0)
    for tenant in job.tenants:
        wanted[tenant.pool.model] += tenant.gpus
    full = {
        pool.model
        for pool in job.cluster.pools
        if taken[pool.model] and taken[pool.model] + wanted[pool.model] > pool.capacity_at(job.at)
    }
    return {tenant.award_id for tenant in job.tenants if tenant.award_id in job.growing and tenant.pool.model in full}


def _models(job: Job) -> list[str]:
    return [str(pool.model) for pool in job.cluster.pools]


def _complaint(stuck: Mapping[str, str], postponed: Collection[str]) -> str | None:
    if not (stuck or postponed):
        return None
    lines: list[str] = [
        tr("{award} is not reclaimed: {reason}", award=award_id, reason=reason)
        for award_id, reason in sorted(stuck.items())
    ]
    if postponed:
        awards = ", ".join(sorted(postponed))
        lines.append(tr("not granted until the GPUs are free that others' pods hold: {awards}", awards=awards))
    if stuck:
        lines.append(tr("its GPUs are not credited"))
    return joined("\n", [*lines, tr("when the cause is gone, rerun the same command")])


def _awards(job: Job) -> dict[str, str]:
    awards = {tenant.namespace: tenant.award_id for tenant in job.tenants}
    return awards | {award.namespace: award.award_id for award in job.reclaim}


def main() -> None:
    """Read the job, do it, answer with the outcome."""
    job = Job.model_validate_json(listen())
    name_awards(_awards(job))
    answer(lambda: run(job), lambda error: Outcome(provider=job.cluster.provider, error=error))


if __name__ == "__main__":
    main()
