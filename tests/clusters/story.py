"""What the tests of the whole story share: a project of their own, the real commands, and eyes on the clusters."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from forks import run_forked
from kubernetes import client, config
from projects import Ran, copy_project, run_command, timed
from sandbox_fixtures import eventually

from gpuprov import toolchain
from gpuprov.core.manifests import LEASE, QUOTA, SYSTEM_NAMESPACE
from gpuprov.sandbox import Sandbox

PROVIDERS = ("elice-cloud", "kt-cloud", "samsung-sds")
MARCH = "2026-03-01T09:00:00+09:00"
OURS = "app.kubernetes.io/managed-by=gpuprov"
ROLE = "gpuprov-tenant"
WHATEVER = ("--allow-teardown", "99", "--allow-change", "99")
"""Options of a run that brings back what a test began with, whatever the test before has left."""

GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class World:
    """The three clusters and the environment in which commands find them."""

    sandbox: Sandbox
    environment: dict[str, str]

    def core(self, provider: str) -> client.CoreV1Api:
        return client.CoreV1Api(self.connection(provider))

    def connection(self, provider: str) -> client.ApiClient:
        """Return a client of the administrator's: the eyes and hands of the tests. Commands act as gpuprov."""
        return config.new_client_from_config(config_file=str(self.sandbox.kubeconfig), context=f"{provider}-admin")

    def as_awardee(self, provider: str, group: str) -> client.CoreV1Api:
        """Return a client that acts as a member of an awardee's group."""
        connection = self.connection(provider)
        connection.set_default_header("Impersonate-User", "researcher@example.org")
        connection.set_default_header("Impersonate-Group", group)
        return client.CoreV1Api(connection)

    def namespaces(self, provider: str) -> set[str]:
        found = self.core(provider).list_namespace(label_selector=OURS)
        return {item.metadata.name for item in found.items}

    def quotas(self, provider: str) -> dict[str, int]:
        """Return the GPUs that each namespace's quota grants."""
        own = f"metadata.name={QUOTA}"
        found = self.core(provider).list_resource_quota_for_all_namespaces(label_selector=OURS, field_selector=own)
        return {item.metadata.namespace: int(item.spec.hard["requests.nvidia.com/gpu"]) for item in found.items}

    @contextmanager
    def held(self, provider: str, identity: str, seconds_ago: float = 0.0, lasts: int = 30) -> Iterator[None]:
        """Let somebody have the turn on a cluster, who renewed it so long ago, and give it back in the end.

        ``lasts`` is for how many seconds it lasts without being renewed.
        """
        leases = client.CoordinationV1Api(self.connection(provider))

        def write(holder: str, renewed: datetime, seconds: int) -> None:
            spec = {"holderIdentity": holder, "renewTime": renewed.isoformat(), "leaseDurationSeconds": seconds}
            leases.patch_namespaced_lease(LEASE, SYSTEM_NAMESPACE, {"spec": spec})

        write(identity, datetime.now(UTC) - timedelta(seconds=seconds_ago), lasts)
        try:
            yield
        finally:
            write("", datetime.now(UTC), 1)

    def holder(self, provider: str) -> str:
        """Return who has the turn on a cluster; empty where nobody has."""
        leases = client.CoordinationV1Api(self.connection(provider))
        return leases.read_namespaced_lease(LEASE, SYSTEM_NAMESPACE).spec.holder_identity or ""

    def clean(self) -> None:
        """Remove what a test left, so that the next one starts with empty clusters."""
        for provider in PROVIDERS:
            for name in self.namespaces(provider):
                self.core(provider).delete_namespace(name)
        eventually(lambda: not any(self.namespaces(provider) for provider in PROVIDERS))


@dataclass(frozen=True)
class Story:
    """One project folder with its own Pulumi state, on clusters that are shared by all tests."""

    world: World
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        return self.world.environment | {
            "PULUMI_BACKEND_URL": f"file://{self.root / 'state'}",
            "PULUMI_HOME": str(self.root / "pulumi-home"),
            "XDG_STATE_HOME": str(self.root / "state-home"),
        }

    def copied(self, root: Path) -> "Story":
        """Return the same project, with a state of its own that says the same, in another folder."""
        shutil.copytree(self.root, root)
        return Story(self.world, root)

    def run(self, *command: str, at: str = MARCH, **environment: str) -> Ran:
        variables = self.environment | {"GPUPROV_AT": at} | environment
        return Ran(*run_forked(timed(command, at), self.root, variables))

    def start(self, *command: str, at: str = MARCH, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start a command in a session of its own, so that all of its processes can be killed at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "gpuprov", *command],
            cwd=self.root,
            env=self.environment | {"GPUPROV_AT": at},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def start_until(self, told: str, *command: str, times: int = 1) -> subprocess.Popen[str]:
        """Start a command, and return it at the moment when it has told this so many times."""
        process = self.start(*command, stderr=subprocess.PIPE)
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            times -= told in line
            if times == 0:
                return process
        raise AssertionError(f"{command} has ended with {process.wait()} before: {''.join(lines)}")

    def ok(self, *command: str, at: str = MARCH) -> Ran:
        ran = self.run(*command, at=at)
        assert ran.code == 0, f"{command}: {ran}"
        return ran

    def up(self, at: str = MARCH) -> dict[str, Any]:
        """Run `gpuprov up` and return what it did by provider."""
        data = self.ok("up", "--yes", "--json", at=at).data
        return {outcome["provider"]: outcome for outcome in data["providers"]}

    def by_hand(self, verb: str, provider: str, *options: str, at: str = MARCH, **environment: str) -> Ran:
        """Run pulumi as an engineer types it, with the language host and the local program."""
        return run_command(
            ["pulumi", verb, "--stack", provider, "--non-interactive", *options],
            self.root,
            self.environment | {"GPUPROV_AT": at} | environment,
        )

    def configure(self, provider: str, change: Callable[[str], str]) -> None:
        """Edit a stack's configuration file."""
        path = self.root / "stacks" / f"Pulumi.{provider}.yaml"
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    def split(self, provider: str, shards: int) -> None:
        """Share the provider's awards between this many stacks."""
        old = re.compile(r"\n    shards: \d+")
        self.configure(
            provider, lambda text: old.sub("", text).replace("    pools:", f"    shards: {shards}\n    pools:")
        )

    def in_step(self, stacks: Sequence[str] = PROVIDERS, at: str = MARCH) -> None:
        """Cluster, state and list agree: nothing to plan, and Pulumi's own refresh finds nothing."""
        ran = self.run("plan", "--exit-code", at=at)
        assert ran.code == 0, ran
        for stack in stacks:
            ran = self.by_hand("preview", stack, "--refresh", "--expect-no-changes", at=at)
            assert ran.code == 0, ran.out[-2500:] + ran.err

    def stack_types(self, provider: str) -> list[str]:
        """Return the types of all that the stack's state holds."""
        ran = self.by_hand("stack", provider, "export")
        return [resource["type"] for resource in json.loads(ran.out)["deployment"].get("resources", ())]

    def use_lists(self, *names: str) -> None:
        """Make these files of examples/ the project's award lists."""
        path = self.root / "Pulumi.yaml"
        text = path.read_text(encoding="utf-8")
        head, rest = text.split("    default:\n      - ", 1)
        tail = rest.split("\n  ledger:", 1)[1]
        lists = "".join(f"      - examples/{name}\n" for name in names)
        path.write_text(f"{head}    default:\n{lists}  ledger:{tail}", encoding="utf-8")

    def edit_list(self, change: Callable[[list[str]], list[str]], name: str = "awards-2026-h1.csv") -> None:
        """Rewrite the rows of a list, below its header, and commit it as CI would get it."""
        path = self.root / "examples" / name
        header, *rows = path.read_text(encoding="utf-8-sig").splitlines()
        path.write_text("\n".join([header, *change(rows)]) + "\n", encoding="utf-8-sig")
        git, commit = (
            ["git", "-c", "user.name=ci", "-c", "user.email=ci@example.org"],
            ["commit", "--allow-empty", "-qm"],
        )
        for command in (["init", "-q"], ["add", "examples"], [*commit, "Change the award list"]):
            subprocess.run([*git, *command], cwd=self.root, check=True)


def make_environment(sandbox: Sandbox) -> dict[str, str]:
    """Return an environment with the sandbox, and with the language host on PATH for `pulumi up` by hand."""
    path = toolchain.ensure(toolchain.CLI_TOOLS).path_for_hand()
    folders = [str(Path(sys.executable).parent), path, os.environ["PATH"]]
    return {**os.environ, **sandbox.environment(), "PATH": os.pathsep.join(folders)}


def make_project(root: Path) -> None:
    """Copy a project, and make the folder of its Pulumi state."""
    copy_project(root)
    (root / "state").mkdir()


def running(core: client.CoreV1Api, namespace: str, name: str, gpus: int, resource: str = GPU) -> str:
    """Start a pod, and return the node that it runs on."""
    eventually(lambda: accepted(core, namespace, gpu_pod(name, gpus, resource)))
    eventually(lambda: core.read_namespaced_pod(name, namespace).status.phase == "Running")
    return str(core.read_namespaced_pod(name, namespace).spec.node_name)


def accepted(core: client.CoreV1Api, namespace: str, body: dict[str, Any]) -> bool:
    """Create a pod; False where the namespace is so new that its controllers have not seen it yet."""
    try:
        core.create_namespaced_pod(namespace, body)
    except client.ApiException as error:
        if any(
            message in str(error.body) for message in ("status unknown for quota", "error looking up service account")
        ):
            return False
        raise
    return True


def gpu_pod(name: str, gpus: int, resource: str = GPU) -> dict[str, Any]:
    """Return a pod that Pod Security's level `restricted` lets in."""
    return {
        "metadata": {"name": name},
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "train",
                    "image": "example.invalid/train:1",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "resources": {"limits": {resource: str(gpus)}},
                }
            ],
        },
    }
