"""What the tests of the preflight on a real cluster share: a project, what a run said, and changes to the cluster."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from forks import run_forked
from projects import REPOSITORY, Ran
from sandbox_fixtures import admin_kubeconfig, created, eventually

from gpuprov import toolchain
from gpuprov.sandbox import Sandbox
from gpuprov.sandbox.api import Api

HEADER = "award_id,organization,track,applied_h100,provider,model,quantity,first_day,last_day\n"
MARCH = "2026-03-01T09:00:00+09:00"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
STACK: dict[str, Any] = {
    "context": "alpha",
    "pools": [
        {"model": "H100", "capacity": 16, "nodeLabel": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}},
        {"model": "A100", "capacity": 8, "nodeLabel": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}},
    ],
}


@dataclass
class Preflight:
    """What one run said."""

    code: int
    findings: list[dict[str, str]]
    failed: dict[str, str]
    err: str

    def of(self, check: str, result: str | None = None) -> list[dict[str, str]]:
        return [
            finding for finding in self.findings if finding["check"] == check and result in (None, finding["result"])
        ]

    def only(self, result: str) -> dict[str, str]:
        (line,) = [finding for finding in self.findings if finding["result"] == result]
        return line

    @property
    def bad(self) -> list[str]:
        return [f"{finding['check']}: {finding['seen']}" for finding in self.findings if finding["result"] == "failed"]


@dataclass
class Project:
    """A project of one provider, with kubeconfigs for its two identities."""

    root: Path
    sandbox: Sandbox
    stack: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(STACK)))

    def write(self, awards: str = "") -> None:
        config = {"awards": {"type": "array", "items": {"type": "string"}, "default": ["awards.csv"]}}
        document = {"name": "gpuprov", "runtime": "python", "stackConfigDir": "stacks", "config": config}
        (self.root / "stacks").mkdir(parents=True, exist_ok=True)
        (self.root / "Pulumi.yaml").write_text(yaml.safe_dump(document))
        stack = {"config": {"gpuprov:cluster": self.stack}}
        (self.root / "stacks" / "Pulumi.alpha.yaml").write_text(yaml.safe_dump(stack))
        (self.root / "awards.csv").write_text(HEADER + (awards or line("HPC-1", "H100", 8)))

    def run(self, kubeconfig: Path, *options: str, awards: str = "") -> Ran:
        self.write(awards)
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.root),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "KUBECONFIG": str(kubeconfig),
            "GPUPROV_AT": MARCH,
            "PYTHONPATH": str(REPOSITORY),
        }
        return Ran(*run_forked(["preflight", *options], self.root, environment))

    def command(self, kubeconfig: Path, *words: str) -> Ran:
        """Run a command that needs Pulumi, with a state of the project's own."""
        self.write()
        (self.root / "state").mkdir(exist_ok=True)
        environment = {
            **os.environ,
            **self.sandbox.environment(),
            "PATH": os.pathsep.join([toolchain.ensure(toolchain.CLI_TOOLS).path_for_hand(), os.environ["PATH"]]),
            "KUBECONFIG": str(kubeconfig),
            "PULUMI_BACKEND_URL": f"file://{self.root / 'state'}",
            "PULUMI_HOME": str(self.root / "pulumi-home"),
            "XDG_STATE_HOME": str(self.root / "state-home"),
            "PYTHONPATH": str(REPOSITORY),
        }
        return Ran(*run_forked(words, self.root, environment))

    def refused(self, kubeconfig: Path) -> list[str]:
        """Return why the guard would grant nothing."""
        return list(self.command(kubeconfig, "plan", "--at", MARCH, "--json").data["refused"])

    def preflight(self, kubeconfig: Path, awards: str = "") -> Preflight:
        done = self.run(kubeconfig, "--json", awards=awards)
        assert done.out, done.err
        return Preflight(done.code, done.data["findings"], done.data["failed"], done.err)


def line(award_id: str, model: str, quantity: int) -> str:
    h100 = quantity // {"H100": 1, "A100": 4}[model]
    track = 1 if h100 <= 4 else 2
    return f"{award_id},Hanbit,{track},{h100},alpha,{model},{quantity},2026-01-01,2026-06-30\n"


def identity(sandbox: Sandbox, api: Api, namespace: str, name: str, folder: Path) -> Path:
    """Make a service account and return a kubeconfig with a token of it."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    created(api, accounts, {"metadata": {"name": name}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = created(api, f"{accounts}/{name}/token", request).body["status"]["token"]
    document = yaml.safe_load(admin_kubeconfig(sandbox).read_text())
    document["users"] = [{"name": name, "user": {"token": token}}]
    document["contexts"] = [{"name": "alpha", "context": {"cluster": "alpha", "user": name}}]
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def everything(api: Api) -> dict[str, list[str]]:
    """Return the UIDs of what a run might leave behind."""
    paths = ("/api/v1/namespaces", "/api/v1/pods", "/api/v1/serviceaccounts", f"{RBAC}/clusterroles")
    return {
        path: sorted(resource["metadata"]["uid"] for resource in (api.get(path) or {"items": []})["items"])
        for path in paths
    }


@contextmanager
def there(api: Api, path: str, body: dict[str, Any]) -> Iterator[None]:
    """Let an object be there for as long as the block lasts."""
    created(api, path, body)
    try:
        yield
    finally:
        reply = api.request("DELETE", f"{path}/{body['metadata']['name']}", {"gracePeriodSeconds": 0})
        assert reply.ok, reply
        eventually(lambda: api.get(f"{path}/{body['metadata']['name']}") is None)


@contextmanager
def changed(api: Api, path: str, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Let an object be another for as long as the block lasts."""
    before = replaced(api, path, change)

    def restore(live: dict[str, Any]) -> None:
        live.update({key: value for key, value in before.items() if key not in ("metadata", "status")})

    try:
        yield
    finally:
        replaced(api, path, restore)


def replaced(api: Api, path: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Change an object, and return what it was. A controller may write in between: then once more."""
    while True:
        before = api.get(path)
        assert before is not None, path
        after = json.loads(json.dumps(before))
        change(after)
        reply = api.request("PUT", path, after)
        if reply.ok:
            return before
        assert reply.status == 409, reply


def node(name: str, product: str, **amounts: str) -> dict[str, Any]:
    resources = {"cpu": "8", "memory": "64Gi", "pods": "110"} | {k.replace("__", "/"): v for k, v in amounts.items()}
    return {
        "metadata": {"name": name, "labels": {"nvidia.com/gpu.product": product}},
        "status": {"capacity": resources, "allocatable": resources},
    }


def plugin(**environment: str) -> dict[str, Any]:
    container = {
        "name": "nvidia-device-plugin-ctr",
        "image": "registry.invalid/nvidia/k8s-device-plugin:v0.17.4",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
    }
    labels = {"app": "plugin"}
    return {
        "metadata": {"name": "nvidia-device-plugin"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def selector_line(found: Preflight) -> dict[str, str]:
    """Return what was found of the plugin that forces a namespace's node selector."""
    (line,) = [finding for finding in found.of("admission") if "PodNodeSelector" in finding["seen"]]
    return line
