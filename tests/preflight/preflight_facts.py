"""What the tests of the preflight share: facts of a cluster that is fit, and the objects that they are made of."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from golden_chart import chart
from strategies import tenant_role

from gpuprov.core.manifests import ADMISSION_POLICIES
from gpuprov.preflight import Facts, Finding, admission, plugin, rights
from gpuprov.preflight.facts import Clock, Reply

NOON = datetime(2026, 3, 1, 3, tzinfo=UTC)
H100 = {"nvidia.com/gpu.product": "NVIDIA-H100"}


def results(findings: list[Finding]) -> list[str]:
    return [finding.result for finding in findings]


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def node(name="n", gpus=8, labels=None, ready=True, spec=None, **offers) -> dict[str, Any]:
    amounts = {"cpu": "8", "nvidia.com/gpu": str(gpus)} | offers
    return {
        "metadata": {"name": name, "labels": H100 if labels is None else labels},
        "spec": spec or {},
        "status": {
            "allocatable": amounts,
            "capacity": amounts,
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        },
    }


def daemon_set(*containers: dict[str, Any], name="plugin", config=None) -> dict[str, Any]:
    volumes = [{"name": "config", "configMap": {"name": config}}] if config else []
    spec = {"containers": list(containers), "volumes": volumes}
    return {"metadata": {"namespace": "gpu", "name": name}, "spec": {"template": {"spec": spec}}}


def container(image="x/nvidia/k8s-device-plugin:v0.17.4", **fields: Any) -> dict[str, Any]:
    return {"image": image} | fields


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def policy(name: str, **spec: Any) -> dict[str, Any]:
    """Return a policy as the chart installs it, then changed by hand."""
    installed = chart("ValidatingAdmissionPolicy")[name]
    return installed | {"spec": installed["spec"] | spec}


def binding(name: str, *actions: str, **spec: Any) -> dict[str, Any]:
    """Return a policy's binding as the chart installs it, then changed by hand."""
    installed = chart("ValidatingAdmissionPolicyBinding")[name]
    return installed | {"spec": installed["spec"] | {"validationActions": list(actions or ("Deny",))} | spec}


ALL_POLICIES = tuple(policy(name) for name in ADMISSION_POLICIES)
ALL_BINDINGS = tuple(binding(name) for name in ADMISSION_POLICIES)
FIT = Facts(
    version={"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
    clock=Clock(sent=NOON, received=NOON, date=format_datetime(NOON, usegmt=True)),
    who="gpuprov",
    uid="u-1",
    rights=dict.fromkeys(rights.NEEDED, True),
    nodes=tuple(node(f"n-{number}") for number in range(25)),
    daemon_sets=(
        daemon_set(container(env=env(DEVICE_LIST_STRATEGY="cdi-cri"))),
        daemon_set({"image": "t", "env": env(**{plugin.ACCEPT: "false"})}, name="toolkit"),
    ),
    policies=ALL_POLICIES,
    bindings=ALL_BINDINGS,
    tenant_role=tenant_role(),
    probed_pod=Reply(status=403, message=f"pods is forbidden: pod node label selector {admission.SELECTOR_CONFLICT}"),
    probed_namespace=Reply(status=422, message="metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value"),
)
