"""One cluster: starting what is dead, waiting until it works, stopping it, and saying how it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from gpuprov.errors import SandboxError
from gpuprov.sandbox import kubeconfig, nodes, process
from gpuprov.sandbox.api import Api
from gpuprov.sandbox.controlplane import Layout, launch
from gpuprov.sandbox.files import private_folder, write_private
from gpuprov.sandbox.pki import make_pki
from gpuprov.sandbox.ports import is_free
from gpuprov.sandbox.spec import COMPONENTS, ClusterSpec

Progress = Callable[[str], None]

POLL_SECONDS = 0.1
STOP_GRACE_SECONDS = 5.0
ADDRESS_IN_USE = "address already in use"
_OWN_KUBECONFIG = ("kube-controller-manager", "kube-scheduler", "kwok")
_AFTER_API = ("kube-controller-manager", "kube-scheduler", "kwok")


class PortTaken(Exception):
    """A component found its port in use: not an error yet, the caller tries again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """How one cluster is. ``problem`` is empty when it is ready; ``gpus`` counts those of ready nodes."""

    name: str
    ready: bool
    url: str
    nodes_ready: int
    nodes_total: int
    gpus: int
    pids: dict[str, int]
    uptime_seconds: float | None
    uid: str | None
    problem: str


@dataclass(slots=True, kw_only=True)
class Cluster:
    """The processes of one cluster. Callers that start or stop hold the sandbox's lock."""

    sandbox_id: str
    spec: ClusterSpec
    layout: Layout
    binaries: Mapping[str, Path]
    cancelled: threading.Event = field(default_factory=threading.Event)
    _log_starts: dict[str, int] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write keys, certificates and the components' kubeconfigs; keys that are there stay."""
        private_folder(self.layout.folder)
        make_pki(self.layout.pki, self.spec.name)
        for identity in _OWN_KUBECONFIG:
            write_private(self.layout.kubeconfig(identity), kubeconfig.render([self.layout], {identity: ""}))

    def start(self, timeout: float, progress: Progress) -> None:
        """Start what is not running and wait until all of it works.

        Raises `SandboxError` after ``timeout`` seconds or when a component dies, with what it said last;
        `PortTaken` when it died because its port was in use.
        """
        began = time.monotonic()
        deadline = began + timeout
        self.prepare()
        running = self.processes()
        self._launch(["etcd", "kube-apiserver"], running)
        with Api(self.layout, connections=nodes.PARALLEL) as api:
            self._wait(lambda: self._api_problem(api), running, deadline)
            progress(f"{self.spec.name}: API server answers after {time.monotonic() - began:.1f} s")
            nodes.grant_kwok(api)
            if "kwok" not in running:
                nodes.release_leases(api)
            self._launch(_AFTER_API, running)
            nodes.create_nodes(api, self.spec)
            self._wait(lambda: self._problem(api), running, deadline)
        progress(
            f"{self.spec.name}: {self.spec.nodes} nodes, {self.spec.gpus} GPUs ready "
            f"after {time.monotonic() - began:.1f} s"
        )

    def stop(self) -> None:
        """End all processes of the cluster and keep its data. etcd goes last, so that the others end cleanly."""
        others = [found for name, found in self.processes().items() if name != "etcd"]
        process.end(others, grace=STOP_GRACE_SECONDS)
        process.end_all(self.sandbox_id, clusters=[self.spec.name], grace=STOP_GRACE_SECONDS)

    def processes(self) -> dict[str, psutil.Process]:
        """Return the living processes by component."""
        parts = process.find(self.sandbox_id)
        return {part.component: part.process for part in parts if part.cluster == self.spec.name}

    def status(self) -> ClusterStatus:
        """Ask everything anew; changes nothing."""
        running = self.processes()
        count = nodes.NodeCount(total=0, ready=0, gpus=0)
        uid = None
        problem = _missing(running)
        if "kube-apiserver" in running:
            with Api(self.layout) as api:
                problem = problem or self._problem(api)
                count = nodes.count_nodes(api)
                uid = (api.get("/api/v1/namespaces/kube-system") or {}).get("metadata", {}).get("uid")
        return ClusterStatus(
            name=self.spec.name,
            ready=not problem,
            url=self.layout.url,
            nodes_ready=count.ready,
            nodes_total=self.spec.nodes if count.total == 0 else count.total,
            gpus=count.gpus,
            pids={name: running[name].pid for name in COMPONENTS if name in running},
            uptime_seconds=_uptime(running.get("kube-apiserver")),
            uid=uid,
            problem=problem,
        )

    def _launch(self, components: Iterable[str], running: dict[str, psutil.Process]) -> None:
        for component in components:
            if component not in running:
                # The component would find out too, but meanwhile we would ask a stranger whether it is ready.
                if not all(map(is_free, self.layout.ports.of(component))):
                    raise PortTaken(component)
                plan = launch(self.layout, component, self.binaries)
                self._log_starts[component] = plan.log.stat().st_size if plan.log.exists() else 0
                running[component] = process.spawn(self.sandbox_id, plan)

    def _wait(self, problem: Callable[[], str], running: Mapping[str, psutil.Process], deadline: float) -> None:
        while True:
            for component, found in running.items():
                if not process.alive(found):
                    raise self._death(component)
            if not (reason := problem()):
                return
            if self.cancelled.is_set():
                raise SandboxError(f"{self.spec.name}: interrupted; `up` goes on, `down` cleans up")
            if time.monotonic() > deadline:
                logs = self.layout.folder / "logs"
                raise SandboxError(f"{self.spec.name}: not ready in time: {reason}; see the logs in {logs}")
            time.sleep(POLL_SECONDS)

    def _death(self, component: str) -> Exception:
        log = launch(self.layout, component, self.binaries).log
        start = self._log_starts.get(component, 0)
        if ADDRESS_IN_USE in process.tail(log, lines=200, start=start):
            return PortTaken(component)
        said = process.tail(log, start=start) or "(nothing)"
        return SandboxError(f"{self.spec.name}: {component} ended by itself; {log} ends with:\n{said}")

    def _api_problem(self, api: Api) -> str:
        return "" if api.healthy("/readyz") else "the API server does not say that it is ready"

    def _problem(self, api: Api) -> str:
        """Say what is still missing for the cluster to be of use, or nothing."""
        if problem := self._api_problem(api):
            return problem
        ports = self.layout.ports
        for component, port in (
            ("controller-manager", ports.controller_manager),
            ("scheduler", ports.scheduler),
        ):
            with Api(self.layout, port) as health:
                if not health.healthy("/healthz"):
                    return f"the {component} does not say that it is healthy"
        if api.get("/api/v1/namespaces/default/serviceaccounts/default") is None:
            return "the controller-manager has not made the default service account"
        count = nodes.count_nodes(api)
        if count.ready < self.spec.nodes:
            return f"{count.ready} of {self.spec.nodes} nodes are ready"
        held = nodes.leased(api)
        return "" if held >= self.spec.nodes else f"kwok holds {held} of {self.spec.nodes} nodes"


def _missing(running: Mapping[str, psutil.Process]) -> str:
    missing = [name for name in COMPONENTS if name not in running]
    return f"not running: {', '.join(missing)}" if missing else ""


def _uptime(found: psutil.Process | None) -> float | None:
    try:
        return None if found is None else max(0.0, time.time() - found.create_time())
    except psutil.Error:
        return None
