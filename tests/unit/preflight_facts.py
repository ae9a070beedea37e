"""What the tests of the preflight share: facts of a cluster that is fit, and the objects that they are made of."""

from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import yaml
from strategies import tenant_role

from gpuprov.manifests import RULES
from gpuprov.preflight import Facts, Finding, admission, plugin, policies, rights
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


def policy(name: str, version="0.1.0", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {policies.VERSION_LABEL: version}}, "spec": spec}


def binding(name: str, *actions: str, of: str | None = None) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"policyName": of or name, "validationActions": list(actions)}}


ALL_POLICIES = tuple(policy(name) for name in RULES)
ALL_BINDINGS = tuple(binding(name, "Deny") for name in RULES)
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


def chart(kind: str) -> dict[str, dict[str, Any]]:
    """Return the chart's objects of one kind by name, as its tests have them on record."""
    path = Path(__file__).parents[1] / "charts" / "golden" / "default.yaml"
    objects = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return {one["metadata"]["name"]: one for one in objects if one and one["kind"] == kind}
