"""The night of 30 June, with the service: how long after midnight the last GPU is proven free, with nobody watching.

The service's clock goes on from some seconds before midnight. Pods of some awards use their GPUs until the end. With
``--rounds`` the service then goes on, with nothing to do, and its memory is noted.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread

import click
import psutil
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from bench.world import AFTER, World, end, namespace, world

MIDNIGHT = datetime.fromisoformat(AFTER)
_LEAD = timedelta(seconds=20)
_PODS = 16
_SERVES = re.compile(r"metrics at (http://\S+)/metrics")
_FREE = re.compile(r"proven free at ([^\s,]+)")
_MEBI = 2**20


class Service:
    """`gpuprov watch` on the world's project, and what it has logged."""

    def __init__(self, where: World) -> None:
        begin = (MIDNIGHT - _LEAD).isoformat()
        options = [
            "--at",
            begin,
            "--interval",
            "1",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--timeout",
            "600",
        ]
        self.process = where.start(sys.executable, "-m", "gpuprov", "watch", *options, cwd=None, environment={})
        self.lines: list[str] = []
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.lines.append(line)

    def proven_free(self) -> list[datetime]:
        """Return when the GPUs of each award were proven free, as far as it has said so."""
        messages = [json.loads(line)["message"] for line in list(self.lines) if line.startswith("{")]
        return [datetime.fromisoformat(found[1]) for message in messages if (found := _FREE.search(message))]

    def metric(self, name: str) -> float:
        """Return the sum of a metric's samples."""
        (url,) = [found[1] for line in list(self.lines) if (found := _SERVES.search(line))]
        text = urllib3.request("GET", f"{url}/metrics", timeout=60).data.decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == name)

    def wait(self) -> None:
        """Let some time pass. Raises click.ClickException where it has ended."""
        if self.process.poll() is not None:
            raise click.ClickException("".join(self.lines[-20:]))
        time.sleep(0.2)

    def memory(self) -> float:
        """Return the resident memory of the service itself, in MiB."""
        return psutil.Process(self.process.pid).memory_info().rss / _MEBI


@contextmanager
def _provisioned(awards: int) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="gpuprov-night-"))
    try:
        with world(folder, awards, 1) as where:
            where.deadline = time.monotonic() + 3600
            where.run(sys.executable, "-m", "gpuprov", "up", "--yes")
            for number in range(min(_PODS, awards)):
                where.start_pod(namespace(number))
            where.settle()
            yield where
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _night(where: World, rounds: int) -> None:
    service = Service(where)
    try:
        while len(service.proven_free()) < where.awards:
            service.wait()
        seconds = sorted((at - MIDNIGHT).total_seconds() for at in service.proven_free())
        where.check(0)
        click.echo(f"{where.awards} awards: first free {seconds[0]:.1f} s after midnight, last {seconds[-1]:.1f} s")
        step = max(1, rounds // 10)
        for number in range(0, rounds + 1, step):
            while service.metric("gpuprov_rounds_total") < number:
                service.wait()
            click.echo(f"{number} rounds: {service.memory():.1f} MiB")
    finally:
        end(service.process)


@click.command()
@click.argument("awards", type=int, nargs=-1, required=True)
@click.option("--rounds", type=int, default=0, help="Note the memory over so many rounds after it.")
def main(awards: tuple[int, ...], rounds: int) -> None:
    """Let the terms of AWARDS awards end at midnight, on a fresh cluster for each number."""
    for number in awards:
        with _provisioned(number) as where:
            _night(where, rounds)


if __name__ == "__main__":
    main()
