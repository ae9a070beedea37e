"""The state file of a sandbox: its random id, its clusters and their ports. Written before anything is started."""

from __future__ import annotations

import dataclasses
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpuprov.errors import SandboxError
from gpuprov.sandbox.controlplane import Layout, Ports
from gpuprov.sandbox.files import LOCK_NAME, write_private
from gpuprov.sandbox.ports import free_ports
from gpuprov.sandbox.spec import ClusterSpec, NodePool

STATE_NAME = "state.json"
KUBECONFIG_NAME = "kubeconfig"
CLUSTERS_NAME = "clusters"
PULUMI_NAME = "pulumi"
FORMAT = 1

_OWN_NAMES = frozenset({LOCK_NAME, STATE_NAME, KUBECONFIG_NAME, CLUSTERS_NAME, PULUMI_NAME})


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The contents of the state file. ``deleting`` means that a `down` has begun: the rest must not be used."""

    sandbox_id: str
    clusters: tuple[ClusterSpec, ...]
    ports: dict[str, Ports]
    deleting: bool = False

    def layout(self, root: Path, name: str) -> Layout:
        """Return the cluster's folder and ports. Raises `SandboxError` for an unknown name."""
        if name not in self.ports:
            raise SandboxError(f"no cluster {name!r} in this sandbox; it has {', '.join(self.ports)}")
        return Layout(name=name, folder=root / CLUSTERS_NAME / name, ports=self.ports[name])

    def spec(self, name: str) -> ClusterSpec:
        """Return the cluster's specification. Raises `SandboxError` for an unknown name."""
        for spec in self.clusters:
            if spec.name == name:
                return spec
        raise SandboxError(f"no cluster {name!r} in this sandbox; it has {', '.join(self.ports)}")

    def with_new_ports(self, name: str) -> State:
        """Return a state in which one cluster has new ports."""
        ports = _choose_ports(1, self._taken())[0]
        return dataclasses.replace(self, ports=self.ports | {name: ports})

    def _taken(self) -> frozenset[int]:
        return frozenset(port for ports in self.ports.values() for port in dataclasses.astuple(ports))


def new_state(clusters: tuple[ClusterSpec, ...]) -> State:
    """Return a state with a fresh id and free ports. Raises `SandboxError` without clusters, or if two share a name."""
    names = [spec.name for spec in clusters]
    if not names or len(set(names)) != len(names):
        raise SandboxError("a sandbox needs at least one cluster, and every cluster its own name")
    ports = dict(zip(names, _choose_ports(len(names), frozenset()), strict=True))
    return State(sandbox_id=secrets.token_hex(16), clusters=clusters, ports=ports)


def save(root: Path, state: State) -> None:
    """Write the state file atomically."""
    content = {"format": FORMAT, **dataclasses.asdict(state)}
    write_private(root / STATE_NAME, json.dumps(content, indent=2))


def load(root: Path) -> State | None:
    """Read the state file; None if there is none. Raises `SandboxError` if it cannot be read as a state file."""
    path = root / STATE_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise SandboxError(
                f"{path} was written by another version of gpuprov; end that sandbox with that version's `gpuprov "
                "sandbox down`, or choose another folder with --dir"
            )
        return State(
            sandbox_id=str(content["sandbox_id"]),
            clusters=tuple(_spec(entry) for entry in content["clusters"]),
            ports={name: Ports(**ports) for name, ports in content["ports"].items()},
            deleting=bool(content["deleting"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise SandboxError(
            f"{path} cannot be read as a sandbox's state: {error}; choose another folder with --dir"
        ) from error


def refuse_foreign(root: Path) -> None:
    """Raise `SandboxError` if a folder contains anything but a sandbox, because `down` deletes it."""
    if not root.exists() or (root / STATE_NAME).exists():
        return
    if not root.is_dir():
        raise SandboxError(f"{root} is not a folder; choose another with --dir")
    foreign = sorted(path.name for path in root.iterdir() if path.name.removesuffix(".new") not in _OWN_NAMES)
    if foreign:
        raise SandboxError(f"{root} holds other files ({', '.join(foreign[:3])}); choose an empty folder with --dir")


def _choose_ports(clusters: int, taken: frozenset[int]) -> list[Ports]:
    per_cluster = Ports.count()
    numbers = free_ports(clusters * per_cluster, taken)
    names = [field.name for field in dataclasses.fields(Ports)]
    groups = [numbers[start : start + per_cluster] for start in range(0, len(numbers), per_cluster)]
    return [Ports(**dict(zip(names, group, strict=True))) for group in groups]


def _spec(entry: dict[str, Any]) -> ClusterSpec:
    return ClusterSpec(name=entry["name"], pools=tuple(NodePool(**pool) for pool in entry["pools"]))
