"""The work of `gpuprov watch`: start the service, and end it on a signal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from gpuprov.cli.common import use_toolchain
from gpuprov.cli.screen import say
from gpuprov.cli.serving import serving
from gpuprov.i18n import tr
from gpuprov.load.project import Project
from gpuprov.run import clock
from gpuprov.run.pipeline import select
from gpuprov.run.watch.branch import Branch
from gpuprov.run.watch.rounds import Settings
from gpuprov.run.watch.service import Watch


def watch(
    project: Project,
    at: datetime | None,
    providers: Sequence[str],
    *,
    timeout: float,
    apply: bool,
    git: bool,
    interval: float,
    listen: str,
) -> None:
    """Work until SIGTERM or Ctrl-C; a second one ends it at once. Raises InputError and ToolchainError."""
    use_toolchain()
    chosen = select(project.clusters, providers) if providers else ()
    if at is not None:
        clock.set_to(at)
    service = Watch(
        root=project.root,
        settings=Settings(interval=timedelta(seconds=interval), timeout=timeout, apply=apply),
        now=partial(clock.now, project.programme.zone),
        providers=chosen,
        branch=Branch(project.root) if git else None,
    )
    with serving(listen, service.stopping, service.metrics.registry, service.complaints, service.not_ready) as url:
        say(tr("watching {folder}; metrics at {url}/metrics", folder=project.root, url=url), err=True)
        service.run()
