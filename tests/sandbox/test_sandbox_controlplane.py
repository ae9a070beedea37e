"""The sandbox's control planes before they are started: their command lines, certificates and kubeconfig."""

import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from gpuprov.sandbox import COMPONENTS, controlplane, files, kubeconfig, pki, process
from gpuprov.sandbox.controlplane import Layout, Ports

PORTS = Ports(api=1, etcd=2, etcd_peer=3, controller_manager=4, scheduler=5)


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


def test_nodes_are_given_up_only_after_their_leases_have_ended(layout: Layout) -> None:
    def seconds(arguments: list[str], option: str) -> int:
        (value,) = [item.removeprefix(f"{option}=") for item in arguments if item.startswith(f"{option}=")]
        return int(value.removesuffix("s"))

    grace = seconds(controlplane.controller_manager(layout), "--node-monitor-grace-period")
    assert grace > seconds(controlplane.kwok(layout), "--node-lease-duration-seconds")


def test_processes_run_on_as_many_cores_as_they_are_given(layout: Layout) -> None:
    binaries = {name: Path("/bin") / name for name in COMPONENTS}
    for component in COMPONENTS:
        given = controlplane.launch(layout, component, binaries, processors=3)
        assert process.environment("id", given)["GOMAXPROCS"] == "3"
        assert "GOMAXPROCS" not in process.environment("id", controlplane.launch(layout, component, binaries))


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
