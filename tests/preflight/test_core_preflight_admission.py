"""The preflight on admission: whether the server enforces the selector of nodes, pod security and the chart's rules."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from golden_chart import chart
from hypothesis import given
from hypothesis import strategies as st
from preflight_facts import ALL_BINDINGS, ALL_POLICIES, FIT, binding, only, policy, results
from strategies import cluster

from gpuprov.core.manifests import ADMISSION_POLICIES
from gpuprov.preflight import Result, Unread, admission, names, policies, role
from gpuprov.preflight.facts import Reply
from gpuprov.preflight.finding import Finding
from gpuprov.preflight.lacking import lacking


def selector(**facts: Any) -> Result:
    nothing = {"probed_pod": None, "policies": (), "bindings": ()}
    (line,) = [
        finding for finding in admission.check(replace(FIT, **nothing | facts)) if "PodNodeSelector" in finding.seen
    ]
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


# ---- the chart's policies


def test_policies_that_are_absent_or_not_in_force() -> None:
    absent = only(policies.check((), (), "0.2.0"))
    assert (absent.result, "charts/gpu-cluster" in absent.remedy) == (Result.FAILED, True)
    wrong_check = {"typeChecking": {"expressionWarnings": [{"warning": "no such field"}]}}
    installed = (
        policy("gpuprov-gpu", failurePolicy="Ignore"),
        policy("gpuprov-pods"),
        policy("gpuprov-objects") | {"status": wrong_check},
        policy("gpuprov-namespaces"),
    )
    bound = (
        binding("gpuprov-gpu", "Warn", "Audit"),
        binding("gpuprov-objects", policyName="other"),
        binding("gpuprov-namespaces"),
    )
    results = {
        finding.seen.removeprefix("policy "): finding.result for finding in policies.check(installed, bound, "0.2.0")
    }
    assert results == {
        (
            "gpuprov-gpu was changed after it was installed; lets pass what it cannot judge (failurePolicy); "
            "does not deny (validationActions)"
        ): "failed",
        "gpuprov-pods has no binding": "failed",
        "gpuprov-objects does not fit this API server: no such field; has a binding to other": "failed",
        "gpuprov-operator is not there": "failed",
        "chart version 0.2.0": "ok",
    }


def test_versions_of_the_chart() -> None:
    assert policies.check(ALL_POLICIES, ALL_BINDINGS, None)[-1].result is Result.OK
    assert policies.check(ALL_POLICIES, ALL_BINDINGS, "0.1.0")[-1].result is Result.WARNING
    other = policy("gpuprov-gpu")
    other["metadata"]["labels"][policies.VERSION_LABEL] = "0.3.0"
    assert policies.check((other, *ALL_POLICIES[1:]), ALL_BINDINGS, None)[-1].result is Result.WARNING


def test_the_chart_has_what_is_looked_for() -> None:
    installed, bound = chart("ValidatingAdmissionPolicy"), chart("ValidatingAdmissionPolicyBinding")
    assert installed.keys() == bound.keys() == set(ADMISSION_POLICIES)
    judged = policies.check(tuple(installed.values()), tuple(bound.values()), None)
    assert results([*judged, *role.check(chart("ClusterRole")["gpuprov-tenant"])]) == ["ok", "ok", "ok"]


def test_a_policy_without_a_digest_is_of_an_older_chart() -> None:
    old = policy("gpuprov-gpu")
    del old["metadata"]["annotations"]
    assert policies.lacking((old, *ALL_POLICIES[1:]), ALL_BINDINGS) == (
        "policy gpuprov-gpu was installed by an older chart",
    )


OF_TEAM = {"matchLabels": {"team": "a"}}
EVERY_POD = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}]


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec.update(validations=[{"expression": "true"}]),
        lambda spec: spec["validations"][0].update(expression="true"),
        lambda spec: spec["validations"].pop(),
        lambda spec: spec["validations"].reverse(),
        lambda spec: spec["matchConditions"].append({"name": "never", "expression": "false"}),
        lambda spec: spec["variables"][0].update(expression="dyn({})"),
        lambda spec: spec["matchConstraints"].update(resourceRules=EVERY_POD[:0]),
        lambda spec: spec["matchConstraints"]["resourceRules"][0].update(operations=["DELETE"]),
        lambda spec: spec["matchConstraints"]["resourceRules"][0].update(resourceNames=["one"]),
        lambda spec: spec["matchConstraints"]["resourceRules"][0].update(scope="Cluster"),
        lambda spec: spec["matchConstraints"].update(excludeResourceRules=EVERY_POD),
        lambda spec: spec["matchConstraints"].update(namespaceSelector=OF_TEAM),
        lambda spec: spec["matchConstraints"].update(objectSelector=OF_TEAM),
        lambda spec: spec["matchConstraints"].update(matchPolicy="Exact"),
        lambda spec: spec.update(paramKind={"apiVersion": "v1", "kind": "ConfigMap"}),
    ],
)
def test_a_policy_that_was_changed_by_hand_is_found(change: Any) -> None:
    installed = served(policy("gpuprov-gpu"))
    assert policies.problems("gpuprov-gpu", (installed,), ALL_BINDINGS) == []
    change(installed["spec"])
    assert policies.problems("gpuprov-gpu", (installed,), ALL_BINDINGS) == ["was changed after it was installed"]


def served(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a policy with what the API server adds to it."""
    constraints = manifest["spec"]["matchConstraints"]
    rules = [rule | {"scope": "*"} for rule in constraints["resourceRules"]]
    added = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": rules}
    return manifest | {
        "spec": manifest["spec"] | {"matchConstraints": constraints | added},
        "status": {"typeChecking": {}},
    }


@given(st.data(), st.sampled_from(ADMISSION_POLICIES), st.booleans())
def test_no_text_of_a_policy_can_be_changed_unseen(data: st.DataObject, name: str, by_server: bool) -> None:
    """Any text anywhere in the spec becomes another, or goes with all that is beside it."""
    manifest = policy(name)
    spec = (served(manifest) if by_server else manifest)["spec"]
    assert policies.digest(spec) == manifest["metadata"]["annotations"][policies.DIGEST]
    holder, key = data.draw(st.sampled_from(list(texts(spec))))
    if data.draw(st.booleans()):
        holder[key] = data.draw(st.text().filter(lambda text: text != holder[key]))
    elif holder[key] not in ("*", "Equivalent"):  # what the server adds may be left out
        del holder[key]
    else:
        return
    assert policies.digest(spec) != manifest["metadata"]["annotations"][policies.DIGEST]


def texts(part: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place with a text, as what holds it and its key there."""
    for key, value in list(part.items() if isinstance(part, dict) else enumerate(part)):
        if isinstance(value, str):
            yield part, key
        else:
            yield from texts(value)


QUOTA_PARAM = {"name": "gpu", "parameterNotFoundAction": "Deny"}
AWARDS = {"namespaceSelector": {"matchLabels": {"app.kubernetes.io/managed-by": "gpuprov"}}}
AS_SERVED = {"matchPolicy": "Equivalent", "objectSelector": {}}


@pytest.mark.parametrize(
    ("name", "spec", "found"),
    [
        ("gpuprov-gpu", {"matchResources": AWARDS | AS_SERVED}, ""),
        ("gpuprov-gpu", {"matchResources": AWARDS | AS_SERVED | {"objectSelector": OF_TEAM}}, "matchResources"),
        ("gpuprov-gpu", {"matchResources": AWARDS | {"excludeResourceRules": EVERY_POD}}, "matchResources"),
        ("gpuprov-gpu", {"matchResources": AWARDS | {"resourceRules": EVERY_POD}}, "matchResources"),
        ("gpuprov-gpu", {"matchResources": {"namespaceSelector": OF_TEAM}}, "matchResources"),
        ("gpuprov-gpu", {"paramRef": QUOTA_PARAM | {"parameterNotFoundAction": "Allow"}}, "paramRef"),
        ("gpuprov-gpu", {"paramRef": QUOTA_PARAM | {"name": "mine"}}, "paramRef"),
        ("gpuprov-gpu", {"paramRef": QUOTA_PARAM | {"namespace": "default"}}, "paramRef"),
        ("gpuprov-gpu", {"paramRef": None}, "paramRef"),
        ("gpuprov-pods", {"paramRef": QUOTA_PARAM}, "paramRef"),
        ("gpuprov-namespaces", {"matchResources": {"namespaceSelector": {}} | AS_SERVED}, ""),
        ("gpuprov-namespaces", {"matchResources": AWARDS}, "matchResources"),
        ("gpuprov-operator", {"matchResources": {"namespaceSelector": OF_TEAM}}, "matchResources"),
    ],
)
def test_a_binding_that_holds_for_less_is_found(name: str, spec: dict[str, Any], found: str) -> None:
    problems = policies.problems(name, ALL_POLICIES, (binding(name, **spec),))
    assert [found in problem for problem in problems] == ([True] if found else [])


# ---- what the guard asks for


def test_the_guard_asks_for_what_the_preflight_knows() -> None:
    """Each phrase is a failing line, and each failing line about the chart is a phrase."""
    nothing, no_right = Unread("no right"), Unread("no right to list")
    wide = chart("ClusterRole")["gpuprov-tenant"] | {"aggregationRule": {"clusterRoleSelectors": []}}
    changed = policy("gpuprov-gpu", validations=[{"expression": "true"}])
    for installed, bound, given_role, classes in (
        (ALL_POLICIES, ALL_BINDINGS, chart("ClusterRole")["gpuprov-tenant"], ()),
        ((), (), None, ()),
        ((changed, *ALL_POLICIES[1:]), ALL_BINDINGS[1:], wide, no_right),
        (nothing, ALL_BINDINGS, nothing, ()),
        (ALL_POLICIES, nothing, None, nothing),
    ):
        lines = [
            *policies.check(installed, bound, None),
            *role.check(given_role),
            *names.check(cluster(), (), classes, ()),
        ]
        failing = tuple(line.seen for line in lines if line.result is Result.FAILED)
        assert lacking(installed, bound, given_role, classes) == failing


def test_what_setup_cannot_mend_has_another_remedy() -> None:
    installed = list(chart("ValidatingAdmissionPolicy").values())
    bindings = list(chart("ValidatingAdmissionPolicyBinding").values())
    unfit = {**installed[0], "status": {"typeChecking": {"expressionWarnings": [{"warning": "no such key"}]}}}
    assert failing([unfit, *installed[1:]], bindings).startswith("update gpuprov, then run `gpuprov setup`")
    warns = {**bindings[0], "spec": {**bindings[0]["spec"], "validationActions": ["Warn"]}}
    switched_off = "; if the stack's `chartValues` switch it off (`admission`), correct them first"
    assert failing(installed, [warns, *bindings[1:]]) == policies.INSTALL + switched_off
    assert failing([], []) == policies.INSTALL + switched_off
    assert failing(installed[1:], bindings) == policies.INSTALL


def failing(installed: list[dict[str, Any]], bindings: list[dict[str, Any]]) -> str:
    """Return the remedy of the one line that fails."""
    found: list[Finding] = policies.check(tuple(installed), tuple(bindings), None)
    (line,) = [line for line in found if line.result is Result.FAILED]
    return line.remedy
