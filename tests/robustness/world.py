"""One real cluster with two GPU servers, a project with ten awards, a backend for its state, and a network between.

What an operator writes (project, ledger, state of a file backend, notes, temporary files) is on a file system of its
own where this machine lets us mount one, so that it can be filled.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import yaml
from backends import Backend, FileBackend, backend
from observer import Observer
from operators import CAPACITY, Folder, make_folder
from proxy import Proxy, Server
from sandbox_fixtures import programs, state_of, while_up
from script import Script
from story import make_environment

from gpuprov.core.naming import namespace
from gpuprov.sandbox import H100, ClusterSpec, NodePool, Sandbox
from gpuprov.sandbox.api import Api
from gpuprov.sandbox.cluster import Cluster
from gpuprov.sandbox.controlplane import Layout
from gpuprov.sandbox.files import private_folder
from gpuprov.sandbox.pki import IDENTITIES, Authority, Pair, make_pki

NAME = "alpha"
PRIVATE_VARIABLE = "ROBUSTNESS_PRIVATE"
"""Environment variable: an empty folder for all temporary files, where mounts are our own and end with us (`run`)."""

DISK_MEBIBYTES, WORLD_MEBIBYTES = 64, 4096
_DAY = timedelta(days=1)
_SHARDS = re.compile(r"(shards: )\d+")
_MORE = """\
    shards: 1
    chartValues:
      operator:
        subjects:
          - {kind: Group, name: gpuprov-operators}
          - {kind: Group, name: "system:serviceaccounts:robustness"}
"""


@dataclass
class World:
    """What rounds are played on. ``disk`` has all that operators write; it is full when a file fills it."""

    root: Path
    disk: Path
    sandbox: Sandbox
    folder: Folder
    backend: Backend
    backend_kind: str
    proxy: Proxy
    observer: Observer
    authority: Authority
    backups: list[dict[str, str]] = field(default_factory=list)
    """The states at the beginning of the last two rounds."""

    @property
    def layout(self) -> Layout:
        return state_of(self.sandbox).layout(self.sandbox.root, NAME)

    @property
    def api(self) -> Api:
        """The administrator's own connection, not through the proxy."""
        return Api(self.layout)

    @property
    def cluster(self) -> Cluster:
        state = state_of(self.sandbox)
        found = programs()
        return Cluster(sandbox_id=state.sandbox_id, spec=state.spec(NAME), layout=self.layout, binaries=found)

    @property
    def own_disk(self) -> bool:
        """Tell whether the operators' disk is a file system of its own."""
        return self.disk.is_mount()

    @property
    def stack_file(self) -> Path:
        return self.folder.root / "stacks" / f"Pulumi.{NAME}.yaml"

    @property
    def kubeconfig(self) -> Path:
        return self.disk / "kubeconfig"

    def connect(self, user: Mapping[str, str] | None = None, *, answering: bool = False) -> None:
        """Write the operators' kubeconfig: as gpuprov through the proxy, or as another ``user``."""
        write_kubeconfig(self.sandbox, self.kubeconfig, self.proxy, user, answering=answering)

    def certificate(self, valid: timedelta) -> Pair:
        """Issue a certificate for gpuprov's identity that expires after ``valid``."""
        return self.authority.client(*IDENTITIES["gpuprov"], valid=valid)

    def make_room(self) -> None:
        """Remove what Pulumi keeps of each update for ever: it would fill the operators' disk, which is small."""
        for name in ("history", "backups"):
            shutil.rmtree(self.disk / "state" / ".pulumi" / name, ignore_errors=True)

    def use(self, script: Script, *, before: bool = False) -> None:
        """Let the project have the list and the stacks of a round, or of the one before."""
        self.folder.rows = [*(script.before if before else script.rows)]
        self.folder.write()
        shards = script.shards_before if before else script.shards
        self.stack_file.write_text(_SHARDS.sub(rf"\g<1>{shards}", self.stack_file.read_text("utf-8")), "utf-8")

    def desired(self, script: Script, *, before: bool = False) -> dict[str, int]:
        """Return the GPUs that each namespace should have by list and ledger."""
        found = self.folder.desired(script.then if before else script.at)
        return {namespace(award): gpus for award, gpus in found.items()}


def write_kubeconfig(
    sandbox: Sandbox, path: Path, proxy: Proxy, user: Mapping[str, str] | None = None, *, answering: bool = False
) -> None:
    document = yaml.safe_load(sandbox.kubeconfig.read_text(encoding="utf-8"))
    port = proxy.answering_port if answering else proxy.port
    for cluster in document["clusters"]:
        cluster["cluster"]["server"] = f"https://127.0.0.1:{port}"
    for entry in document["users"]:
        if user is not None and entry["name"] == f"{NAME}-gpuprov":
            entry["user"] = dict(user)
    path.touch(mode=0o600)
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(yaml.safe_dump(document), encoding="utf-8")
    fresh.replace(path)


@contextmanager
def private_disk(root: Path) -> Iterator[Path]:
    """Make the operators' file system, where mounts are ours alone; else a folder."""
    disk = root / "operator"
    disk.mkdir(mode=0o755)
    if not os.environ.get(PRIVATE_VARIABLE):
        yield disk
        return
    with _mounted(disk, DISK_MEBIBYTES):
        yield disk


@contextmanager
def _mounted(folder: Path, mebibytes: int) -> Iterator[None]:
    """Mount a file system in memory, which nobody else sees and which ends with us."""
    options = f"size={mebibytes}m,mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "robustness", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def trust_another(sandbox: Sandbox) -> Authority:
    """Make the cluster's keys, and let its API server trust a second authority, whose key we have."""
    folder = sandbox.root / "clusters" / NAME
    for needed in (sandbox.root, folder.parent, folder):
        private_folder(needed)
    make_pki(folder / "pki", NAME)
    authority = Authority("robustness")
    with (folder / "pki" / "ca.crt").open("ab") as file:
        file.write(authority.certificate)
    return authority


@contextmanager
def world(root: Path, backend_kind: str) -> Iterator[World]:
    """Start everything, and end it when the block does, or when this process is killed."""
    root.mkdir(parents=True, exist_ok=True)
    spec = ClusterSpec(name=NAME, pools=(NodePool(product=H100, count=CAPACITY // 8),))
    sandbox = Sandbox(root / "sandbox", programs(), clusters=(spec,))
    with ExitStack() as stack:
        disk = stack.enter_context(private_disk(root))
        authority = trust_another(sandbox)
        stack.enter_context(while_up(sandbox))
        layout = state_of(sandbox).layout(sandbox.root, NAME)
        pairs = layout.key_pair("kube-apiserver-server"), layout.key_pair("gpuprov")
        proxy = Proxy(Server(layout.ports.api, *pairs, layout.pki / "ca.crt"))
        stack.callback(proxy.close)
        kept = stack.enter_context(_backend(backend_kind, disk))
        observer = Observer(layout)
        stack.callback(observer.close)
        folder = _folder(disk, sandbox, kept)
        made = World(
            root=root,
            disk=disk,
            sandbox=sandbox,
            folder=folder,
            backend=kept,
            backend_kind=backend_kind,
            proxy=proxy,
            observer=observer,
            authority=authority,
        )
        made.connect()
        yield made


@contextmanager
def _backend(kind: str, disk: Path) -> Iterator[Backend]:
    """Let the state be kept: in a folder on the operators' disk, or by a server on another."""
    if kind == "file":
        yield FileBackend(disk / "state")
        return
    with backend(kind) as served:
        yield served


def _folder(disk: Path, sandbox: Sandbox, kept: Backend) -> Folder:
    (disk / "tmp").mkdir()
    environment = make_environment(sandbox) | {
        "XDG_STATE_HOME": str(disk / "state-home"),
        "TMPDIR": str(disk / "tmp"),
        "KUBECONFIG": str(disk / "kubeconfig"),
    }
    folder = make_folder(disk / "office", environment)
    stack_file = folder.root / "stacks" / f"Pulumi.{NAME}.yaml"
    text = stack_file.read_text(encoding="utf-8")
    stack_file.write_text(text.replace("    pools:\n", f"{_MORE}    pools:\n"), encoding="utf-8")
    return dataclasses.replace(folder, environment={**folder.environment, **kept.variables})


@contextmanager
def temporary() -> Iterator[Path]:
    """Make a folder for all temporary files. Other users may reach it, since a database runs as another user."""
    private = os.environ.get(PRIVATE_VARIABLE)
    with ExitStack() as stack:
        if private:
            folder = Path(private)
            stack.enter_context(_mounted(folder, WORLD_MEBIBYTES))
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="robustness-")))
        folder.chmod(0o711)
        tempfile.tempdir = str(folder)
        stack.callback(setattr, tempfile, "tempdir", None)
        yield folder
