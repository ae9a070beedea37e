"""Command lines of a cluster's components: pure functions of the cluster's folder and ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from gpuprov.sandbox.ports import LOOPBACK
from gpuprov.sandbox.process import Launch

LEASE_SECONDS = 400
"""How long a node counts as alive after kwok renewed its lease, which it does four times in that time."""
SERVICE_RANGE = "10.0.0.0/16"
ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports of one cluster on the loopback interface."""

    api: int
    etcd: int
    etcd_peer: int
    controller_manager: int
    scheduler: int

    @classmethod
    def count(cls) -> int:
        """Return the number of ports that a cluster needs."""
        return len(fields(cls))

    def of(self, component: str) -> tuple[int, ...]:
        """Return the ports on which ``component`` listens; kwok has none."""
        return {
            "etcd": (self.etcd, self.etcd_peer),
            "kube-apiserver": (self.api,),
            "kube-controller-manager": (self.controller_manager,),
            "kube-scheduler": (self.scheduler,),
        }.get(component, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where one cluster's files are, and its ports."""

    name: str
    folder: Path
    ports: Ports

    @property
    def pki(self) -> Path:
        """The folder of keys and certificates."""
        return self.folder / "pki"

    @property
    def url(self) -> str:
        """The address of the API server."""
        return f"https://{LOOPBACK}:{self.ports.api}"

    def kubeconfig(self, identity: str) -> Path:
        """Return the path of one component's kubeconfig."""
        return self.folder / f"{identity}.kubeconfig"

    def key_pair(self, name: str) -> tuple[str, str]:
        """Return the paths of a certificate and of its key."""
        return str(self.pki / f"{name}.crt"), str(self.pki / f"{name}.key")


def launch(layout: Layout, component: str, binaries: Mapping[str, Path], *, processors: int = 0) -> Launch:
    """Return the command that starts ``component``. It runs on at most ``processors`` cores at once; 0 is no limit."""
    arguments = {
        "etcd": etcd,
        "kube-apiserver": api_server,
        "kube-controller-manager": controller_manager,
        "kube-scheduler": scheduler,
        "kwok": kwok,
    }[component](layout)
    return Launch(
        cluster=layout.name,
        component=component,
        argv=(str(binaries[component]), *arguments),
        folder=layout.folder,
        # Go's scheduler keeps threads awake for cores that have nothing to do: a quarter of an idle cluster's CPU time.
        extra_environment=(("GOMAXPROCS", str(processors)),) if processors else (),
    )


def etcd(layout: Layout) -> list[str]:
    """Return the arguments of etcd: one member, mutual TLS on both ports, and no fsync (a sandbox may lose data)."""
    client = f"https://{LOOPBACK}:{layout.ports.etcd}"
    peer = f"https://{LOOPBACK}:{layout.ports.etcd_peer}"
    certificate, key = layout.key_pair("etcd-server")
    ca = str(layout.pki / "etcd-ca.crt")
    return [
        f"--name={layout.name}",
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={layout.name}={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={ca}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={ca}",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(layout: Layout) -> list[str]:
    """Return the arguments of the API server: loopback, no anonymous clients, RBAC, node selectors by namespace."""
    certificate, key = layout.key_pair("kube-apiserver-server")
    etcd_certificate, etcd_key = layout.key_pair("etcd-client")
    return [
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={layout.ports.api}",
        # Endpoints of the service "kubernetes" must not be loopback addresses; no pod here ever uses them.
        "--endpoint-reconciler-type=none",
        f"--etcd-servers=https://{LOOPBACK}:{layout.ports.etcd}",
        f"--etcd-cafile={layout.pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={etcd_certificate}",
        f"--etcd-keyfile={etcd_key}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={layout.pki / 'ca.crt'}",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction,PodNodeSelector",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-signing-key-file={layout.pki / 'service-accounts.key'}",
        f"--service-account-key-file={layout.pki / 'service-accounts.pub'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        # As in clusters with a network plugin: Pod Security, and not this flag, has to stop tenants.
        "--allow-privileged=true",
        "--profiling=false",
    ]


def controller_manager(layout: Layout) -> list[str]:
    """Return the arguments of the controller manager; with its defaults it would slow down large teardowns.

    Nodes do not die here, so their leases are long: renewed every 10 s, as kubelets do, they would take a fifth of an
    idle cluster's CPU time.
    """
    return [
        *_control_loop(layout, "kube-controller-manager", layout.ports.controller_manager),
        f"--root-ca-file={layout.pki / 'ca.crt'}",
        f"--service-account-private-key-file={layout.pki / 'service-accounts.key'}",
        "--use-service-account-credentials",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--concurrent-namespace-syncs=50",
        "--concurrent-resource-quota-syncs=20",
        "--concurrent-serviceaccount-token-syncs=20",
        f"--node-monitor-grace-period={LEASE_SECONDS + 100}s",
    ]


def scheduler(layout: Layout) -> list[str]:
    """Return the arguments of the scheduler."""
    return [
        *_control_loop(layout, "kube-scheduler", layout.ports.scheduler),
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
    ]


def kwok(layout: Layout) -> list[str]:
    """Return the arguments of kwok, which simulates the kubelets of all nodes. It listens on no port."""
    return [
        f"--kubeconfig={layout.kubeconfig('kwok')}",
        "--manage-all-nodes=true",
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
        "-v=WARN",
    ]


def _control_loop(layout: Layout, component: str, port: int) -> list[str]:
    certificate, key = layout.key_pair(f"{component}-server")
    kubeconfig = layout.kubeconfig(component)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        # The client authority is set below; the cluster has no front proxy, and so publishes no authority for one.
        "--authentication-skip-lookup",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={layout.pki / 'ca.crt'}",
        # There is one of each: an election would only wait for the lease of the dead predecessor.
        "--leader-elect=false",
        "--profiling=false",
    ]
