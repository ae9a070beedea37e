"""The preflight on admission: whether the server enforces the selector of nodes, pod security and the chart's rules."""

from dataclasses import replace
from typing import Any

import pytest
from preflight_facts import ALL_BINDINGS, ALL_POLICIES, FIT, binding, chart, only, policy, results

from gpuprov.manifests import RULES
from gpuprov.preflight import Result, admission, policies, role
from gpuprov.preflight.facts import Reply


def selector(**facts: Any) -> Result:
    nothing = {"probed_pod": None, "policies": (), "bindings": ()}
    (line,) = [one for one in admission.check(replace(FIT, **nothing | facts)) if "PodNodeSelector" in one.seen]
    return line.result


def api_server(*arguments: str) -> dict[str, Any]:
    return {"metadata": {"name": "kube-apiserver"}, "spec": {"containers": [{"command": ["a", *arguments]}]}}


OTHER_SERVER = api_server("--v=2") | {"metadata": {"name": "kube-apiserver-2"}}
CONFLICT = Reply(status=403, message=f"pod node label selector {admission.SELECTOR_CONFLICT}")
NO_RIGHT = Reply(status=403, message='User "x" cannot create resource "pods"')
FORCED = {"model": "h100"}


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        ({}, "warning"),
        ({"probed_pod": CONFLICT}, "ok"),
        ({"probed_pod": Reply(status=201)}, "failed"),
        ({"probed_pod": Reply(status=403, message="exceeded quota: gpu")}, "failed"),
        ({"probed_pod": Reply(status=422, message="ValidatingAdmissionPolicy 'gpuprov-pods' denied")}, "failed"),
        ({"probed_pod": Reply(status=201), "policies": ALL_POLICIES, "bindings": ALL_BINDINGS}, "warning"),
        ({"probed_pod": NO_RIGHT}, "warning"),
        ({"probed_pod": NO_RIGHT, "api_servers": (api_server("--enable-admission-plugins=A,PodNodeSelector"),)}, "ok"),
        ({"api_servers": (api_server("--enable-admission-plugins=NodeRestriction"),)}, "failed"),
        ({"api_servers": (api_server("--v=2"),)}, "failed"),
        ({"api_servers": (api_server("--enable-admission-plugins=PodNodeSelector"), OTHER_SERVER)}, "failed"),
        (
            {"tenant_pods": (({"metadata": {"name": "p"}, "spec": {"nodeSelector": FORCED | {"a": "b"}}}, FORCED),)},
            "ok",
        ),
        ({"tenant_pods": (({"metadata": {"name": "p"}, "spec": {}}, FORCED),)}, "failed"),
        ({"tenant_pods": (({"metadata": {"name": "p"}, "spec": {}}, FORCED),), "probed_pod": CONFLICT}, "ok"),
    ],
)
def test_how_the_selector_of_nodes_is_told(facts: dict[str, Any], result: str) -> None:
    assert selector(**facts) == result


@pytest.mark.parametrize(
    ("probe", "result"),
    [
        (FIT.probed_namespace, "ok"),
        (Reply(status=201), "failed"),
        (Reply(status=409, message="already exists"), "failed"),
        (Reply(status=403, message="cannot create"), "warning"),
        (None, "warning"),
    ],
)
def test_pod_security(probe: Reply | None, result: str) -> None:
    line, _ = admission.check(replace(FIT, probed_namespace=probe))
    assert line.result == result


def test_policies_that_are_absent_or_not_in_force() -> None:
    absent = only(policies.check((), (), "0.1.0"))
    assert (absent.result, "charts/gpu-cluster" in absent.remedy) == (Result.FAILED, True)
    wrong_check = {"typeChecking": {"expressionWarnings": [{"warning": "no such field"}]}}
    there = (
        policy("gpuprov-gpu", failurePolicy="Ignore"),
        policy("gpuprov-pods"),
        policy("gpuprov-objects") | {"status": wrong_check},
        policy("gpuprov-namespaces"),
    )
    bound = (
        binding("gpuprov-gpu", "Warn", "Audit"),
        binding("gpuprov-objects", "Deny", of="other"),
        binding("gpuprov-namespaces", "Deny"),
    )
    said = {one.seen.removeprefix("policy "): one.result for one in policies.check(there, bound, "0.1.0")}
    assert said == {
        "gpuprov-gpu lets pass what it cannot judge (failurePolicy); does not deny (validationActions)": "failed",
        "gpuprov-pods has no binding": "failed",
        "gpuprov-objects does not fit this API server: no such field; has a binding to other": "failed",
        "gpuprov-operator is not there": "failed",
        "chart version 0.1.0": "ok",
    }


def test_versions_of_the_chart() -> None:
    assert policies.check(ALL_POLICIES, ALL_BINDINGS, None)[-1].result is Result.OK
    assert policies.check(ALL_POLICIES, ALL_BINDINGS, "0.2.0")[-1].result is Result.WARNING
    mixed = (policy("gpuprov-gpu", "0.2.0"), *ALL_POLICIES[1:])
    assert policies.check(mixed, ALL_BINDINGS, None)[-1].result is Result.WARNING


def test_the_chart_has_what_is_looked_for() -> None:
    there, bound = chart("ValidatingAdmissionPolicy"), chart("ValidatingAdmissionPolicyBinding")
    assert there.keys() == bound.keys() == set(RULES)
    judged = policies.check(tuple(there.values()), tuple(bound.values()), None)
    assert results([*judged, *role.check(chart("ClusterRole")["gpuprov-tenant"])]) == ["ok", "ok", "ok"]
