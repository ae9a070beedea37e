"""What the chart installs, by golden files: all of it with the defaults, and what each option changes.

GPUPROV_UPDATE_GOLDEN=1 writes the files anew.
"""

import difflib
import os
from typing import Any

import pytest
from chart_files import CHART, GOLDEN, default, helm, objects, options, render, setting

from gpuprov.core.manifests import ADMISSION_POLICIES
from gpuprov.preflight.policies import DIGEST, digest
from gpuprov.toolchain.pins import KUBERNETES_VERSION

PODS = {"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["update", "patch"]}
CONFIG_MAP = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["device-plugin"], "verbs": ["get"]}
SUBJECTS = [
    {"kind": "User", "name": "gpuprov@programme.example"},
    {"kind": "Group", "name": "oidc:operators"},
    {"kind": "ServiceAccount", "name": "gpuprov", "namespace": "tools"},
]
OTHER: dict[str, Any] = {
    "tenant.extraRules": [PODS],
    "operator.subjects": SUBJECTS,
    "operator.extraRules": [CONFIG_MAP],
    "admission.enabled": False,
    "admission.actions": ["Warn", "Audit"],
    "admission.exemptGroups": ["cluster-admins"],
    "admission.exemptUsers": ["system:serviceaccount:rancher:rancher"],
    "admission.allowedResources": ["rdma/shared"],
    "admission.allowedTolerations": ["gpu-model"],
    "admission.allowedPriorityClasses": ["standard"],
    "admission.maxGracePeriodSeconds": 600,
    "admission.allowedFinalizers": {"services": ["service.kubernetes.io/load-balancer-cleanup"]},
    "priorityClasses": [{"name": "training", "value": 5, "description": 'for "training"'}],
    "devicePlugin.enabled": True,
    "devicePlugin.image.repository": "registry.example:5000/device-plugin",
    "devicePlugin.image.tag": "v1.2.3",
    "devicePlugin.image.digest": "sha256:" + "0a" * 32,
    "devicePlugin.image.pullPolicy": "Always",
    "devicePlugin.imagePullSecrets": ["registry"],
    "devicePlugin.deviceListStrategy": "cdi-cri",
    "devicePlugin.migStrategy": "mixed",
    "devicePlugin.driverRoot": "/run/nvidia/driver",
    "devicePlugin.runtimeClassName": "nvidia",
    "devicePlugin.priorityClassName": "infrastructure",
    "devicePlugin.nodeSelector": {"pool": "gpu"},
    "devicePlugin.tolerations": [],
    "devicePlugin.resources": {"limits": {"cpu": "1"}},
    "termGuard.enabled": True,
    "termGuard.image.repository": "registry.example:5000/gpuprov",
    "termGuard.image.tag": "1.2.3",
    "termGuard.image.digest": "sha256:" + "0a" * 32,
    "termGuard.image.pullPolicy": "Always",
    "termGuard.imagePullSecrets": ["registry"],
    "termGuard.marginSeconds": 3600,
    "termGuard.deleteNamespaces": True,
    "termGuard.retentionSeconds": 604800,
    "termGuard.mostAtOnce": 400,
    "termGuard.dryRun": True,
    "termGuard.intervalSeconds": 30,
    "termGuard.timeoutSeconds": 300,
    "termGuard.metrics.port": 8080,
    "termGuard.metrics.scrapers": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
    "termGuard.priorityClassName": "system-cluster-critical",
    "termGuard.nodeSelector": {"pool": "cpu"},
    "termGuard.tolerations": [{"key": "infrastructure", "operator": "Exists"}],
    "termGuard.resources": {"limits": {"cpu": "1"}},
}
SWITCHED = ("devicePlugin", "termGuard")
"""Parts that are off by default: their options have an effect where they are on."""

NEEDS = {
    "devicePlugin.driverRoot": setting("devicePlugin.deviceListStrategy", "cdi-cri"),
    "termGuard.retentionSeconds": setting("termGuard.deleteNamespaces", value=True),
}
"""What must be set besides for an option to have an effect."""


def merged(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = base | other
    for name in base.keys() & other.keys():
        if isinstance(base[name], dict):
            both[name] = merged(base[name], other[name])
    return both


def held_by(name: str, text: str) -> None:
    """Compare with the golden file, or write it."""
    path = GOLDEN / name
    if os.environ.get("GPUPROV_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "set GPUPROV_UPDATE_GOLDEN=1 if this is meant"


def difference(before: str, after: str) -> str:
    """Return what changed, without the numbers of lines: they would change with every line above."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=3, lineterm="")
    return "\n".join("@@" if line.startswith("@@") else line for line in list(lines)[2:]) + "\n"


def test_helm_finds_nothing_to_complain_of() -> None:
    for values in ({}, {part: {"enabled": True} for part in SWITCHED}):
        ran = helm("lint", "--strict", "--kube-version", KUBERNETES_VERSION, str(CHART), values=values)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_an_old_cluster_is_refused() -> None:
    """Its API server has no ValidatingAdmissionPolicy of version v1."""
    ran = helm("template", "gpuprov", str(CHART), "--kube-version", "1.29.9")
    assert ran.returncode != 0
    assert "kubeVersion" in ran.stderr


def test_the_defaults_give_what_is_in_the_golden_file() -> None:
    held_by("default.yaml", render())


def test_every_option_has_another_value_here() -> None:
    assert OTHER.keys() == {path for path, _ in options()}
    assert [path for path, value in OTHER.items() if value == default(path)] == []


@pytest.mark.parametrize("path", OTHER)
def test_an_option_changes_what_is_in_its_golden_file(path: str) -> None:
    base = NEEDS.get(path, {})
    part = path.partition(".")[0]
    if part in SWITCHED and path != f"{part}.enabled":
        base = merged(setting(f"{part}.enabled", value=True), base)
    changed = difference(render(base), render(merged(base, setting(path, OTHER[path]))))
    assert changed.strip() != ""
    held_by(f"{path}.diff", changed)


def test_every_policy_carries_the_digest_that_gpuprov_computes_from_it() -> None:
    """Whatever the values are, also such as JSON may write in more than one way."""
    everything: dict[str, Any] = {}
    for path, value in OTHER.items():
        everything = merged(everything, setting(path, value if path != "admission.enabled" else True))
    odd = setting("admission.exemptGroups", ["a<b>&c", "대학교", "line\u2028separator", "bell\u0007"])
    for values in ({}, everything, odd):
        policies = [policy for policy in objects(values) if policy["kind"] == "ValidatingAdmissionPolicy"]
        assert len(policies) == len(ADMISSION_POLICIES)
        for policy in policies:
            assert policy["metadata"]["annotations"] == {DIGEST: digest(policy["spec"])}


def test_every_golden_file_is_some_tests() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {"default.yaml", *(f"{path}.diff" for path in OTHER)}
