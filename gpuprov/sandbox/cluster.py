"""One cluster: start the components that are not running, wait until it is ready, stop it, report its status."""

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
    """A component's port is in use: not an error yet, the caller retries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """The status of one cluster. ``problem`` is empty if it is ready; ``gpus`` counts those of ready nodes."""

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
    """The processes of one cluster. Callers that start or stop it must hold the sandbox's lock.

    Each process runs on at most ``processors`` cores at once; 0 is no limit.
    """

    sandbox_id: str
    spec: ClusterSpec
    layout: Layout
    binaries: Mapping[str, Path]
    processors: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)
    _log_starts: dict[str, int] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write keys, certificates and the components' kubeconfigs; existing keys are kept."""
        private_folder(self.layout.folder)
        make_pki(self.layout.pki, self.spec.name)
        for identity in _OWN_KUBECONFIG:
            write_private(self.layout.kubeconfig(identity), kubeconfig.render([self.layout], {identity: ""}))

    def start(self, timeout: float, progress: Progress) -> None:
        """Start the components that are not running and wait until the cluster is ready.

        Raises `SandboxError` after ``timeout`` seconds, or with the end of its log if a component dies; `PortTaken` if
        it died because its port was in use.
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
        """End all processes of the cluster and keep its data. etcd ends last, so that the others end cleanly."""
        running = self.processes()
        running.pop("etcd", None)
        process.end(running.values(), grace=STOP_GRACE_SECONDS)
        process.end_all(self.sandbox_id, clusters=[self.spec.name], grace=STOP_GRACE_SECONDS)

    def processes(self) -> dict[str, psutil.Process]:
        """Return the running processes by component."""
        parts = process.find(self.sandbox_id)
        return {part.component: part.process for part in parts if part.cluster == self.spec.name}

    def status(self) -> ClusterStatus:
        """Read and return the cluster's current status; changes nothing."""
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
                # The component would fail anyway, but until then we would send requests to another program.
                if not all(map(is_free, self.layout.ports.of(component))):
                    raise PortTaken(component)
                plan = launch(self.layout, component, self.binaries, processors=self.processors)
                self._log_starts[component] = plan.log.stat().st_size if plan.log.exists() else 0
                running[component] = process.spawn(self.sandbox_id, plan)

    def _wait(self, problem: Callable[[], str], running: Mapping[str, psutil.Process], deadline: float) -> None:
        while True:
            for component, component_process in running.items():
                if not process.alive(component_process):
                    raise self._death(component)
            if not (reason := problem()):
                return
            if self.cancelled.is_set():
                raise SandboxError(f"{self.spec.name}: interrupted; `gpuprov sandbox up` goes on")
            if time.monotonic() > deadline:
                logs = self.layout.folder / "logs"
                raise SandboxError(
                    f"{self.spec.name}: not ready in time: {reason}; see {logs}, then `gpuprov sandbox up`"
                )
            time.sleep(POLL_SECONDS)

    def _death(self, component: str) -> Exception:
        log = launch(self.layout, component, self.binaries).log
        start = self._log_starts.get(component, 0)
        if ADDRESS_IN_USE in process.tail(log, lines=200, start=start):
            return PortTaken(component)
        last_lines = process.tail(log, start=start) or "(nothing)"
        return SandboxError(f"{self.spec.name}: {component} ended by itself; {log} ends with:\n{last_lines}")

    def _api_problem(self, api: Api) -> str:
        return "" if api.healthy("/readyz") else "the API server does not report that it is ready"

    def _problem(self, api: Api) -> str:
        """Return why the cluster is not ready yet; empty if it is."""
        if problem := self._api_problem(api):
            return problem
        ports = self.layout.ports
        for component, port in (
            ("controller-manager", ports.controller_manager),
            ("scheduler", ports.scheduler),
        ):
            with Api(self.layout, port) as health:
                if not health.healthy("/healthz"):
                    return f"the {component} does not report that it is healthy"
        if api.get("/api/v1/namespaces/default/serviceaccounts/default") is None:
            return "the controller-manager has not created the default service account"
        count = nodes.count_nodes(api)
        if count.ready < self.spec.nodes:
            return f"{count.ready} of {self.spec.nodes} nodes are ready"
        held = nodes.leased(api)
        return "" if held >= self.spec.nodes else f"kwok holds {held} of {self.spec.nodes} nodes"


def _missing(running: Mapping[str, psutil.Process]) -> str:
    missing = [name for name in COMPONENTS if name not in running]
    return f"not running: {', '.join(missing)}" if missing else ""


def _uptime(api_server: psutil.Process | None) -> float | None:
    try:
        return None if api_server is None else max(0.0, time.time() - api_server.create_time())
    except psutil.Error:
        return None
