"""A service of gpuprov that runs: its log, its pages, and how it ends."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import urllib3
from prometheus_client.parser import text_string_to_metric_families
from sandbox_fixtures import WAIT_SECONDS, eventually
from story import Story

_SERVES = re.compile(r"metrics at (http://\S+)/metrics")


@dataclass
class Service:
    """One process of it."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where its pages are; it says so when it has begun."""
        eventually(lambda: any(_SERVES.search(line) for line in self.lines) or self.process.poll() is not None)
        found = [match[1] for line in self.lines if (match := _SERVES.search(line))]
        assert found, self.lines
        return found[0]

    def page(self, path: str) -> tuple[int, str]:
        answer = urllib3.request("GET", f"{self.url}{path}", timeout=WAIT_SECONDS, retries=False)
        return answer.status, answer.data.decode()

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        families = text_string_to_metric_families(self.page("/metrics")[1])
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def says(self, *words: str) -> bool:
        return any(all(word in line for word in words) for line in list(self.lines))

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=WAIT_SECONDS)

    def read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))


def watching(story: Story, *options: str, **environment: str) -> AbstractContextManager[Service]:
    """Let a replica of `gpuprov watch` run while the block does."""
    return serving("watch", *options, cwd=story.root, env=story.environment | environment)


@contextmanager
def serving(command: str, *options: str, cwd: Path, env: Mapping[str, str]) -> Iterator[Service]:
    """Let a service run while the block does; whatever has become of it, it is ended then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gpuprov", command, "--listen", "127.0.0.1:0", "--interval", "5", *options],
        cwd=cwd,
        env=env,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    service = Service(process)
    reader = Thread(target=service.read, daemon=True)
    reader.start()
    try:
        yield service
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(timeout=WAIT_SECONDS)


def came_back(service: Service) -> int:
    """Return how many awards were proven free after their end."""
    return int(service.metric("gpuprov_edge_to_free_seconds_count"))
