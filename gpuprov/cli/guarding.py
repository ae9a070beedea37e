"""The work of `gpuprov term-guard`: start the service, and end it on a signal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from gpuprov.cli.screen import say
from gpuprov.cli.serving import serving
from gpuprov.core.termguard import Rules
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.kube.client import KubeApi
from gpuprov.kube.target import SERVICE_ACCOUNT_FOLDER, OwnCluster, own_settings
from gpuprov.run import clock
from gpuprov.run.termguard.guard import TermGuard
from gpuprov.run.termguard.metrics import Metrics
from gpuprov.run.termguard.report import Reporter
from gpuprov.run.termguard.service import Service


def guard(
    at: datetime | None,
    *,
    margin: int,
    retention: int | None,
    most: int,
    dry_run: bool,
    folder: Path | None,
    timeout: float,
    interval: float,
    listen: str,
) -> None:
    """Work until SIGTERM or Ctrl-C; a second one ends it at once. Raises InputError and ClusterUnreachable."""
    if at is not None:
        _set_clock(at)
    cluster, now = OwnCluster(), partial(clock.now, UTC)
    api = KubeApi(cluster, settings=own_settings(folder or SERVICE_ACCOUNT_FOLDER))
    metrics = Metrics()
    term_guard = TermGuard(
        cluster=cluster,
        api=api,
        rules=Rules(
            margin=timedelta(seconds=margin),
            retention=None if retention is None else timedelta(seconds=retention),
            most=most,
        ),
        now=now,
        machine_now=clock.machine_now,
        timeout=timeout,
        dry_run=dry_run,
        report=Reporter(api=api, metrics=metrics, now=now, dry_run=dry_run),
    )
    service = Service(guard=term_guard, interval=timedelta(seconds=interval))
    with serving(listen, service.stopping, metrics.registry, service.complaints, service.not_ready) as url:
        say(tr("guarding the terms of this cluster; metrics at {url}/metrics", url=url), err=True)
        service.run()


def _set_clock(at: datetime) -> None:
    """Let the clock go on from an instant. Raises InputError where it has no offset: no programme tells the zone."""
    if at.tzinfo is None:
        message = tr("has no offset, and this command knows no programme's time zone")
        remedy = tr("write it as 2026-06-30T23:59:59+09:00")
        raise InputError([Problem(argument="--at", value=at.isoformat(), message=message, remedy=remedy)])
    clock.set_to(at)
