"""The first half of 2026 on sandbox clusters: provision, use, forfeit, reduce, a second call, the end of the term.

Prints every command that it gives. Works in .story/ below the repository, so that nothing under version control
changes, and leaves the sandbox running for a look.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kubernetes import client, config

from gpuprov import toolchain

REPOSITORY = Path(__file__).parent.parent
HERE = REPOSITORY / ".story"
PROJECT = HERE / "project"
SANDBOX = HERE / "sandbox"
CREDENTIAL = HERE / "hpc-2026-1-003.kubeconfig"
GPUPROV = [sys.executable, "-m", "gpuprov"]
JANUARY, MARCH = "2026-01-02T09:00+09:00", "2026-03-01T09:00+09:00"
LAST_SECOND, TERM_END = "2026-06-30T23:59:59+09:00", "2026-07-01T00:00+09:00"


def main() -> None:
    """Tell the story; any command that ends otherwise than it should ends the story too."""
    begun = time.monotonic()
    prepare()
    set_up()
    provision()
    use()
    forfeit_and_reduce()
    second_call()
    end_of_term()
    title(f"Done in {time.monotonic() - begun:.0f} s. The sandbox is still up; have a look:")
    say(
        f"""\
  cd {PROJECT}
  eval "$({REPOSITORY}/.venv/bin/gpuprov sandbox --dir {SANDBOX} env)"
  export GPUPROV_AT={MARCH}                  # the clusters are empty: it was July just now
  gpuprov up && gpuprov status
  pulumi preview --stack kt-cloud            # the same program and state, by hand
  kubectl --context kt-cloud get resourcequota -A
  gpuprov sandbox --dir {SANDBOX} down       # when you are done"""
    )


def prepare() -> None:
    """Start the clusters and make a project of the examples."""
    title("Three provider clusters on this machine: etcd, API server, controllers, scheduler, GPU nodes")
    if SANDBOX.exists():
        gpuprov("sandbox", "--dir", str(SANDBOX), "down")
    shutil.rmtree(HERE, ignore_errors=True)
    PROJECT.mkdir(parents=True)
    shutil.copy(REPOSITORY / "Pulumi.yaml", PROJECT)
    for folder in ("stacks", "charts", "policies"):
        ignored = shutil.ignore_patterns("__pycache__", ".venv")
        shutil.copytree(REPOSITORY / folder, PROJECT / folder, ignore=ignored)
    (PROJECT / "examples").mkdir()
    for path in (REPOSITORY / "examples").glob("*.csv"):
        shutil.copy(path, PROJECT / "examples")
    gpuprov("sandbox", "--dir", str(SANDBOX), "up")
    gpuprov("sandbox", "--dir", str(SANDBOX), "status")
    os.environ["KUBECONFIG"] = str(SANDBOX / "kubeconfig")
    os.environ["PULUMI_BACKEND_URL"] = f"file://{SANDBOX / 'pulumi'}"
    os.environ["PULUMI_CONFIG_PASSPHRASE"] = ""


def set_up() -> None:
    """Install what holds tenants to their quota, as the clusters' administrators do once."""
    title("What each cluster needs once: roles, admission rules, priority classes (charts/gpu-cluster)")
    gpuprov("setup", "--yes")


def provision() -> None:
    """Bring the clusters to the award list."""
    title("The award list: checked, planned, applied")
    gpuprov("validate")
    gpuprov("up", "--yes", "--at", JANUARY)
    gpuprov("status")
    show_clusters()
    title("Again: nothing differs, so nothing is touched")
    gpuprov("up", "--yes", "--at", JANUARY)
    title("The same by hand: `pulumi up` with the same program and state finds nothing to change")
    pulumi("up", "--yes", "--stack", "kt-cloud", "--expect-no-changes", "--suppress-outputs", at=JANUARY)


def use() -> None:
    """Run a pod within a quota, and ask for one GPU too many, with the awardee's own credential."""
    title("HPC-2026-1-003 has 8 H100 at Samsung SDS: with its own credential a pod with 8 runs, and nothing more")
    gpuprov("kubeconfig", "HPC-2026-1-003", "--out", str(CREDENTIAL), "--at", JANUARY)
    core = awardee()
    core.create_namespaced_pod("gpu-hpc-2026-1-003", pod("train", 8))
    while (train := core.read_namespaced_pod("train", "gpu-hpc-2026-1-003")).status.phase != "Running":
        time.sleep(0.1)
    say(f"  pod train: Running with 8 GPUs on node {train.spec.node_name}")
    refused("pod one-more", pod("one-more", 1))
    shared = pod("look-around", 0)
    shared["spec"]["containers"][0] |= {"env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}], "resources": {}}
    refused("a pod that asks for no GPU and wants to see all", shared)


def refused(what: str, body: dict[str, Any]) -> None:
    """Show how the API server refuses a pod of HPC-2026-1-003."""
    try:
        awardee().create_namespaced_pod("gpu-hpc-2026-1-003", body)
    except client.ApiException as error:
        text = json.loads(error.body)["message"] if error.body else error.reason
        say(f"  {what}: {error.status} {text}")
    else:
        raise SystemExit(f"{what} was accepted")


def forfeit_and_reduce() -> None:
    """Take one award back with its pod running, and half of another."""
    title("It forfeits, with its pod still running: recorded in the ledger, pod ended, namespace gone, GPUs free")
    no_answer = ("--reason", "no answer since January", "--yes", "--at", MARCH)
    gpuprov("forfeit", "HPC-2026-1-003", *no_answer, GPUPROV_AT=MARCH)
    refused("its credential", pod("afterwards", 1))
    title("HPC-2026-1-009 at Elice Cloud keeps 4 of its 8 H100")
    half = ("--to", "4", "--reason", "half unused", "--yes", "--at", MARCH)
    gpuprov("reduce", "HPC-2026-1-009", *half, GPUPROV_AT=MARCH)
    gpuprov("status")


def second_call() -> None:
    """Add the list of the additional call: it does not fit, until enough was forfeited."""
    title("The additional call: with a second list the awards exceed two pools, and nothing happens")
    settings = PROJECT / "Pulumi.yaml"
    first = "      - examples/awards-2026-h1.csv\n"
    both = first + "      - examples/awards-2026-extra-cp949.csv\n"
    settings.write_text(settings.read_text(encoding="utf-8").replace(first, both), encoding="utf-8")
    gpuprov("up", "--yes", "--at", MARCH, code=4)
    settings.write_text(settings.read_text(encoding="utf-8").replace(both, first), encoding="utf-8")


def end_of_term() -> None:
    """Show that the last second belongs to the term, and the next instant does not."""
    title("30 June, 23:59:59: everything stays")
    gpuprov("expire", "--yes", "--at", LAST_SECOND)
    title("1 July, 00:00 in Seoul: the term is over")
    gpuprov("expire", "--yes", "--at", TERM_END)
    gpuprov("status")
    show_clusters()
    title("Expiring again changes nothing")
    gpuprov("expire", "--yes", "--at", TERM_END)


def show_clusters() -> None:
    """Count, on each cluster, what carries our label."""
    for provider in ("samsung-sds", "elice-cloud", "kt-cloud"):
        core = client.CoreV1Api(connection(provider))
        ours = {"label_selector": "app.kubernetes.io/managed-by=gpuprov"}
        namespaces = core.list_namespace(**ours).items
        quotas = core.list_resource_quota_for_all_namespaces(**ours, field_selector="metadata.name=gpu").items
        gpus = sum(int(quota.spec.hard["requests.nvidia.com/gpu"]) for quota in quotas)
        say(f"  {provider}: {len(namespaces)} namespaces, {len(quotas)} resource quotas for {gpus} GPUs")


def gpuprov(*command: str, code: int = 0, **environment: str) -> None:
    """Give a gpuprov command, and insist on its exit code."""
    shown = [f"{name}={value}" for name, value in environment.items()]
    run([*shown, "gpuprov", *command], [*GPUPROV, *command], code, **environment)


def pulumi(*command: str, at: str) -> None:
    """Give a pulumi command as an engineer would, with the language host on PATH."""
    path = toolchain.ensure(toolchain.CLI_TOOLS).path_for_hand()
    folders = os.pathsep.join([str(Path(sys.executable).parent), path, os.environ["PATH"]])
    run(["pulumi", *command], ["pulumi", *command], 0, PATH=folders, GPUPROV_AT=at)


def run(shown: list[str], command: list[str], code: int, **environment: str) -> None:
    """Print a command, run it in the project, and end the story where its exit code is not ``code``."""
    say(f"\n$ {shlex.join(shown)}")
    begun = time.monotonic()
    executable = shutil.which(command[0], path=environment.get("PATH")) or command[0]
    done = subprocess.run([executable, *command[1:]], cwd=PROJECT, env=os.environ | environment, check=False)
    say(f"  ({time.monotonic() - begun:.1f} s, exit code {done.returncode})")
    if done.returncode != code:
        raise SystemExit(f"expected exit code {code}; the sandbox is still up, its logs are in {SANDBOX}")


def connection(provider: str) -> client.ApiClient:
    """Return a connection through the provider's context."""
    return config.new_client_from_config(config_file=str(SANDBOX / "kubeconfig"), context=provider)


def awardee() -> client.CoreV1Api:
    """Return a client with the credential that HPC-2026-1-003 was given."""
    return client.CoreV1Api(config.new_client_from_config(config_file=str(CREDENTIAL)))


def pod(name: str, gpus: int) -> dict[str, Any]:
    """Return a GPU pod that Pod Security's level `restricted` lets in."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    limits = {"nvidia.com/gpu": str(gpus)}
    container = {"name": "train", "image": "example.invalid/train:1", "securityContext": security}
    user = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "metadata": {"name": name},
        "spec": {"securityContext": user, "containers": [container | {"resources": {"limits": limits}}]},
    }


def title(text: str) -> None:
    """Print a heading."""
    say(f"\n=== {text}")


def say(text: str) -> None:
    """Print at once: the commands' own output goes to the same place."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
