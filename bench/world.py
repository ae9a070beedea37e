"""One fresh cluster, a project with a list of N awards, and eyes that check what a tool has really done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import yaml
from kubernetes import client, config

from bench.measure import cpu_of
from gpuprov import toolchain
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import MANAGED_BY, MANAGER, PROVIDER_LABEL, QUOTA, Manifest, tenant_manifests
from gpuprov.core.quantity import whole
from gpuprov.core.tenant import Tenant
from gpuprov.load.project import open_project
from gpuprov.run.credentials import write_private
from gpuprov.run.loading import load
from gpuprov.sandbox import H100, ClusterSpec, NodePool, Sandbox

AT = "2026-03-01T09:00:00+09:00"
AFTER = "2026-07-01T00:00:00+09:00"
SELECTOR = f"{MANAGED_BY}={MANAGER}"
WRITTEN = f"{PROVIDER_LABEL}=bench"
"""What every tool leaves as it is: Helm puts its own name into the label managed-by."""

RESOURCE = "requests.nvidia.com/gpu"
GPUS, FEWER = 2, 1
CHANGED, FORFEITED = 0, 1
"""Which awards of the list are changed and forfeited."""

_SETTLE_SECONDS, _IDLE_CPU = 120.0, 0.3
"""How long to wait for an idle cluster, and the CPU seconds in one second below which its servers count as idle."""

_SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
_HEADER = "award id,organization,track,applied,provider,model,quantity,start date,end date,status"
_PROJECT = """\
name: gpuprov
runtime: {name: python, options: {toolchain: pip}}
main: stacks
stackConfigDir: stacks
config:
  awards: {default: [awards.csv]}
  ledger: {default: ledger.jsonl}
"""
_STACK = """\
config:
  gpuprov:cluster:
    aliases: [Bench]
    context: bench
    requireChart: false
    shards: %d
    pools:
      - model: H100
        capacity: 1000000
        nodeLabel: {nvidia.com/gpu.product: %s}
"""


class WrongState(Exception):
    """The cluster is not what the step should have made of it: its time counts for nothing."""


class TooLong(Exception):
    """A command was stopped at the time limit."""


@dataclass(slots=True, kw_only=True)
class World:
    """A running cluster and a folder with the project. ``deadline`` is when the step has to have ended."""

    folder: Path
    sandbox: Sandbox
    awards: int
    environment: dict[str, str]
    deadline: float = 0.0

    @property
    def servers(self) -> list[int]:
        """The processes of the cluster."""
        return [pid for status in self.sandbox.status() for pid in status.pids.values()]

    @property
    def cluster(self) -> ProviderCluster:
        """The cluster as the project knows it."""
        (cluster,) = open_project(self.folder).clusters
        return cluster

    @property
    def core(self) -> Any:  # noqa: ANN401 (the client's models say of every field that it may be missing)
        """A way to the API server, as its administrator."""
        return client.CoreV1Api(config.new_client_from_config(config_file=self.environment["KUBECONFIG"]))

    def write_list(self, *, changed: bool = False, forfeited: bool = False) -> None:
        """Write the award list: all awards, or with one reduced, or with one gone."""
        rows = []
        for number in range(self.awards):
            gpus = FEWER if changed and number == CHANGED else GPUS
            if not (forfeited and number == FORFEITED):
                award_id = f"HPC-2026-9-{number:05d}"
                rows.append(f"{award_id},org {number},1,{gpus},Bench,H100,{gpus},2026-01-01,2026-06-30,selected")
        (self.folder / "awards.csv").write_text("\n".join([_HEADER, *rows]) + "\n", encoding="utf-8")

    def tenants(self) -> tuple[Tenant, ...]:
        """The tenants that the list asks for."""
        return load(open_project(self.folder)).desired(datetime.fromisoformat(AT)).tenants

    def manifests(self) -> dict[str, Sequence[Manifest]]:
        """The seven objects of each tenant, by namespace: the same for every tool."""
        cluster = self.cluster
        return {tenant.namespace: tenant_manifests(tenant, cluster) for tenant in self.tenants()}

    def run(self, *command: str, at: str = AT, cwd: Path | None = None, **environment: str) -> str:
        """Run one command to its end and return its standard output. Raises TooLong; any failure is WrongState."""
        process = self.start(*command, cwd=cwd, environment={"GPUPROV_AT": at} | environment)
        try:
            out, err = process.communicate(timeout=max(1.0, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise TooLong from error
        finally:
            end(process)
        if process.returncode:
            raise WrongState(f"{' '.join(command)[:80]}: code {process.returncode}: {err[-1500:]}{out[-500:]}")
        return out

    def start(self, *command: str, cwd: Path | None, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start one command with both its outputs as pipes. Whoever starts it gives it to `end`, come what may."""
        return subprocess.Popen(
            command,
            cwd=cwd or self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_pod(self, namespace: str) -> None:
        """Run a pod on a GPU there, as an awardee would, and wait until a node has it."""
        core = self.core
        core.create_namespaced_pod(namespace, _pod())
        deadline = time.monotonic() + 60
        while core.read_namespaced_pod("train", namespace).status.phase != "Running":
            if time.monotonic() > deadline:
                raise WrongState("the pod does not run")
            time.sleep(0.1)

    def settle(self) -> None:
        """Wait until the cluster is idle: its controllers still work on the case before, whoever wrote that."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        used = cpu_of(self.servers)
        while time.monotonic() < deadline:
            time.sleep(1)
            before, used = used, cpu_of(self.servers)
            if used - before < _IDLE_CPU:
                return

    def check(self, namespaces: int, *, changed: str | None = None, gone: str | None = None) -> None:
        """Raise WrongState where the cluster is not as it should be now."""
        core = self.core
        there = {item.metadata.name for item in core.list_namespace(label_selector=WRITTEN).items}
        quotas = {
            item.metadata.namespace: whole(item.spec.hard.get(RESOURCE, "0"))
            for item in core.list_resource_quota_for_all_namespaces(label_selector=WRITTEN).items
            if item.metadata.name == QUOTA
        }
        if len(there) != namespaces or quotas.keys() != there:
            raise WrongState(f"{len(there)} namespaces with {len(quotas)} quotas, not {namespaces}")
        if gone in there:
            raise WrongState(f"{gone} is still there")
        wrong = {name: gpus for name, gpus in quotas.items() if gpus != (FEWER if name == changed else GPUS)}
        if wrong:
            raise WrongState(f"quotas that are wrong: {wrong}")


def end(process: subprocess.Popen[str]) -> None:
    """End a command that still runs, and all that it started: an engine, plugins and workers outlive their parent."""
    if process.poll() is not None:
        return
    with suppress(psutil.NoSuchProcess):
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
    process.wait()


def namespace(number: int) -> str:
    """The namespace of an award of the list."""
    return f"gpu-hpc-2026-9-{number:05d}"


@contextmanager
def world(folder: Path, awards: int, shards: int) -> Iterator[World]:
    """Start a cluster with four GPU servers and write the project; stop and delete everything at the end."""
    installed = toolchain.ensure()
    folder.mkdir(parents=True, exist_ok=True)
    spec = ClusterSpec(name="bench", pools=(NodePool(product=H100, count=4),))
    sandbox = Sandbox(folder / "sandbox", {name: installed.binary(name) for name in _SERVERS}, clusters=(spec,))
    try:
        sandbox.up()
        (folder / "stacks").mkdir()
        (folder / "state").mkdir()
        (folder / "Pulumi.yaml").write_text(_PROJECT, encoding="utf-8")
        (folder / "stacks" / "Pulumi.bench.yaml").write_text(_STACK % (shards, H100), encoding="utf-8")
        helm = str(installed.binary("helm").parent)
        path = os.pathsep.join([str(Path(sys.executable).parent), installed.path_for_hand(), helm, os.environ["PATH"]])
        made = World(folder=folder, sandbox=sandbox, awards=awards, environment=_environment(sandbox, folder, path))
        made.write_list()
        yield made
    finally:
        sandbox.down()


def _environment(sandbox: Sandbox, folder: Path, path: str) -> dict[str, str]:
    own: Mapping[str, str] = {
        "PATH": path,
        "KUBECONFIG": str(_as_administrator(sandbox, folder)),
        "PULUMI_HOME": str(folder / "pulumi-home"),
        "XDG_STATE_HOME": str(folder / "state-home"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "",
    }
    return {**os.environ, **own}


def _as_administrator(sandbox: Sandbox, folder: Path) -> Path:
    """Write a kubeconfig with the administrator's context alone, named ``bench``: every tool has the same rights."""
    document = yaml.safe_load(sandbox.kubeconfig.read_text(encoding="utf-8"))
    document["contexts"] = [{"name": "bench", "context": {"cluster": "bench", "user": "bench-admin"}}]
    document["current-context"] = "bench"
    path = folder / "kubeconfig"
    write_private(path, yaml.safe_dump(document))
    return path


def _pod() -> dict[str, Any]:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "train",
        "image": "example.invalid/train:1",
        "securityContext": security,
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    user = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train"},
        "spec": {"securityContext": user, "containers": [container]},
    }
