"""What the tests of the chart on a real cluster share: people with their rights, objects of an award, Helm."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from helm import run_helm
from kubernetes import config
from strategies import SEOUL

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.tenant import Tenant
from gpuprov.sandbox import H100

CHART = Path(__file__).parents[2] / "charts" / "gpu-cluster"
LABEL = {"nvidia.com/gpu.product": H100}
RBAC = "rbac.authorization.k8s.io"
_FOLDERS = {
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "RoleBinding": f"/apis/{RBAC}/v1/namespaces/{{}}/rolebindings",
}
_CONTENT = {
    "POST": "application/json",
    "PUT": "application/json",
    "PATCH": "application/merge-patch+json",
    "APPLY": "application/apply-patch+yaml",
}


class Answer(NamedTuple):
    """What the API server said: ``text`` is its message, ``warning`` the warnings of its header."""

    status: int
    body: dict[str, Any]
    warning: str

    @property
    def ok(self) -> bool:
        return self.status < 300

    @property
    def text(self) -> str:
        return str(self.body.get("message", ""))


class Person:
    """Somebody with a user name and a group, whom the administrator impersonates: their rights, and no others."""

    def __init__(self, kubeconfig: Path, user: str = "", group: str = "") -> None:
        self._api = config.new_client_from_config(str(kubeconfig), context="alpha")
        for header, value in (("Impersonate-User", user), ("Impersonate-Group", group)):
            if value:
                self._api.set_default_header(header, value)

    def __call__(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Ask the API server. The method APPLY is a server-side apply, as Pulumi sends it."""
        headers = {"Accept": "application/json", "Content-Type": _CONTENT.get(method, "application/json")}
        query = [("fieldManager", "gpuprov"), ("force", "true")] if method == "APPLY" else []
        verb = "PATCH" if method == "APPLY" else method
        request = self._api.param_serialize(verb, path, query_params=query, header_params=headers, auth_settings=[])
        reply = self._api.rest_client.request(*request[:3], body=body)
        raw = reply.read()
        return Answer(reply.status, json.loads(raw or b"{}"), reply.getheader("Warning") or "")


def award(award_id: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the namespace and the objects of an award of 8 H100."""
    pool = GpuPool(model="H100", capacity=16, resource="nvidia.com/gpu", node_label=LABEL)
    cluster = ProviderCluster(provider="alpha", context="alpha", pools=(pool,))
    start, end = (datetime(2026, month, 1, tzinfo=SEOUL) for month in (1, 7))
    tenant = Tenant(
        award_id=award_id,
        organization="한빛대학교",
        provider="alpha",
        pool=pool,
        gpus=8,
        term_start=start,
        term_end=end,
    )
    return tenant.namespace, [json.loads(json.dumps(manifest)) for manifest in tenant_manifests(tenant, cluster)]


def folder(manifest: dict[str, Any]) -> str:
    """Return the path of the collection that an object belongs to."""
    if manifest["kind"] == "Namespace":
        return "/api/v1/namespaces"
    return _FOLDERS[manifest["kind"]].format(manifest["metadata"]["namespace"])


def pod(gpus: int = 1, *, container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a pod that Pod Security lets through; ``container`` and ``spec`` go over what it has."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    main_container = {"name": "main", "image": "nothing.invalid/none", "securityContext": security}
    main_container |= {"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}} if gpus else {}
    made = {"containers": [main_container | (container or {})], "nodeSelector": LABEL}
    return {"metadata": {"name": "one"}, "spec": made | spec}


def helm(kubeconfig: Path, *arguments: str) -> str:
    """Run Helm on cluster alpha and return what it printed."""
    ran = run_helm(kubeconfig, *arguments, "--namespace", "gpuprov-system", context="alpha")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
