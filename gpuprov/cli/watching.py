"""The work of `gpuprov watch`: start the service, and end it on a signal."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from gpuprov.cli.common import use_toolchain
from gpuprov.cli.screen import say
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.project import Project
from gpuprov.run import clock, log
from gpuprov.run.pipeline import select
from gpuprov.run.watch.branch import Branch
from gpuprov.run.watch.rounds import Settings
from gpuprov.run.watch.server import serving
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
    address = _address(listen)
    use_toolchain()
    chosen = select(project.clusters, providers) if providers else ()
    if at is not None:
        clock.set_to(at)
    _log_always()
    service = Watch(
        root=project.root,
        settings=Settings(interval=timedelta(seconds=interval), timeout=timeout, apply=apply),
        now=partial(clock.now, project.programme.zone),
        providers=chosen,
        branch=Branch(project.root) if git else None,
    )

    def stop(*_: object) -> None:
        service.stopping.set()
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, signal.default_int_handler)

    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, stop)
    with serving(address, service.metrics.registry, service.complaints, service.not_ready) as url:
        say(tr("watching {folder}; metrics at {url}/metrics", folder=project.root, url=url), err=True)
        service.run()


def _log_always() -> None:
    """Log decisions and acts at a terminal too: a service prints nothing else."""
    level = int(os.environ.get(log.LEVEL_VARIABLE, log.SILENT))
    log.configure(min(level, logging.INFO), log.Format(os.environ.get(log.FORMAT_VARIABLE, log.Format.TEXT)))


_MOST_PORT = 65535


def _address(text: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 address is in brackets. Raises InputError."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) <= _MOST_PORT):
        message, remedy = tr("is not an address"), tr("write it as 127.0.0.1:9464")
        raise InputError([Problem(argument="--listen", value=text, message=message, remedy=remedy)])
    return host.removeprefix("[").removesuffix("]"), int(port)
