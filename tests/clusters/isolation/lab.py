"""One cluster of the experiment: its nodes, what they offer, the chart, and the awards on it.

The nodes offer more than the awards' `nvidia.com/gpu`: shared GPUs, MIG slices, names that no quota lists, devices
for dynamic resource allocation, and a server that a taint sets apart. What an attempt wants is there to be had.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from helm import run_helm
from sandbox_fixtures import state_of
from strategies import SEOUL

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.tenant import Tenant
from gpuprov.sandbox import A100, H100, ClusterSpec, NodePool, Sandbox, controlplane
from gpuprov.sandbox.controlplane import Layout
from isolation.client import APPLY, STRATEGIC, Client, Json
from isolation.wait import until

CHART = Path(__file__).parents[3] / "charts" / "gpu-cluster"
RELEASE = "gpuprov"
RELEASE_NAMESPACE = "gpuprov-system"
LABEL = "nvidia.com/gpu.product"
POOLS = (NodePool(product=H100, count=3), NodePool(product=A100, count=1))

AWARDED = 4
"""GPUs of each award."""
RESERVED = "gpuprov.test/reserved"
"""The taint of the last H100 server, which is not for awards."""
UNLISTED_MIG = "nvidia.com/mig-9g.999gb"
UNLISTED_WHOLE = "nvidia.com/h100"
OFFERED = {
    "nvidia.com/gpu.shared": "32",
    "nvidia.com/mig-1g.10gb": "7",
    UNLISTED_MIG: "16",
    UNLISTED_WHOLE: "16",
    "amd.com/gpu": "16",
}
"""What every node offers beside `nvidia.com/gpu`."""
DRIVER = "gpu.nvidia.com"
LISTED_CLASS = "gpu.nvidia.com"
UNLISTED_CLASS = "whole.example.com"

RBAC_API = "/apis/rbac.authorization.k8s.io/v1"
DRA_API = "/apis/resource.k8s.io/v1"
ACCOUNT = "awardee"
"""The service account with which the awardee's programs come."""
_TOKEN_SECONDS = 7200
_PLURALS = {
    "Namespace": "/api/v1/namespaces",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "RoleBinding": RBAC_API + "/namespaces/{}/rolebindings",
}


@dataclass(frozen=True, slots=True)
class Lab:
    """A cluster that is ready for attempts. ``admin`` observes and cleans up; ``operator`` is gpuprov's identity."""

    layout: Layout
    admin: Client
    operator: Client
    provider: ProviderCluster

    def node(self, model: str, number: int) -> str:
        return f"{self.layout.name}-{model}-{number:02d}"

    @property
    def reserved(self) -> str:
        """The server that no award may come to."""
        return self.node("h100", 2)

    def tenant(self, award_id: str, model: str = "H100", gpus: int = AWARDED) -> Tenant:
        """Describe an award of the first half of 2026."""
        pool = self.provider.pool(model)
        assert pool is not None
        return Tenant(
            award_id=award_id,
            organization="한빛대학교",
            provider=self.provider.provider,
            pool=pool,
            gpus=gpus,
            term_start=datetime(2026, 1, 1, tzinfo=SEOUL),
            term_end=datetime(2026, 7, 1, tzinfo=SEOUL),
        )

    def apply(self, manifest: Json) -> None:
        """Write one object as gpuprov does: server-side apply, in its own name."""
        metadata = manifest["metadata"]
        path = _PLURALS[manifest["kind"]].format(metadata.get("namespace", ""))
        query = "?fieldManager=gpuprov&force=true"
        self.operator.must(self.operator.patch(f"{path}/{metadata['name']}{query}", manifest, APPLY))

    def write(self, tenant: Tenant) -> None:
        """Write all objects of a tenant, in order, as gpuprov does. What is right already stays as it is."""
        *before, binding = tenant_manifests(tenant, self.provider)
        for manifest in before:
            self.apply(dict(manifest))
        account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": tenant.namespace}
        subjects = [subject for subject in binding["subjects"] if subject["kind"] != "ServiceAccount"]
        self.apply({**binding, "subjects": [*subjects, account]})

    def grant(self, tenant: Tenant) -> None:
        """Make a tenant and the service account that stands for the awardee, and wait until pods can be made."""
        self.write(tenant)
        accounts = f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts"
        self.operator.must(self.operator.post(accounts, {"metadata": {"name": ACCOUNT}}))
        until(lambda: self.admin.read(f"{accounts}/default"))
        quota = f"/api/v1/namespaces/{tenant.namespace}/resourcequotas/gpu"
        until(lambda: self.admin.read(quota).get("status", {}).get("used"))

    def token(self, namespace: str) -> str:
        """Return a fresh token of the awardee's service account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{ACCOUNT}/token"
        spec = {"expirationSeconds": _TOKEN_SECONDS}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return str(self.operator.must(self.operator.post(path, body))["status"]["token"])

    def bind_mistake(self, namespace: str) -> None:
        """Give the awardee Kubernetes' own role `admin` in its namespace, as a supplier may do by mistake."""
        subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
        body = {"metadata": {"name": "mistake"}, "roleRef": role, "subjects": [subject]}
        self.admin.must(self.admin.post(f"{RBAC_API}/namespaces/{namespace}/rolebindings", body))


def make(sandbox: Sandbox, name: str, *, policies: bool) -> Lab:
    """Make a cluster of the sandbox ready: what nodes offer, and the chart, with its admission policies or without."""
    layout = state_of(sandbox).layout(sandbox.root, name)
    admin = Client(layout, certificate="admin")
    pools = tuple(
        GpuPool(model=model, capacity=capacity, resource="nvidia.com/gpu", node_label={LABEL: product})
        for model, product, capacity in (("H100", H100, 16), ("A100", A100, 8))
    )
    provider = ProviderCluster(provider=name, context=name, pools=pools)
    lab = Lab(layout=layout, admin=admin, operator=_operator(layout), provider=provider)
    _offer(lab)
    install(sandbox, name, *(() if policies else ("--set", "admission.enabled=false")))
    return lab


def as_suppliers_run_it(layout: Layout, *, plugin: bool = True) -> list[str]:
    """Return the API server's arguments.

    Without ``plugin`` the server does not force node selectors on namespaces, as managed clusters do not.
    """
    arguments = _SANDBOX_API_SERVER(layout)
    return arguments if plugin else [argument.removesuffix(",PodNodeSelector") for argument in arguments]


_SANDBOX_API_SERVER = controlplane.api_server


def specification(name: str) -> ClusterSpec:
    return ClusterSpec(name=name, pools=POOLS)


def install(sandbox: Sandbox, name: str, *settings: str) -> None:
    """Install the chart as a cluster's administrator does, or upgrade it to other settings."""
    command = ["upgrade", "--install", RELEASE, str(CHART), "--namespace", RELEASE_NAMESPACE, "--create-namespace"]
    done = run_helm(sandbox.kubeconfig, *command, "--reset-values", *settings, context=f"{name}-admin")
    assert done.returncode == 0, done.stderr


def _operator(layout: Layout) -> Client:
    """Return gpuprov's own identity."""
    return Client(layout, certificate="gpuprov")


def _offer(lab: Lab) -> None:
    admin = lab.admin
    nodes = [node["metadata"]["name"] for node in admin.items("/api/v1/nodes")]
    for node in nodes:
        offer = {"status": {"capacity": OFFERED, "allocatable": OFFERED}}
        admin.must(admin.patch(f"/api/v1/nodes/{node}/status", offer, STRATEGIC))
        devices = [{"name": f"gpu-{number}"} for number in range(8)]
        pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
        spec = {"driver": DRIVER, "nodeName": node, "pool": pool, "devices": devices}
        admin.must(admin.post(f"{DRA_API}/resourceslices", {"metadata": {"name": node}, "spec": spec}))
    taint = {"spec": {"taints": [{"key": RESERVED, "effect": "NoSchedule"}]}}
    admin.must(admin.patch(f"/api/v1/nodes/{lab.reserved}", taint, STRATEGIC))
    for name in (LISTED_CLASS, UNLISTED_CLASS):
        selectors = [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}]
        admin.must(
            admin.post(f"{DRA_API}/deviceclasses", {"metadata": {"name": name}, "spec": {"selectors": selectors}})
        )
    handler = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
    admin.must(admin.post("/apis/node.k8s.io/v1/runtimeclasses", handler))
