"""What the tests of the sandbox share: where its programs are, small clusters, and a client for them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from gpuprov.sandbox import A100, COMPONENTS, H100, ClusterSpec, NodePool, Sandbox, process
from gpuprov.sandbox.api import Api, Reply
from gpuprov.sandbox.state import State, load

ALPHA = ClusterSpec(name="alpha", pools=(NodePool(product=H100, count=2), NodePool(product=A100, count=1)))
BETA = ClusterSpec(name="beta", pools=(NodePool(product=H100, count=1),))
WAIT_SECONDS = 120.0


def programs() -> Mapping[str, Path]:
    """Find the programs in the folder named by GPUPROV_TEST_BINARIES, else through the toolchain."""
    if folder := os.environ.get("GPUPROV_TEST_BINARIES"):
        return {name: Path(folder) / name for name in COMPONENTS}
    from gpuprov import toolchain

    installed = toolchain.ensure(COMPONENTS)
    return {name: installed.binary(name) for name in COMPONENTS}


_DOWN = "it is down"
_ENDER = f"""
import sys
told = sys.stdin.read().splitlines()
if {_DOWN!r} not in told:
    from pathlib import Path
    from gpuprov.sandbox import Sandbox, process
    Sandbox(Path(sys.argv[1]), {{}}).down()
    for sandbox_id in told:
        process.end_all(sandbox_id)
"""


@contextmanager
def while_up(sandbox: Sandbox) -> Iterator[Sandbox]:
    """Start a sandbox for as long as the block lasts, or until this process is killed.

    The clusters' processes outlive it, so another process waits for a word from here, and ends them if the pipe closes
    without one. It is told the sandbox's id, and we end by that too what runs: another run of pytest may have deleted
    the folder by then, because pytest keeps those of the last three runs.
    """
    command = [sys.executable, "-c", _ENDER, str(sandbox.root)]
    ender = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
    sandbox_id = ""
    try:
        sandbox.up()
        sandbox_id = state_of(sandbox).sandbox_id
        assert ender.stdin
        ender.stdin.write(f"{sandbox_id}\n")
        ender.stdin.flush()
        yield sandbox
    finally:
        sandbox.down()
        if sandbox_id:
            process.end_all(sandbox_id)
        ender.communicate(_DOWN)


def state_of(sandbox: Sandbox) -> State:
    """Read the state of a sandbox that must be there."""
    state = load(sandbox.root)
    assert state is not None
    return state


def api_of(sandbox: Sandbox, cluster: str) -> Api:
    """Make a client with the administrator's certificate."""
    return Api(state_of(sandbox).layout(sandbox.root, cluster))


def admin_kubeconfig(sandbox: Sandbox) -> Path:
    """Write a kubeconfig in which the contexts that are named like the clusters are the administrator's."""
    document = yaml.safe_load(sandbox.kubeconfig.read_text(encoding="utf-8"))
    admins = [context for context in document["contexts"] if context["name"].endswith("-admin")]
    document["contexts"] = [context | {"name": context["name"].removesuffix("-admin")} for context in admins]
    document["current-context"] = document["contexts"][0]["name"]
    path = sandbox.root.with_name(f"{sandbox.root.name}-admin.kubeconfig")
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def created(api: Api, path: str, body: dict[str, Any]) -> Reply:
    """Create an object and assert that it was taken."""
    reply = api.request("POST", path, body)
    assert reply.ok, reply
    return reply


def eventually(what: Callable[[], object]) -> None:
    """Wait until ``what`` is true; the deadline is for a hang, not a measure."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
