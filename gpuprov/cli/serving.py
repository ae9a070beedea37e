"""What the commands that run as services share: where they listen, what they log, and how they end."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

import click

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.run import log

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from gpuprov.run.server import Complaints

_MOST_PORT = 65535

interval_option = click.option(
    "--interval",
    type=click.FloatRange(min=1, max=3600),
    default=60.0,
    show_default=True,
    help="Seconds between two looks at most.",
)
listen_option = click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:9464",
    show_default=True,
    help="Where /healthz, /readyz and /metrics are served.",
)


@contextmanager
def serving(
    listen: str, stopping: Event, registry: CollectorRegistry, alive: Complaints, ready: Complaints
) -> Iterator[str]:
    """Serve the pages at ``listen`` while the block runs, and set ``stopping`` on SIGTERM or Ctrl-C; yield the address.

    A second signal ends the process at once. Decisions and acts are logged at a terminal too: a service prints nothing
    else. Raises InputError where the address cannot be used.
    """
    from gpuprov.run import server

    address = _address(listen)
    level = int(os.environ.get(log.LEVEL_VARIABLE, log.SILENT))
    log.configure(min(level, logging.INFO), log.Format(os.environ.get(log.FORMAT_VARIABLE, log.Format.TEXT)))

    def stop(*_: object) -> None:
        stopping.set()
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, signal.default_int_handler)

    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, stop)
    with server.serving(address, registry, alive, ready) as url:
        yield url


def _address(text: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 address is in brackets. Raises InputError."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) <= _MOST_PORT):
        message, remedy = tr("is not an address"), tr("write it as 127.0.0.1:9464")
        raise InputError([Problem(argument="--listen", value=text, message=message, remedy=remedy)])
    return host.removeprefix("[").removesuffix("]"), int(port)
