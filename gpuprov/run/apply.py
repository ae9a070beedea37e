"""Carries a plan out: one process for each provider, side by side; one that fails never stops the others."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from gpuprov.errors import GpuprovError
from gpuprov.plan import Change, Op
from gpuprov.program import summary
from gpuprov.run.job import Job, Outcome, Reclaim
from gpuprov.run.pipeline import Progress, Situation


def make_jobs(
    situation: Situation, *, timeout: float, only: Collection[str] | None = None, accept: Collection[str] = ()
) -> list[Job]:
    """Return one job for each provider that was observed; a job is empty where nothing differs.

    An award differs where the cluster does not have it as it should be, or where the stack's last outputs say
    otherwise: a killed run writes none, so they tell what it left undone (a failed one writes them too; what it did
    not do the plan sees on the cluster itself). ``only`` restricts
    the jobs to some awards. ``accept`` names providers whose cluster was replaced: there everything is looked at
    again.
    """
    jobs = []
    for there in situation.observed:
        provider = there.provider
        cluster = situation.project.by_provider[provider]
        tenants = situation.desired.on(provider)
        changes = situation.plan.on(provider)
        said, should = situation.outputs[provider], summary(tenants)
        ids = said.tenants.keys() | should.keys()
        touch = {change.award_id for change in changes}
        touch |= {award_id for award_id in ids if said.tenants.get(award_id) != should.get(award_id)}
        replaced = said.cluster_uid not in (None, there.uid) and (provider in accept)
        if replaced:
            touch |= ids
        if only is not None:
            touch &= set(only)
            changes = tuple(change for change in changes if change.award_id in only)
        # A refresh would read through the old context; what drifted as well is put right by the next run.
        reconnect = only is None and bool(said.tenants) and said.context != cluster.context
        jobs.append(
            Job(
                root=situation.project.root,
                project=situation.project.name,
                cluster=cluster,
                cluster_uid=there.uid,
                tenants=tenants,
                told=dict(said.tenants),
                touch=tuple(sorted(touch)),
                grow=tuple(change.award_id for change in changes if change.after > change.before),
                lower=tuple(c.award_id for c in changes if c.op is Op.UPDATE and c.after < c.before),
                reclaim=tuple(_reclaim(change) for change in changes if change.op is Op.RECLAIM),
                reconnect=reconnect,
                refresh=not reconnect and (replaced or not _clean(changes, said.tenants.keys())),
                timeout=timeout,
            )
        )
    return jobs


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
    running = [_start(job) for job in jobs]
    try:
        with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as pool:
            waiting = [pool.submit(_follow, job, process, progress) for job, process in zip(jobs, running, strict=True)]
            try:
                return [one.result() for one in waiting]
            except KeyboardInterrupt:
                for process in running:
                    if process is not None and process.poll() is None:
                        process.send_signal(signal.SIGINT)
                raise
    finally:
        for process in running:
            if process is not None:
                process.wait()


def _start(job: Job) -> subprocess.Popen[str] | None:
    if job.empty:
        return None
    return subprocess.Popen(
        [sys.executable, "-m", "gpuprov.run.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def _follow(job: Job, process: subprocess.Popen[str] | None, progress: Progress) -> Outcome:
    provider = job.cluster.provider
    if process is None:
        return Outcome(provider=provider)
    if process.stdin is None or process.stdout is None:
        raise GpuprovError("the provider's process has no pipes")
    with process.stdin as pipe:
        pipe.write(job.model_dump_json(by_alias=True))
    outcome = None
    for line in process.stdout:
        said = json.loads(line)
        if "progress" in said:
            progress(provider, said["progress"])
        if "outcome" in said:
            outcome = Outcome.model_validate(said["outcome"])
    code = process.wait()
    died = f"its process ended with code {code} and no answer; give the same command again"
    return outcome or Outcome(provider=provider, error=died)
