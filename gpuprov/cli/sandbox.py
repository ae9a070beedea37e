"""``gpuprov sandbox``: real clusters on this machine, for tests and rehearsals."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import platformdirs

from gpuprov import toolchain
from gpuprov.cli.errors import reports_errors
from gpuprov.cli.screen import table
from gpuprov.errors import SandboxError, ToolchainError
from gpuprov.sandbox import COMPONENTS, ClusterStatus, Sandbox


def _default_folder() -> Path:
    return platformdirs.user_state_path("gpuprov") / "sandbox"


def _say(line: str) -> None:
    click.echo(line, err=True)


def _say_event(event: toolchain.Event) -> None:
    if event.kind != "beat":
        _say(event.text)


def _with_programs(sandbox: Sandbox) -> Sandbox:
    installed = toolchain.ensure(COMPONENTS, _say_event)
    binaries = {name: installed.binary(name) for name in COMPONENTS}
    return Sandbox(sandbox.root, binaries, sandbox.clusters)


@click.group()
@click.option(
    "--dir",
    "folder",
    envvar="GPUPROV_SANDBOX_DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=_default_folder,
    show_default="gpuprov/sandbox in the user's state folder",
    help="Folder of the sandbox; each folder holds its own sandbox.",
)
@click.pass_context
def command(context: click.Context, folder: Path) -> None:
    """Run real Kubernetes clusters with simulated GPU nodes on this machine.

    The clusters are those of the programme's three suppliers: samsung-sds, elice-cloud and kt-cloud. Everything but
    the nodes is real: pods are scheduled and counted, but no container runs.
    """
    context.obj = Sandbox(folder, {})


@command.command()
@click.pass_obj
@reports_errors
def up(sandbox: Sandbox) -> None:
    """Start the clusters, or those of their components that are not running."""
    _with_programs(sandbox).up(_say)
    _say(f"kubeconfig: {sandbox.kubeconfig}")


@command.command()
@click.pass_obj
@reports_errors
def down(sandbox: Sandbox) -> None:
    """Stop the clusters and delete all their data, including the Pulumi state in the sandbox."""
    sandbox.down()


@command.command()
@click.argument("cluster")
@click.pass_obj
@reports_errors
def stop(sandbox: Sandbox, cluster: str) -> None:
    """Stop one CLUSTER, as an outage would; its data stays."""
    sandbox.stop(cluster)


@command.command()
@click.argument("cluster")
@click.pass_obj
@reports_errors
def start(sandbox: Sandbox, cluster: str) -> None:
    """Start one stopped CLUSTER again, with its data and at its old address."""
    _with_programs(sandbox).start(cluster, _say)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON; stdout is data only.")
@click.pass_obj
@reports_errors
def status(sandbox: Sandbox, *, as_json: bool) -> None:
    """Show the state of the clusters. Exit code 0 if all are ready, 1 otherwise."""
    clusters = sandbox.status()
    ready = bool(clusters) and all(cluster.ready for cluster in clusters)
    if as_json:
        document = {"ready": ready, "clusters": [dataclasses.asdict(cluster) for cluster in clusters]}
        click.echo(json.dumps(document, indent=2))
    elif clusters:
        _print_table(clusters)
    else:
        _say(f"no sandbox in {sandbox.root}; `gpuprov sandbox up` makes one")
    sys.exit(0 if ready else 1)


@command.command()
@click.pass_obj
@reports_errors
def kubeconfig(sandbox: Sandbox) -> None:
    """Print the path of the kubeconfig."""
    click.echo(_present(sandbox).kubeconfig)


@command.command()
@click.pass_obj
@reports_errors
def env(sandbox: Sandbox) -> None:
    """Print shell commands that point kubectl and Pulumi here: eval "$(gpuprov sandbox env)"."""
    variables = _present(sandbox).environment()
    # The virtual environment comes first: the Python language host runs the first interpreter on PATH.
    variables["PATH"] = _path([str(Path(sys.prefix) / "bin"), *_tool_folders()], os.environ)
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _present(sandbox: Sandbox) -> Sandbox:
    if not sandbox.exists:
        raise SandboxError(f"no sandbox in {sandbox.root}; `gpuprov sandbox up` makes one")
    return sandbox


def _tool_folders() -> list[str]:
    """Return the folders of pulumi, its plugin and its language host; installs nothing."""
    try:
        return toolchain.require().path_for_hand().split(os.pathsep)
    except ToolchainError as error:
        _say(f"{error}, then run `gpuprov sandbox env` again")
        return []


def _path(first: list[str], environment: Mapping[str, str]) -> str:
    """Put folders at the front of PATH, each only once, so that a repeated eval adds nothing."""
    entries = [*first, *environment.get("PATH", os.defpath).split(os.pathsep)]
    return os.pathsep.join(dict.fromkeys(entries))


def _print_table(clusters: list[ClusterStatus]) -> None:
    rows = [
        (
            cluster.name,
            "yes" if cluster.ready else "no",
            cluster.url,
            f"{cluster.nodes_ready}/{cluster.nodes_total}",
            cluster.gpus,
            "-" if cluster.uptime_seconds is None else f"{cluster.uptime_seconds:.0f} s",
            " ".join(str(pid) for pid in cluster.pids.values()) or "-",
        )
        for cluster in clusters
    ]
    table(["cluster", "ready", "API URL", "nodes", "GPUs", "uptime", "pids"], rows)
    for cluster in clusters:
        if cluster.problem:
            _say(f"{cluster.name}: {cluster.problem}")
