"""A sandbox whose commands are killed, or run at the same time."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sandbox_fixtures import BETA, WAIT_SECONDS, eventually, programs, state_of

from gpuprov.errors import SandboxError
from gpuprov.sandbox import COMPONENTS, Sandbox, process
from gpuprov.sandbox.state import load

pytestmark = [pytest.mark.sandbox, pytest.mark.kills]

UP = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from gpuprov.sandbox import Sandbox
from sandbox_fixtures import BETA, programs
getattr(Sandbox(Path(sys.argv[1]), programs(), (BETA,)), sys.argv[2])()
"""


def command(root: Path, method: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", UP, str(root), method, str(Path(__file__).parent)])


def carrying(sandbox_id: str) -> list[int]:
    """Find processes by their raw environment, independently of the code under test."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if sandbox_id.encode() in environment:
                found.append(int(entry.name))
    return found


def started(root: Path) -> set[str]:
    state = load(root)
    return set() if state is None else {part.component for part in process.find(state.sandbox_id)}


def kill_when(child: subprocess.Popen[bytes], reached: object, root: Path) -> None:
    """SIGKILL the command as soon as ``reached`` holds: a component runs, or a file is there."""
    deadline = time.monotonic() + WAIT_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if (root / reached).exists() if isinstance(reached, Path) else reached in started(root):
            break
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


MOMENTS = [Path("lock"), Path("state.json"), Path("clusters/beta/pki.new"), Path("kubeconfig"), *COMPONENTS]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_down_cleans_up_after_an_up_that_was_killed(tmp_path: Path, moment: Path | str) -> None:
    root = tmp_path / "root"
    kill_when(command(root, "up"), moment, root)
    state = load(root)
    Sandbox(root, {}).down()
    assert not root.exists()
    assert state is None or carrying(state.sandbox_id) == []


@pytest.mark.parametrize("moment", ["etcd", "kube-apiserver", "kwok"])
def test_up_goes_on_where_a_killed_up_ended(tmp_path: Path, moment: str) -> None:
    sandbox = Sandbox(tmp_path / "root", programs(), (BETA,))
    try:
        kill_when(command(sandbox.root, "up"), moment, sandbox.root)
        survivors = set(carrying(state_of(sandbox).sandbox_id))
        sandbox.up()
        assert survivors <= set(sandbox.status()[0].pids.values())
        assert sorted(carrying(state_of(sandbox).sandbox_id)) == sorted(sandbox.status()[0].pids.values())
    finally:
        sandbox.down()


def test_a_killed_down_is_finished_by_the_next_command(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "root", programs(), (BETA,))
    sandbox.up()
    old = state_of(sandbox)
    child = command(sandbox.root, "down")
    eventually(lambda: child.poll() is not None or (current := load(sandbox.root)) is None or current.deleting)
    child.kill()
    child.wait()
    try:
        sandbox.up()
        assert carrying(old.sandbox_id) == []
        assert state_of(sandbox).sandbox_id != old.sandbox_id
        assert sandbox.status()[0].ready
    finally:
        sandbox.down()
    assert not sandbox.root.exists()


def test_an_interrupted_up_ends_and_down_cleans_up(tmp_path: Path) -> None:
    root = tmp_path / "root"
    child = command(root, "up")
    eventually(lambda: "etcd" in started(root) or child.poll() is not None)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=WAIT_SECONDS) != 0
    state = load(root)
    Sandbox(root, {}).down()
    assert not root.exists()
    assert state is not None
    assert carrying(state.sandbox_id) == []


def test_two_ups_at_once_make_one_sandbox(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "root", programs(), (BETA,))
    try:
        children = [command(sandbox.root, "up") for _ in range(2)]
        assert [child.wait(timeout=WAIT_SECONDS) for child in children] == [0, 0]
        (status,) = sandbox.status()
        assert status.ready
        assert len(carrying(state_of(sandbox).sandbox_id)) == len(COMPONENTS)
    finally:
        sandbox.down()


def test_two_sandboxes_live_side_by_side(tmp_path: Path) -> None:
    first, second = (Sandbox(tmp_path / name, programs(), (BETA,)) for name in ("first", "second"))
    try:
        children = [command(sandbox.root, "up") for sandbox in (first, second)]
        assert [child.wait(timeout=WAIT_SECONDS) for child in children] == [0, 0]
        first.down()
        assert second.status()[0].ready
    finally:
        first.down()
        second.down()


def test_down_leaves_strangers_alone(tmp_path: Path) -> None:
    """A process with another sandbox's id, and one that runs the very same program, are none of ours."""
    sandbox = Sandbox(tmp_path / "root", programs(), (BETA,))
    program = [sys.executable, "-c", "import time; time.sleep(600)"]
    environment = {process.ID_VARIABLE: "0" * 32, process.PART_VARIABLE: "beta/etcd"}
    stranger = subprocess.Popen(program, env=environment)
    etcd_folder = tmp_path / "strange-etcd"
    urls = ["--listen-client-urls=http://127.0.0.1:0", "--listen-peer-urls=http://127.0.0.1:0"]
    urls.append("--advertise-client-urls=http://127.0.0.1:0")
    etcd = subprocess.Popen([programs()["etcd"], f"--data-dir={etcd_folder}", *urls], stderr=subprocess.DEVNULL)
    try:
        sandbox.up()
        sandbox.down()
        assert stranger.poll() is None
        assert etcd.poll() is None
    finally:
        for child in (stranger, etcd):
            child.kill()
            child.wait()
        sandbox.down()


def test_processes_outlive_the_command_that_started_them(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "root", programs(), (BETA,))
    try:
        assert command(sandbox.root, "up").wait() == 0
        (status,) = sandbox.status()
        assert status.ready
        assert all(os.getsid(pid) == pid for pid in status.pids.values())
        assert all(psutil.Process(pid).environ().get("HOME") != os.environ["HOME"] for pid in status.pids.values())
    finally:
        sandbox.down()


def test_starting_a_cluster_of_no_sandbox_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="`gpuprov sandbox up` makes one"):
        Sandbox(tmp_path / "root", programs(), (BETA,)).start("beta")


TESTS = """
import sys
import time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from gpuprov.sandbox import Sandbox
from sandbox_fixtures import BETA, programs, while_up
with while_up(Sandbox(Path(sys.argv[1]), programs(), (BETA,))):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("kept", [True, False], ids=["folder kept", "folder deleted"])
def test_clusters_of_tests_end_with_them_also_if_they_are_killed(tmp_path: Path, *, kept: bool) -> None:
    root = tmp_path / "root"
    command = [sys.executable, "-c", TESTS, str(root), str(Path(__file__).parent)]
    tests = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert tests.stdout is not None
    assert tests.stdout.readline() == "up\n"
    state = load(root)
    assert state is not None
    if not kept:
        shutil.rmtree(root)  # as another run of pytest does with the folders of earlier ones
    tests.kill()
    tests.communicate()
    eventually(lambda: not root.exists() and carrying(state.sandbox_id) == [])
