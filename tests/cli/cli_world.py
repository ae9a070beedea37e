"""What the tests of commands on clusters share: a world in which they run, and API servers that answer from a table.

Pulumi is a script there that answers what a stack's outputs are.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from forks import run_forked
from golden_chart import chart
from loopback import JsonHandler, refusal, serving
from projects import REPOSITORY, Ran, copy_project, timed

from gpuprov.core.manifests import LEASE, TENANT_TYPE
from gpuprov.kube.leaseobject import HOLDER
from gpuprov.toolchain.pins import EXEC_SCRIPT, PLUGIN, PULUMI

PROVIDERS = ("elice-cloud", "kt-cloud", "samsung-sds")
MARCH = "2026-03-01T09:00:00+09:00"
JULY = "2026-07-01T00:00:00+09:00"
PULUMI_SCRIPT = """#!/bin/sh
asked="$1 $2"
while [ "$#" -gt 0 ]; do
  if [ "$1" = --stack ]; then stack="$2"; fi
  shift
done
fail() {{ echo "error: $1" >&2; exit 1; }}
case "$asked" in
  version*) echo "v{version}" ;;
  "stack export") cat "{folder}/state-$stack.json" 2>/dev/null || fail "no stack named '$stack' found" ;;
  "stack init")
    if [ -f "{folder}/lock-$stack" ]; then fail "$(cat "{folder}/lock-$stack")"; fi
    fail "stack '$stack' already exists" ;;
  *) cat "{folder}/outputs-$stack.json" ;;
esac
"""


@dataclass
class Api:
    """What the providers' API servers answer: the objects by provider and collection, or one error for all.

    ``bare`` are those without the chart; ``refused`` are collections, by provider and kind, that may not be read.
    """

    objects: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    refused: set[tuple[str, str]] = field(default_factory=set)
    leases: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        provider, _, rest = path.strip("/").partition("/")
        if provider in self.forbidden:
            return 403, {"kind": "Status", "message": "no rights here"}
        if rest == "api/v1/namespaces/kube-system":
            return 200, {"kind": "Namespace", "metadata": {"name": "kube-system", "uid": f"uid-of-{provider}"}}
        if rest == "apis/resource.k8s.io":
            return 200, {"preferredVersion": {"version": "v1"}}
        if rest not in KINDS:
            return self._one(provider, rest)
        kind, version = KINDS[rest], rest.split("/", 1)[1].rpartition("/")[0]
        if (provider, kind) in self.refused:
            return 403, {"kind": "Status", "message": f"no right to list {kind}"}
        return 200, {"kind": f"{kind}List", "apiVersion": version, "items": self._of(provider, kind)}

    def _one(self, provider: str, path: str) -> tuple[int, dict[str, Any]]:
        """Return the role, a namespace or its quota; what else is asked for is not there, as the Lease at first."""
        name = path.rpartition("/")[2]
        if "/configmaps/" in path:
            maps = [found for found in self._of(provider, "ConfigMap") if found["metadata"]["name"] == name]
            return (200, maps[0]) if maps else refusal(404, "NotFound", name)
        if "/leases/" in path:
            lease = self.leases.get(provider)
            return (200, lease) if lease else refusal(404, "NotFound", name)
        if "/clusterroles/" in path:
            roles = [role for role in self._of(provider, "ClusterRole") if role["metadata"]["name"] == name]
            return (200, roles[0]) if roles else refusal(404, "NotFound", name)
        _, _, inside = path.partition("api/v1/namespaces/")
        namespace, _, rest = inside.partition("/")
        if rest == "pods":
            pods = [pod for pod in self._of(provider, "Pod") if pod["metadata"]["namespace"] == namespace]
            return 200, {"kind": "PodList", "apiVersion": "v1", "items": pods}
        kind = "ResourceQuota" if rest else "Namespace"
        for manifest in self._of(provider, kind):
            metadata = manifest["metadata"]
            if (namespace, name) == (metadata.get("namespace", metadata["name"]), metadata["name"]):
                return 200, manifest
        return refusal(404, "NotFound", name)

    def lease(self, provider: str, holder: str, *, words: str, renewed: str = "") -> None:
        """Let somebody have the turn on a cluster, who renewed it last then, or just now."""
        now = datetime.now(UTC).isoformat()
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 30, "acquireTime": now, "renewTime": renewed or now}
        self.leases[provider] = {"metadata": {"name": LEASE, "annotations": {HOLDER: words}}, "spec": spec}

    def _of(self, provider: str, kind: str) -> list[dict[str, Any]]:
        """Return the objects of a kind: those of the chart too, unless others are given."""
        brought = [] if provider in self.bare or kind not in CHARTS else list(chart(kind).values())
        return self.objects.get((provider, kind), brought)


KINDS = {
    "api/v1/namespaces": "Namespace",
    "api/v1/nodes": "Node",
    "api/v1/resourcequotas": "ResourceQuota",
    "api/v1/limitranges": "LimitRange",
    "api/v1/configmaps": "ConfigMap",
    "api/v1/pods": "Pod",
    "apis/networking.k8s.io/v1/networkpolicies": "NetworkPolicy",
    "apis/rbac.authorization.k8s.io/v1/rolebindings": "RoleBinding",
    "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies": "ValidatingAdmissionPolicy",
    "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding",
    "apis/resource.k8s.io/v1/deviceclasses": "DeviceClass",
    "apis/rbac.authorization.k8s.io/v1/clusterroles": "ClusterRole",
    "apis/rbac.authorization.k8s.io/v1/clusterrolebindings": "ClusterRoleBinding",
    "apis/rbac.authorization.k8s.io/v1/roles": "Role",
    "apis/scheduling.k8s.io/v1/priorityclasses": "PriorityClass",
    "apis/apps/v1/daemonsets": "DaemonSet",
    "apis/apps/v1/deployments": "Deployment",
    "api/v1/serviceaccounts": "ServiceAccount",
}
CHARTS = ("ClusterRole", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
"""Kinds of which a cluster has what charts/gpu-cluster brings."""


def answering(api: Api) -> type[JsonHandler]:
    """Return the handler that answers what ``api`` says."""

    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 (the base class's name)
            self.reply(*api.answer(urlsplit(self.path).path))

        def refuse(self) -> None:
            api.writes.append(f"{self.command} {self.path}")
            self.send_error(500)

        do_POST = do_PUT = do_PATCH = do_DELETE = refuse  # noqa: N815 (the base class's names)

    return Handler


@dataclass
class World:
    """A project, a kubeconfig and a Pulumi of its own."""

    root: Path
    environment: dict[str, str]

    @property
    def ledger(self) -> Path:
        return self.root / "examples" / "ledger.jsonl"

    def run(self, *arguments: str, at: str = MARCH) -> Ran:
        """Run a command in a rehearsal: GPUPROV_AT says ``at``, and so does --at where an event is written."""
        return self.run_as_typed(*timed(arguments, at), at=at)

    def run_as_typed(self, *arguments: str, at: str = "") -> Ran:
        """Run a command with nothing added; GPUPROV_AT is not set unless ``at`` says so."""
        variable = {"GPUPROV_AT": at} if at else {}
        return Ran(*run_forked(arguments, self.root, self.environment | variable))

    def edit_list(self, old: str, new: str) -> None:
        """Replace a text of the award list that is there exactly once."""
        path = self.root / "examples" / "awards-2026-h1.csv"
        text = path.read_text(encoding="utf-8-sig")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8-sig")

    def contexts(self, servers: dict[str, str]) -> None:
        """Write a kubeconfig with a context for each of these providers."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
            "users": [{"name": "reader", "user": {"token": "t"}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "reader"}} for name in servers],
        }
        Path(self.environment["KUBECONFIG"]).write_text(yaml.safe_dump(document))

    @contextmanager
    def served_by(self, handler: type[JsonHandler]) -> Iterator[None]:
        """Let the handler answer for the API servers of all providers, as long as the block lasts."""
        with serving(handler) as url:
            self.contexts({provider: f"{url}/{provider}" for provider in PROVIDERS})
            yield

    def outputs(self, provider: str, outputs: dict[str, Any]) -> None:
        """Say what the script that stands for Pulumi answers about a stack, whose state has what the outputs tell."""
        (self.root.parent / f"outputs-{provider}.json").write_text(json.dumps(outputs))
        self.state(provider, outputs, outputs.get("tenants", {}))

    def state(self, stack: str, outputs: dict[str, Any], awards: Iterable[str], **more: Any) -> None:
        """Say what is in the state of a stack: its outputs, and the namespaces of awards."""
        prefix = f"urn:pulumi:{stack}::gpuprov::"
        kind = "kubernetes:core/v1:Namespace"
        resources: list[dict[str, Any]] = [{"urn": f"{prefix}{kind}::{award}", "type": kind} for award in awards]
        for resource in resources:
            resource["urn"] = resource["urn"].replace(kind, f"{TENANT_TYPE}${kind}")
        root = {
            "urn": f"{prefix}pulumi:pulumi:Stack::gpuprov-{stack}",
            "type": "pulumi:pulumi:Stack",
            "outputs": outputs,
        }
        deployment = {"resources": [root, *resources] if outputs else []} | more
        (self.root.parent / f"state-{stack}.json").write_text(json.dumps({"version": 3, "deployment": deployment}))

    def pulumi_lock(self, stack: str, words: str) -> None:
        """Say that a stack is locked, as Pulumi does."""
        said = f"the stack is currently locked by 1 lock(s).\n  file:///x/lock.json: created by {words}"
        (self.root.parent / f"lock-{stack}").write_text(said)


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def make_world(folder: Path) -> World:
    """Make a project whose kubeconfig is not there."""
    tools = folder / "bin"
    script(tools / "pulumi", PULUMI_SCRIPT.format(version=PULUMI.version, folder=folder))
    for name in ("pulumi-language-python", EXEC_SCRIPT):
        script(tools / name, "#!/bin/sh\n")
    home = folder / "pulumi-home"
    script(home / "plugins" / f"resource-kubernetes-v{PLUGIN.version}" / PLUGIN.name, "#!/bin/sh\n")
    environment = {
        "PATH": os.pathsep.join([str(tools), "/usr/bin", "/bin"]),
        "HOME": str(folder),
        "PULUMI_HOME": str(home),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "KUBECONFIG": str(folder / "kubeconfig"),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(REPOSITORY),
    }
    made = World(copy_project(folder / "project"), environment)
    for provider in PROVIDERS:
        made.outputs(provider, {})
    return made
