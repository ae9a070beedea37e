"""The parts of the sandbox that start nothing real."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from gpuprov.errors import SandboxError
from gpuprov.sandbox import (
    A100,
    COMPONENTS,
    DEFAULT_CLUSTERS,
    H100,
    ClusterSpec,
    NodePool,
    Sandbox,
    controlplane,
    files,
    kubeconfig,
    nodes,
    pki,
    ports,
    process,
    state,
)
from gpuprov.sandbox.controlplane import Layout, Ports
from gpuprov.sandbox.process import Launch

PORTS = Ports(api=1, etcd=2, etcd_peer=3, controller_manager=4, scheduler=5)
SMALL = ClusterSpec(name="small", pools=(NodePool(product=H100, count=2), NodePool(product=A100, count=1)))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(name="small", folder=tmp_path / "small", ports=PORTS)


@pytest.fixture
def made(layout: Layout) -> Layout:
    files.private_folder(layout.folder)
    pki.make_pki(layout.pki, layout.name)
    return layout


def certificate(layout: Layout, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((layout.pki / f"{name}.crt").read_bytes())


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


# --- command lines


def test_every_server_listens_on_loopback_alone_and_no_secret_is_in_argv(layout: Layout) -> None:
    binaries = {name: Path("/bin") / name for name in COMPONENTS}
    for component in COMPONENTS:
        argv = controlplane.launch(layout, component, binaries).argv
        assert argv[0] == f"/bin/{component}"
        assert not [argument for argument in argv if "insecure" in argument or "=0.0.0.0" in argument]
        if component not in ("etcd", "kwok"):
            assert "--bind-address=127.0.0.1" in argv
            assert "--profiling=false" in argv


def test_the_api_server_knows_its_clients_and_their_rights(layout: Layout) -> None:
    argv = controlplane.api_server(layout)
    assert "--anonymous-auth=false" in argv
    assert "--authorization-mode=Node,RBAC" in argv
    assert "--secure-port=1" in argv
    assert any("PodNodeSelector" in item for item in argv if item.startswith("--enable-admission-plugins="))


def test_etcd_wants_a_certificate_of_its_own_authority_on_both_ports(layout: Layout) -> None:
    argv = controlplane.etcd(layout)
    authority = layout.pki / "etcd-ca.crt"
    assert {"--client-cert-auth", "--peer-client-cert-auth"} <= set(argv)
    assert {f"--trusted-ca-file={authority}", f"--peer-trusted-ca-file={authority}"} <= set(argv)
    assert {url for item in argv for url in item.split("=") if "://" in url} == {
        "https://127.0.0.1:2",
        "https://127.0.0.1:3",
    }


# --- certificates


def test_private_files_are_private(made: Layout) -> None:
    for path in [made.pki, *made.pki.iterdir()]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path
    assert not (made.pki / "ca.key").exists()


def test_existing_keys_stay(made: Layout) -> None:
    before = {path.name: path.read_bytes() for path in made.pki.iterdir()}
    pki.make_pki(made.pki, made.name)
    assert {path.name: path.read_bytes() for path in made.pki.iterdir()} == before


def test_leftovers_of_a_killed_key_maker_do_not_count(layout: Layout) -> None:
    half = files.private_folder(layout.folder / "pki.new")
    (half / "ca.crt").write_text("half")
    pki.make_pki(layout.pki, layout.name)
    assert (layout.pki / "ca.crt").read_text() != "half"
    assert not half.exists()


def test_server_certificates_verify_for_loopback_and_their_own_authority_only(made: Layout) -> None:
    def verify(authority: str) -> object:
        store = Store([x509.load_pem_x509_certificate((made.pki / authority).read_bytes())])
        verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName("localhost"))
        return verifier.verify(certificate(made, "kube-apiserver-server"), [])

    assert verify("ca.crt")
    with pytest.raises(VerificationError):
        verify("etcd-ca.crt")


def test_components_have_the_least_standard_identities(made: Layout) -> None:
    def subject(name: str, oid: x509.ObjectIdentifier) -> list[str | bytes]:
        return [entry.value for entry in certificate(made, name).subject.get_attributes_for_oid(oid)]

    groups = {name: subject(name, NameOID.ORGANIZATION_NAME) for name in pki.IDENTITIES}
    assert groups.pop("admin") == ["system:masters"]
    assert groups.pop("gpuprov") == ["gpuprov-operators"]
    assert set(map(tuple, groups.values())) == {()}
    assert subject("kube-scheduler", NameOID.COMMON_NAME) == ["system:kube-scheduler"]


def test_a_private_key_is_pem_that_can_be_read_back() -> None:
    assert pki.private_pem(ec.generate_private_key(ec.SECP256R1())).startswith(b"-----BEGIN EC PRIVATE KEY-----")


def test_the_kubeconfig_verifies_the_server_and_names_contexts_like_clusters(made: Layout) -> None:
    document = yaml.safe_load(kubeconfig.render([made], {"gpuprov": "", "admin": "-admin"}))
    users = {context["name"]: context["context"]["user"] for context in document["contexts"]}
    assert users == {"small": "small-gpuprov", "small-admin": "small-admin"}
    assert document["current-context"] == "small"
    cluster = document["clusters"][0]["cluster"]
    assert set(cluster) == {"server", "certificate-authority-data"}
    assert set(document["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


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


# --- processes


def sleeper(folder: Path, component: str = "sleep", seconds: int = 60) -> Launch:
    argv = (sys.executable, "-c", f"import time; print('hello', flush=True); time.sleep({seconds})")
    return Launch(cluster="c", component=component, argv=argv, folder=files.private_folder(folder))


@pytest.fixture
def sandbox_id() -> Iterator[str]:
    marker = os.urandom(16).hex()
    yield marker
    process.end_all(marker)


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert what()


def test_a_process_is_found_by_its_marker_alone(tmp_path: Path, sandbox_id: str) -> None:
    started = process.spawn(sandbox_id, sleeper(tmp_path))
    (part,) = process.find(sandbox_id)
    assert (part.cluster, part.component, part.process) == ("c", "sleep", started)
    assert process.find("0" * 32) == []


def test_a_process_outlives_the_session_and_inherits_nothing(
    tmp_path: Path, sandbox_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    started = process.spawn(sandbox_id, sleeper(tmp_path))
    assert os.getsid(started.pid) == started.pid
    assert "HTTPS_PROXY" not in started.environ()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    program = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = subprocess.Popen(program, env={process.ID_VARIABLE: "f" * 32, process.PART_VARIABLE: "c/sleep"})
    yield child
    child.kill()
    child.wait()


def test_a_process_of_another_sandbox_is_left_alone(sandbox_id: str, stranger: subprocess.Popen[bytes]) -> None:
    process.end_all(sandbox_id)
    assert stranger.poll() is None


def test_a_pid_in_other_hands_is_left_alone(
    tmp_path: Path, sandbox_id: str, stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = process.spawn(sandbox_id, sleeper(tmp_path))
    monkeypatch.setattr(ours, "_pid", stranger.pid)  # what a recycled pid looks like: same number, other start time
    process.end([ours], grace=0)
    assert stranger.poll() is None


def test_end_kills_what_ignores_the_request(tmp_path: Path, sandbox_id: str) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    launch = Launch(cluster="c", component="deaf", argv=(sys.executable, "-c", code), folder=tmp_path)
    started = process.spawn(sandbox_id, launch)
    wait_for(lambda: "deaf" in process.tail(launch.log))
    process.end([started], grace=0.1)
    assert not process.alive(started)


def test_end_all_can_spare_other_clusters(tmp_path: Path, sandbox_id: str) -> None:
    started = process.spawn(sandbox_id, sleeper(tmp_path))
    process.end_all(sandbox_id, clusters=["other"])
    assert process.alive(started)


def test_a_zombie_is_not_alive(tmp_path: Path, sandbox_id: str) -> None:
    started = process.spawn(sandbox_id, sleeper(tmp_path))
    started.send_signal(signal.SIGKILL)
    wait_for(lambda: not process.alive(started))
    assert process.find(sandbox_id) == []


def test_the_tail_of_a_log_is_short_and_starts_where_asked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n" + "\n".join(f"line {number}" for number in range(20)))
    assert process.tail(log, lines=2) == "line 18\nline 19"
    assert "old" not in process.tail(log, lines=100, start=4)
    assert process.tail(tmp_path / "absent") == ""


def test_ports_that_stay_taken_are_changed_and_then_given_up(tmp_path: Path) -> None:
    script = tmp_path / "program"
    script.write_text("#!/bin/sh\necho 'listen tcp 127.0.0.1:1: bind: address already in use'\nexit 1\n")
    script.chmod(0o700)
    sandbox = Sandbox(tmp_path / "root", dict.fromkeys(COMPONENTS, script), (SMALL,))
    said: list[str] = []
    with pytest.raises(SandboxError, match="small: found no free ports in 5 attempts"):
        sandbox.up(said.append)
    assert said == ["small: a port of etcd is in use, choosing others"] * 5
    sandbox.down()
    assert not sandbox.root.exists()
