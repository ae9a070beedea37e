"""What a step costs: seconds, CPU of the command and of the cluster's servers, memory of the command's processes."""

from __future__ import annotations

import resource
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event, Thread

import psutil

_POLL_SECONDS = 0.2


@dataclass(slots=True, kw_only=True)
class Cost:
    """One step. Times are in seconds, ``peak_mib`` is proportional memory (PSS) of all its processes at once.

    ``extra`` has what only some tools report: seconds until GPUs were proven free, for example.
    """

    wall: float = 0.0
    cpu: float = 0.0
    servers_cpu: float = 0.0
    peak_mib: int = 0
    extra: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return plain data, rounded to what was measured."""
        return {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(self).items()}


@contextmanager
def measured(servers: Collection[int]) -> Iterator[Cost]:
    """Measure what happens inside. ``servers`` are the processes of the cluster, which are counted apart."""
    cost = Cost()
    stop = Event()
    watcher = Thread(target=_watch_memory, args=(cost, frozenset(servers), stop), daemon=True)
    servers_before, children_before = cpu_of(servers), _children_cpu()
    begun = time.monotonic()
    watcher.start()
    try:
        yield cost
    finally:
        cost.wall = time.monotonic() - begun
        cost.cpu = _children_cpu() - children_before
        cost.servers_cpu = cpu_of(servers) - servers_before
        stop.set()
        watcher.join()


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of(pids: Collection[int]) -> float:
    """Return the CPU seconds that processes have used; one that has ended counts as none."""
    total = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def _watch_memory(cost: Cost, servers: Collection[int], stop: Event) -> None:
    """Add up our descendants without the cluster's servers, again and again."""
    me = psutil.Process()
    while not stop.wait(_POLL_SECONDS):
        with suppress(psutil.NoSuchProcess):
            kib = sum(_pss_kib(child.pid) for child in me.children(recursive=True) if child.pid not in servers)
            cost.peak_mib = max(cost.peak_mib, kib // 1024)


def _pss_kib(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
