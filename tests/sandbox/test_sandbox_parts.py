"""The parts of the sandbox that start nothing real: its clusters, ports and state, and the lock."""

import socket
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from gpuprov.errors import SandboxError
from gpuprov.sandbox import (
    A100,
    COMPONENTS,
    DEFAULT_CLUSTERS,
    H100,
    ClusterSpec,
    NodePool,
    Sandbox,
    files,
    nodes,
    ports,
    state,
)

SMALL = ClusterSpec(name="small", pools=(NodePool(product=H100, count=2), NodePool(product=A100, count=1)))


# --- what the suppliers have


def test_default_clusters_are_the_programmes_suppliers() -> None:
    assert {spec.name: (spec.nodes, spec.gpus) for spec in DEFAULT_CLUSTERS} == {
        "samsung-sds": (25, 200),
        "elice-cloud": (60, 480),
        "kt-cloud": (50, 400),
    }


def test_nodes_carry_the_labels_and_resources_of_their_model() -> None:
    made = {node["metadata"]["name"]: node for node in nodes.node_objects(SMALL)}
    assert list(made) == ["small-h100-00", "small-h100-01", "small-a100-00"]
    node = made["small-a100-00"]
    assert node["metadata"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-A100-SXM4-80GB"
    assert node["metadata"]["labels"]["nvidia.com/gpu.count"] == "8"
    assert node["metadata"]["labels"]["nvidia.com/gpu.present"] == "true"
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "small-a100-00"
    assert node["status"]["allocatable"] == node["status"]["capacity"]
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"


@pytest.mark.parametrize("name", ["", "Upper", "../up", "a/b", "-a", "a-", "a b", "a\n", "x" * 43])
def test_a_name_that_is_no_folder_and_no_label_is_refused(name: str) -> None:
    with pytest.raises(SandboxError, match="cannot be a cluster's name"):
        ClusterSpec(name=name, pools=())


@pytest.mark.parametrize("clusters", [(), (SMALL, SMALL)])
def test_a_state_needs_clusters_of_different_names(clusters: tuple[ClusterSpec, ...]) -> None:
    with pytest.raises(SandboxError, match="at least one cluster"):
        state.new_state(clusters)


def test_missing_programs_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok"):
        Sandbox(tmp_path / "s", {"etcd": tmp_path / "absent"}).up()
    assert not (tmp_path / "s").exists()


# --- ports


def test_ports_are_distinct_free_and_not_those_of_outgoing_connections() -> None:
    first, last = ports.port_range()
    chosen = ports.free_ports(20)
    assert len(set(chosen)) == 20
    assert all(first <= port <= last for port in chosen)
    assert last < 32_768


def test_a_port_in_use_is_not_free() -> None:
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, 0))
        server.listen()
        assert not ports.is_free(server.getsockname()[1])


def test_taken_ports_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "port_range", lambda: (30_000, 30_001))
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    assert ports.free_ports(1, frozenset({30_000})) == (30_001,)
    with pytest.raises(SandboxError, match="no 2 free ports"):
        ports.free_ports(2, frozenset({30_000}))


def test_ports_that_stay_taken_are_changed_and_then_given_up(tmp_path: Path) -> None:
    script = tmp_path / "program"
    script.write_text("#!/bin/sh\necho 'listen tcp 127.0.0.1:1: bind: address already in use'\nexit 1\n")
    script.chmod(0o700)
    sandbox = Sandbox(tmp_path / "root", dict.fromkeys(COMPONENTS, script), (SMALL,))
    messages: list[str] = []
    with pytest.raises(SandboxError, match="small: found no free ports in 5 attempts"):
        sandbox.up(messages.append)
    either = {f"small: a port of {name} is in use, choosing others" for name in ("etcd", "kube-apiserver")}
    assert (len(messages), set(messages) <= either) == (5, True), messages  # they start together, and any may end first
    sandbox.down()
    assert not sandbox.root.exists()


# --- state


def test_the_state_survives_writing_and_reading(tmp_path: Path) -> None:
    made = state.new_state(DEFAULT_CLUSTERS)
    state.save(tmp_path, made)
    assert state.load(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600


def test_new_ports_are_for_one_cluster_only() -> None:
    made = state.new_state(DEFAULT_CLUSTERS)
    moved = made.with_new_ports("kt-cloud")
    assert moved.ports["kt-cloud"] != made.ports["kt-cloud"]
    assert moved.ports["samsung-sds"] == made.ports["samsung-sds"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 99}'])
def test_a_state_file_that_is_not_ours_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(SandboxError, match=r"state\.json"):
        state.load(tmp_path)


def test_a_folder_with_other_files_is_neither_used_nor_deleted_nor_narrowed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    tmp_path.chmod(0o755)
    sandbox = Sandbox(tmp_path, dict.fromkeys(COMPONENTS, Path(sys.executable)))
    for act in (sandbox.up, sandbox.down, lambda: sandbox.stop("kt-cloud")):
        with pytest.raises(SandboxError, match=r"thesis\.txt"):
            act()
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_without_a_sandbox_there_is_nothing_to_do(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "none", {})
    sandbox.down()
    assert sandbox.status() == []
    assert not (tmp_path / "none").exists()


def test_the_environment_points_into_the_sandbox(tmp_path: Path) -> None:
    assert Sandbox(tmp_path, {}).environment() == {
        "KUBECONFIG": f"{tmp_path}/kubeconfig",
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/pulumi",
        "PULUMI_CONFIG_PASSPHRASE": "",
    }


# --- the lock


def test_the_lock_is_for_one_at_a_time_and_may_be_deleted_by_its_holder(tmp_path: Path) -> None:
    inside = []

    def work(number: int) -> None:
        with files.exclusive(tmp_path / "root", 30):
            inside.append(number)
            assert len(inside) == 1
            time.sleep(0.01)
            (tmp_path / "root" / "lock").unlink()
            inside.remove(number)

    failures = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 (handed to the main thread)
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_held_lock_is_an_error_in_the_end(tmp_path: Path) -> None:
    with (
        files.exclusive(tmp_path, 1),
        pytest.raises(SandboxError, match="another command"),
        files.exclusive(tmp_path, 0),
    ):
        pass


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(files.private_folder(tmp_path / "real"))
    with pytest.raises(SandboxError, match="not a folder of your own"):
        files.private_folder(tmp_path / "link")


def test_nodes_offer_other_devices_under_their_own_names() -> None:
    npus = NodePool(product="ATOM", count=2, gpus_per_node=4, resource="rebellions.ai/ATOM", label="rebellions.ai/npu")
    made = list(nodes.node_objects(ClusterSpec(name="domestic", pools=(npus,))))
    assert [node["metadata"]["name"] for node in made] == ["domestic-atom-00", "domestic-atom-01"]
    for node in made:
        assert node["metadata"]["labels"]["rebellions.ai/npu"] == "ATOM"
        assert not [label for label in node["metadata"]["labels"] if label.startswith("nvidia.com/")]
        allocatable = node["status"]["allocatable"]
        assert {name: number for name, number in allocatable.items() if "/" in name} == {"rebellions.ai/ATOM": "4"}
