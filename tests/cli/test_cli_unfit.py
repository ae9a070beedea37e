"""Clusters on which nothing is granted: the chart's rules were changed, or its GPUs are served by DRA."""

from collections.abc import Callable
from typing import Any

import pytest
from cli_world import Api, World
from golden_chart import chart

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
KT = "kt-cloud"


def refusals(world: World) -> list[str]:
    """Return why nothing is granted on one cluster: the plan and the deed say the same."""
    ran = world.run("plan", "--json", "--provider", KT)
    assert world.run("up", "--yes", "--provider", KT).code == ran.code == 4
    return list(ran.data["refused"])


def without(name: str) -> Callable[[dict[str, Any]], None]:
    def change(objects: dict[str, Any]) -> None:
        del objects[name]

    return change


def allow_everything(policies: dict[str, Any]) -> None:
    policies["gpuprov-gpu"]["spec"]["validations"] = [{"expression": "true"}]


def let_pass(policies: dict[str, Any]) -> None:
    policies["gpuprov-pods"]["spec"]["failurePolicy"] = "Ignore"


def forget_digest(policies: dict[str, Any]) -> None:
    del policies["gpuprov-objects"]["metadata"]["annotations"]


def narrow(bindings: dict[str, Any]) -> None:
    bindings["gpuprov-gpu"]["spec"]["matchResources"]["objectSelector"] = {"matchLabels": {"a": "b"}}


def warn(bindings: dict[str, Any]) -> None:
    bindings["gpuprov-gpu"]["spec"]["validationActions"] = ["Warn"]


def widen(roles: dict[str, Any]) -> None:
    rule = {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["patch"]}
    roles["gpuprov-tenant"]["rules"].append(rule)


@pytest.mark.parametrize(
    ("kind", "change", "found"),
    [
        (POLICY, without("gpuprov-gpu"), "policy gpuprov-gpu is not there"),
        (POLICY, allow_everything, "policy gpuprov-gpu was changed after it was installed"),
        (POLICY, let_pass, "policy gpuprov-pods was changed after it was installed; lets pass what it cannot judge"),
        (POLICY, forget_digest, "policy gpuprov-objects was installed by an older chart"),
        (BINDING, without("gpuprov-operator"), "policy gpuprov-operator has no binding"),
        (BINDING, narrow, "policy gpuprov-gpu is bound to other objects than the chart binds it to"),
        (BINDING, warn, "policy gpuprov-gpu does not deny"),
        ("ClusterRole", widen, "the role gpuprov-tenant lets awardees patch resourcequotas"),
    ],
)
def test_nothing_is_granted_where_a_rule_was_changed(
    world: World, api: Api, kind: str, change: Callable[[dict[str, Any]], None], found: str
) -> None:
    objects = chart(kind)
    change(objects)
    api.objects[KT, kind] = list(objects.values())
    (reason,) = refusals(world)
    assert reason.startswith(f"kt-cloud: the cluster lacks what charts/gpu-cluster brings ({found}")
    assert "gpuprov setup --provider kt-cloud" in reason


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (POLICY, "the chart's policies cannot be seen: no right to list ValidatingAdmissionPolicy"),
        (BINDING, "the chart's policies cannot be seen: no right to list ValidatingAdmissionPolicyBinding"),
        ("DeviceClass", "device classes of DRA cannot be seen: no right to list DeviceClass"),
    ],
)
def test_what_may_not_be_seen_is_lacking_and_holds_up_nothing_else(
    world: World, api: Api, kind: str, found: str
) -> None:
    api.refused.add((KT, kind))
    (reason,) = refusals(world)
    assert f"({found})" in reason
    assert world.run("status", "--provider", KT).code == 0


@pytest.mark.parametrize("required", [True, False])
def test_nothing_is_granted_where_dra_serves_the_gpus(world: World, api: Api, required: bool) -> None:
    """Whether the chart is required or not: awardees could not use what they are given."""
    served = {"metadata": {"name": "gpu.nvidia.com"}, "spec": {"extendedResourceName": "nvidia.com/gpu"}}
    api.objects[KT, "DeviceClass"] = [{"metadata": {"name": "mig.nvidia.com"}, "spec": {}}, served]
    if not required:
        stack = world.root / "stacks" / "Pulumi.kt-cloud.yaml"
        text = stack.read_text(encoding="utf-8")
        stack.write_text(text.replace("    pools:", "    requireChart: false\n    pools:"), encoding="utf-8")
    (reason,) = refusals(world)
    assert reason == (
        "kt-cloud: awardees could not use what they are given (device class gpu.nvidia.com serves nvidia.com/gpu by "
        "DRA); `gpuprov preflight --provider kt-cloud` says what to do"
    )


def test_what_is_taken_back_is_not_held_up_by_dra(world: World, full: Api) -> None:
    served = {"metadata": {"name": "gpu.nvidia.com"}, "spec": {"extendedResourceName": "nvidia.com/gpu"}}
    full.objects[KT, "DeviceClass"] = [served]
    ran = world.run("plan", "--json", "--provider", KT, "--exit-code", at="2026-07-01T00:00:00+09:00")
    assert (ran.code, ran.data["refused"]) == (3, [])
    assert {change["op"] for change in ran.data["changes"]} == {"reclaim"}
