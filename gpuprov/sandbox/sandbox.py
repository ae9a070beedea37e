"""Several clusters in one folder: up, down, stop, start, status."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gpuprov.errors import SandboxError
from gpuprov.sandbox import kubeconfig, process, state
from gpuprov.sandbox.cluster import Cluster, ClusterStatus, PortTaken, Progress
from gpuprov.sandbox.files import LOCK_NAME, exclusive, private_folder, remove_tree, write_private
from gpuprov.sandbox.spec import DEFAULT_CLUSTERS, ClusterSpec, check_binaries

START_TIMEOUT_SECONDS = 300.0
LOCK_TIMEOUT_SECONDS = 600.0
PORT_TRIES = 5
PORT_WAIT_SECONDS = 1.0
CONTEXTS = {"gpuprov": "", "admin": "-admin"}
"""The identities in the kubeconfig, and the suffixes of their contexts' names, after the cluster's name.

gpuprov's identity has the permissions that charts/gpu-cluster gives it, and none before that is installed.
"""


def _silent(line: str) -> None:
    del line


class Sandbox:
    """Real Kubernetes clusters on this machine, all in the folder ``root``.

    ``binaries`` maps the names in `COMPONENTS` to programs; only `up` and `start` need them. An existing sandbox keeps
    the clusters that it was created with: ``clusters`` is used when `up` creates a new one. Every method may be called
    from several processes at once; those that change something wait for each other.
    """

    def __init__(
        self,
        root: Path,
        binaries: Mapping[str, Path],
        clusters: tuple[ClusterSpec, ...] = DEFAULT_CLUSTERS,
    ) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 (resolve() would follow a link to a folder)
        self.clusters = clusters
        self._binaries = {name: Path(path) for name, path in binaries.items()}
        self._cancelled = threading.Event()
        self._state_lock = threading.Lock()

    @property
    def kubeconfig(self) -> Path:
        """The file with two contexts for each cluster: gpuprov's, named like the cluster, and its administrator's."""
        return self.root / state.KUBECONFIG_NAME

    @property
    def exists(self) -> bool:
        """Tell whether there is a sandbox: an `up` has begun, and no `down` has completed since."""
        return (self.root / state.STATE_NAME).exists()

    def environment(self) -> dict[str, str]:
        """Return the variables that point kubectl and Pulumi at this sandbox, including Pulumi's backend."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "PULUMI_BACKEND_URL": f"file://{self.root / state.PULUMI_NAME}",
            "PULUMI_CONFIG_PASSPHRASE": "",
        }

    def up(self, progress: Progress | None = None) -> None:
        """Start what is not running and return when every cluster is ready.

        Running processes and data stay as they are, including those that a killed `up` left. Raises `SandboxError`,
        also if only some clusters failed (the others are then up), or if the existing sandbox has other clusters than
        those asked for.
        """
        check_binaries(self._binaries)
        tell = progress or _silent
        state.refuse_foreign(self.root)
        with exclusive(self.root, LOCK_TIMEOUT_SECONDS):
            current = state.load(self.root)
            if current is not None and current.deleting:
                tell("finishing a `down` that was interrupted")
                self._delete(current)
                current = None
            if current is None:
                current = state.new_state(self.clusters)
                state.save(self.root, current)
            elif current.clusters != self.clusters:
                raise SandboxError(f"{self.root} holds other clusters; end them with `gpuprov sandbox down`")
            for name in (state.PULUMI_NAME, state.CLUSTERS_NAME):
                private_folder(self.root / name)
            self._start_all([spec.name for spec in current.clusters], tell)

    def down(self) -> None:
        """End every process and delete the folder. Does nothing if there is no sandbox."""
        if not self.root.exists():
            return
        state.refuse_foreign(self.root)
        with exclusive(self.root, LOCK_TIMEOUT_SECONDS):
            current = state.load(self.root)
            if current is not None:
                self._delete(current)
            for leftover in self.root.glob("*.new"):
                leftover.unlink()
            (self.root / LOCK_NAME).unlink(missing_ok=True)
            if not any(self.root.iterdir()):
                self.root.rmdir()

    def stop(self, name: str) -> None:
        """End the processes of one cluster, as an outage would; its data, ports and credentials stay."""
        state.refuse_foreign(self.root)
        with exclusive(self.root, LOCK_TIMEOUT_SECONDS):
            self._cluster(self._require_state(), name).stop()

    def start(self, name: str, progress: Progress | None = None) -> None:
        """Start one stopped cluster with its data, at its old address. Raises `SandboxError` as `up` does."""
        check_binaries(self._binaries)
        state.refuse_foreign(self.root)
        with exclusive(self.root, LOCK_TIMEOUT_SECONDS):
            self._require_state().spec(name)
            self._start_all([name], progress or _silent)

    def status(self) -> list[ClusterStatus]:
        """Return the status of every cluster; an empty list if there is no sandbox."""
        current = state.load(self.root)
        if current is None:
            return []
        clusters = [self._cluster(current, spec.name) for spec in current.clusters]
        with ThreadPoolExecutor(len(clusters)) as pool:
            return list(pool.map(Cluster.status, clusters))

    def _require_state(self) -> state.State:
        current = state.load(self.root)
        if current is None or current.deleting:
            raise SandboxError(f"no sandbox in {self.root}; `gpuprov sandbox up` makes one")
        return current

    def _cluster(self, current: state.State, name: str) -> Cluster:
        return Cluster(
            sandbox_id=current.sandbox_id,
            spec=current.spec(name),
            layout=current.layout(self.root, name),
            binaries=self._binaries,
            processors=max(1, (os.cpu_count() or 1) // len(current.clusters)),
            cancelled=self._cancelled,
        )

    def _start_all(self, names: list[str], tell: Progress) -> None:
        """Start clusters in parallel; if one fails, the others go on."""
        self._cancelled.clear()
        self._write_kubeconfig()
        failures: list[str] = []

        def start(name: str) -> None:
            try:
                self._start_one(name, tell)
            except SandboxError as error:
                failures.append(str(error))

        with ThreadPoolExecutor(len(names)) as pool:
            try:
                list(pool.map(start, names))
            except BaseException:
                self._cancelled.set()  # otherwise leaving the block would wait until all clusters are ready
                raise
        if failures:
            raise SandboxError("\n".join(failures))

    def _start_one(self, name: str, tell: Progress) -> None:
        cluster = self._cluster(self._require_state(), name)
        had_data = (cluster.layout.folder / "etcd").exists()
        for attempt in range(PORT_TRIES):
            try:
                if cluster.status().ready:
                    tell(f"{name}: is ready already")
                else:
                    cluster.start(START_TIMEOUT_SECONDS, tell)
            except PortTaken as taken:
                cluster.stop()
                # Clients know the address of a cluster with data: first wait for its port to become free again.
                if had_data and attempt < PORT_TRIES - 2:
                    self._cancelled.wait(PORT_WAIT_SECONDS)
                    continue
                tell(f"{name}: a port of {taken} is in use, choosing others")
                cluster = self._move(name)
            else:
                return
        raise SandboxError(f"{name}: found no free ports in {PORT_TRIES} attempts; rerun the command")

    def _move(self, name: str) -> Cluster:
        with self._state_lock:
            moved = self._require_state().with_new_ports(name)
            state.save(self.root, moved)
        self._write_kubeconfig()
        return self._cluster(moved, name)

    def _write_kubeconfig(self) -> None:
        with self._state_lock:
            current = self._require_state()
            clusters = [self._cluster(current, spec.name) for spec in current.clusters]
            for cluster in clusters:
                cluster.prepare()
            write_private(self.kubeconfig, kubeconfig.render([cluster.layout for cluster in clusters], CONTEXTS))

    def _delete(self, current: state.State) -> None:
        """End and delete everything; the state file is deleted last, so that a killed `down` can be finished."""
        state.save(self.root, dataclasses.replace(current, deleting=True))
        process.end_all(current.sandbox_id)
        remove_tree(self.root / state.CLUSTERS_NAME)
        remove_tree(self.root / state.PULUMI_NAME)
        self.kubeconfig.unlink(missing_ok=True)
        (self.root / state.STATE_NAME).unlink()
