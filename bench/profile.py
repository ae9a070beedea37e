"""Where the time goes when a list is provisioned: CPU seconds of each kind of process, for several ways to do it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import click
import psutil
from rich.console import Console
from rich.table import Table

from bench.measure import Cost
from bench.tools import TOOLS
from bench.world import World, world

WAYS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "plain Pulumi": ("plain", {}),
    "gpuprov, with Pulumi's log": ("gpuprov", {"GPUPROV_PULUMI_LOGS": "1"}),
    "gpuprov, Go's own GOGC": ("gpuprov", {"GOGC": "100"}),
    "gpuprov": ("gpuprov", {}),
    "kubectl": ("kubectl", {}),
}
_POLL_SECONDS = 0.05


def part(process: psutil.Process) -> str:
    """Name the part that a process plays."""
    name = process.name()
    if name.startswith("python"):
        return "Python: gpuprov, or the program"
    if name == "pulumi":
        return "Pulumi's engine"
    if name.startswith("pulumi-resource"):
        return "Pulumi's Kubernetes plugin"
    return {"etcd": "etcd", "kube-apiserver": "API server"}.get(name, "other servers" if "kube-" in name else name)


@contextmanager
def by_part() -> Iterator[Counter[str]]:
    """Count the CPU seconds of all our descendants while something runs, by the part that they play."""
    seen: dict[int, tuple[str, float]] = {}
    before = {child.pid: _cpu(child) for child in psutil.Process().children(recursive=True)}
    spent: Counter[str] = Counter()
    stop = Event()

    def watch() -> None:
        while not stop.wait(_POLL_SECONDS):
            for child in psutil.Process().children(recursive=True):
                try:
                    seen[child.pid] = part(child), _cpu(child) - before.get(child.pid, 0.0)
                except psutil.NoSuchProcess:
                    continue

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield spent
    finally:
        stop.set()
        watcher.join()
        for name, seconds in seen.values():
            spent[name] += round(seconds, 2)  # type: ignore[assignment]


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def provisioned(where: World, tool: str, environment: Mapping[str, str]) -> tuple[float, Counter[str]]:
    """Provision the list once; return the seconds and what they were spent on."""
    where.environment |= environment
    where.deadline = time.monotonic() + 3600
    made = TOOLS[tool](where)
    made.prepare()
    begun = time.monotonic()
    with by_part() as spent:
        made.provision(Cost())
    return time.monotonic() - begun, spent


@click.command()
@click.argument("awards", type=int)
@click.option("--ways", default=",".join(WAYS), show_default=True)
def main(awards: int, ways: str) -> None:
    """Print where the time goes when AWARDS awards are provisioned into one stack."""
    found: dict[str, tuple[float, Counter[str]]] = {}
    for way in ways.split(","):
        folder = Path(tempfile.mkdtemp(prefix="gpuprov-profile-"))
        try:
            with world(folder, awards, 1) as where:
                found[way] = provisioned(where, *WAYS[way])
            click.echo(f"{way}: {found[way][0]:.1f} s", err=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    table = Table(title=f"{awards} awards provisioned: CPU seconds", box=None, title_justify="left")
    table.add_column("part")
    for way in found:
        table.add_column(way, justify="right")
    parts = sorted({one for _, spent in found.values() for one in spent}, key=lambda one: -found[way][1][one])
    for one in parts:
        table.add_row(one, *(f"{spent[one]:.1f}" for _, spent in found.values()))
    table.add_row("seconds until done", *(f"{seconds:.1f}" for seconds, _ in found.values()))
    Console(width=140, highlight=False).print(table, markup=False)


if __name__ == "__main__":
    main()
