"""The service: it follows the project's files and branch, and keeps one loop for each provider."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event

from gpuprov.core.cluster import ProviderCluster
from gpuprov.errors import InputError
from gpuprov.kube.leader import Leader
from gpuprov.run.git import GitError
from gpuprov.run.loading import Loaded
from gpuprov.run.pace import OLD_LOOKS, STUCK_SECONDS
from gpuprov.run.watch.branch import Branch
from gpuprov.run.watch.loop import Loop
from gpuprov.run.watch.metrics import Metrics
from gpuprov.run.watch.rounds import Nobody, Round, Settings
from gpuprov.run.watch.source import Source

POLL_SECONDS = 5
"""How often files are compared with what was read of them."""

_LOG = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Watch:
    """The service on a project's folder. Without ``providers`` it is about all; with ``branch`` it follows that."""

    root: Path
    settings: Settings
    now: Callable[[], datetime]
    providers: Sequence[str] = ()
    branch: Branch | None = None
    stopping: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.source = Source(self.root)
        self.metrics = Metrics(self.now)
        self._loops: dict[str, tuple[ProviderCluster, Loop]] = {}
        self._known: Loaded | None = None
        self._fetched = float("-inf")

    def run(self) -> None:
        """Work until ``stopping`` is set; then end every round between two steps."""
        try:
            while not self.stopping.is_set():
                self.refresh()
                self.stopping.wait(POLL_SECONDS)
        finally:
            loops = [loop for _, loop in self._loops.values()]
            for loop in loops:  # all at once: each may be in the middle of a step
                loop.stop()
            for loop in loops:
                loop.join()

    def refresh(self) -> None:
        """Read what has changed, and let every loop act on it at once."""
        self._follow()
        try:
            loaded = self.source.load()
        except InputError:
            loaded = None
        self.metrics.valid.set(self.source.error is None)
        if loaded is None or loaded is self._known or self.source.error is not None:
            return
        self.metrics.views.loaded = loaded
        self._keep_loops(loaded)
        self._known = loaded  # last: until every provider has its loop, the service is not ready

    def complaints(self) -> list[str]:
        """Return why the service must be started again; nothing where it need not."""
        now = time.monotonic()
        longest = STUCK_SECONDS + self.settings.interval.total_seconds()
        return [
            f"{provider}: no round has ended for {int(now - loop.beat)} s"
            for provider, (_, loop) in list(self._loops.items())
            if not loop.alive or now - loop.beat > longest
        ]

    def not_ready(self) -> list[str]:
        """Return why nobody should rely on the service now: invalid files, or a provider that it has not seen."""
        if self._known is None and self.source.error is None:
            return ["nothing was read yet"]
        oldest = OLD_LOOKS * self.settings.interval
        wrong = [str(problem) for problem in self.source.error.problems] if self.source.error else []
        for provider, (_, loop) in list(self._loops.items()):
            age = self.metrics.views.age(provider)
            if not loop.leader.has_stood:
                wrong.append(f"{provider}: it is not known yet which replica leads ({loop.leader.error or 'asking'})")
            elif loop.leader.leads and (age is None or age > oldest):
                wrong.append(f"{provider}: {'not read yet' if age is None else f'last read {age} ago'}")
        return wrong

    def _follow(self) -> None:
        if self.branch is None or time.monotonic() - self._fetched < self.settings.interval.total_seconds():
            return
        self._fetched = time.monotonic()
        try:
            self.branch.follow()
        except (GitError, OSError) as error:  # OSError: no room for the new commit
            self.metrics.errors.labels("", "branch").inc()
            _LOG.error("%s", error)

    def _keep_loops(self, loaded: Loaded) -> None:
        """Have one loop for each provider of the project; those whose cluster is another one now begin anew."""
        wanted = {c.provider: c for c in loaded.project.clusters if not self.providers or c.provider in self.providers}
        for provider, (cluster, loop) in list(self._loops.items()):
            if wanted.get(provider) == cluster:
                loop.wake()
            else:
                del self._loops[provider]
                loop.stop()
                loop.join()
                self.metrics.views.forget(provider)
        for provider, cluster in wanted.items():
            if provider not in self._loops:
                self._loops[provider] = cluster, self._begin(cluster)

    def _begin(self, cluster: ProviderCluster) -> Loop:
        stopping = Event()
        work = Round(
            provider=cluster.provider,
            source=self.source,
            settings=self.settings,
            metrics=self.metrics,
            now=self.now,
            operator=Nobody(provider=cluster.provider, stopping=stopping),
        )
        loop = Loop(work, Leader(cluster, "gpuprov watch"), stopping)
        loop.start()
        return loop
