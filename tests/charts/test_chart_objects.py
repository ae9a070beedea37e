"""Rules that the chart's objects must not break, whatever their details."""

import re
from datetime import timedelta
from typing import Any

import pytest
import yaml
from chart_files import CHART, VALUES, objects, read_command

from gpuprov.core.manifests import LEASE, WATCH_LEASE
from gpuprov.core.termguard import DEFAULT_MARGIN

EVERYTHING = objects({"devicePlugin": {"enabled": True}, "termGuard": {"enabled": True}})
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"]
POLICIES = {"gpuprov-gpu", "gpuprov-pods", "gpuprov-objects", "gpuprov-namespaces", "gpuprov-operator"}
RBAC = "rbac.authorization.k8s.io"
IN_AWARDS = {"matchLabels": {"app.kubernetes.io/managed-by": "gpuprov"}}
WRITING = {"create", "update", "patch", "delete", "deletecollection"}


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {manifest["metadata"]["name"]: manifest for manifest in EVERYTHING if manifest["kind"] == kind}


def rights(role: str) -> set[tuple[str, str]]:
    """Return the verbs that a role gives on each resource."""
    rules = of("ClusterRole")[role]["rules"]
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


def test_every_object_is_ours_by_name_and_label_and_no_awards() -> None:
    for manifest in EVERYTHING:
        labels = manifest["metadata"]["labels"]
        assert manifest["metadata"]["name"].startswith("gpuprov-")
        assert labels["app.kubernetes.io/part-of"] == "gpuprov"
        assert labels["app.kubernetes.io/version"] == VERSION
        assert labels["app.kubernetes.io/managed-by"] == "Helm"  # what says gpuprov is swept up as an award's


def test_nothing_is_granted_by_a_wildcard_and_nobody_can_become_another() -> None:
    for role in [*of("ClusterRole").values(), *of("Role").values()]:
        for rule in role["rules"]:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
            assert not {"impersonate", "escalate"} & set(rule["verbs"])


def test_gpuprov_reads_no_secrets_and_binds_one_role() -> None:
    resources = {resource for resource, _ in rights("gpuprov-operator")}
    assert not {"secrets", "pods/exec", "pods/log"} & resources
    (bind,) = [rule for rule in of("ClusterRole")["gpuprov-operator"]["rules"] if "bind" in rule["verbs"]]
    assert bind["resourceNames"] == ["gpuprov-tenant"]
    assert bind["verbs"] == ["bind"]


def test_of_config_maps_gpuprov_reads_the_awards_page_alone() -> None:
    rules = [rule for rule in of("ClusterRole")["gpuprov-operator"]["rules"] if "configmaps" in rule["resources"]]
    everywhere = [rule["verbs"] for rule in rules if "resourceNames" not in rule]
    assert everywhere == [["create"]]
    assert [rule["resourceNames"] for rule in rules if "resourceNames" in rule] == [["welcome"]]


PARTS = {
    "resourcequotas": ["fixed", "gpu"],
    "limitranges": ["defaults"],
    "networkpolicies": ["isolation"],
    "rolebindings": ["awardee"],
    "configmaps": ["welcome"],
}


@pytest.mark.parametrize("resource", PARTS)
def test_gpuprov_changes_only_the_objects_that_it_makes(resource: str) -> None:
    rules = [rule for rule in of("ClusterRole")["gpuprov-operator"]["rules"] if resource in rule["resources"]]
    changing = [rule for rule in rules if {"update", "patch", "delete"} & set(rule["verbs"])]
    assert [rule.get("resourceNames") for rule in changing] == [PARTS[resource]]
    # Pulumi waits for a deletion by list and watch: without these it would hang.
    assert {(resource, verb) for verb in ("get", "list", "watch", "create", "update", "patch", "delete")} <= rights(
        "gpuprov-operator"
    )


def test_tokens_are_made_for_the_awards_account_alone() -> None:
    rules = of("ClusterRole")["gpuprov-operator"]["rules"]
    assert [rule["resourceNames"] for rule in rules if "serviceaccounts/token" in rule["resources"]] == [["awardee"]]


def test_gpuprov_writes_two_leases_beside_awards() -> None:
    """They say who acts on the cluster, and which replica of the service leads there."""
    role, binding = (of(kind)["gpuprov-operator"] for kind in ("Role", "RoleBinding"))
    assert role["rules"] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [LEASE, WATCH_LEASE],
            "verbs": ["get", "update", "patch"],
        },
    ]
    assert {manifest["metadata"]["namespace"] for manifest in (role, binding)} == {"gpuprov-system"}
    assert binding["roleRef"] == {"apiGroup": RBAC, "kind": "Role", "name": role["metadata"]["name"]}
    assert binding["subjects"] == of("ClusterRoleBinding")["gpuprov-operator"]["subjects"]
    assert "leases" not in {resource for resource, _ in rights("gpuprov-operator")}


def test_the_term_guard_can_end_awards_and_nothing_else() -> None:
    """What it may do to objects whose name is always the same is for that name alone, also reading."""
    written = {(resource, verb) for resource, verb in rights("gpuprov-term-guard") if verb in WRITING}
    assert written == {
        ("namespaces", "delete"),
        ("pods", "deletecollection"),
        ("resourcequotas", "patch"),
        ("rolebindings", "delete"),
        ("serviceaccounts", "delete"),
    }
    rules = of("ClusterRole")["gpuprov-term-guard"]["rules"]
    named = {resource: rule.get("resourceNames") for rule in rules for resource in rule["resources"]}
    assert named == {
        "namespaces": None,
        "pods": None,
        "resourcequotas": ["gpu"],
        "rolebindings": ["awardee"],
        "serviceaccounts": ["awardee"],
    }
    assert of("Role")["gpuprov-term-guard"]["rules"][1]["resourceNames"] == [LEASE]
    assert of("Role")["gpuprov-term-guard-events"]["rules"] == [
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}
    ]


def test_the_term_guards_pod_is_confined() -> None:
    pod = of("Deployment")["gpuprov-term-guard"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert "envFrom" not in container
    assert [volume["name"] for volume in pod["volumes"]] == ["scratch"]
    assert of("NetworkPolicy")["gpuprov-term-guard"]["spec"]["ingress"] == []


def test_the_term_guards_command_is_what_the_command_line_has() -> None:
    (container,) = of("Deployment")["gpuprov-term-guard"]["spec"]["template"]["spec"]["containers"]
    read = read_command(container["args"])
    assert (read["margin"], read["most_at_once"], read["retention"]) == (7200, 50, None)
    assert timedelta(seconds=read["margin"]) == DEFAULT_MARGIN


def test_awardees_write_nothing_that_makes_an_award() -> None:
    written = {resource for resource, verb in rights("gpuprov-tenant") if verb in WRITING}
    assert not written & {"resourcequotas", "limitranges", "networkpolicies", "roles", "rolebindings", "namespaces"}
    assert not written & {"serviceaccounts", "serviceaccounts/token", "pods/binding", "pods/status", "resourceclaims"}


def test_every_policy_has_a_binding_of_its_name_that_refuses() -> None:
    policies, bindings = of("ValidatingAdmissionPolicy"), of("ValidatingAdmissionPolicyBinding")
    assert policies.keys() == bindings.keys() == POLICIES
    for name, policy in policies.items():
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert bindings[name]["spec"]["policyName"] == name
        assert bindings[name]["spec"]["validationActions"] == ["Deny"]


def test_the_policies_hold_in_awards_namespaces_alone_where_they_can() -> None:
    for name, binding in of("ValidatingAdmissionPolicyBinding").items():
        found = binding["spec"].get("matchResources", {}).get("namespaceSelector")
        assert found == (None if name in {"gpuprov-namespaces", "gpuprov-operator"} else IN_AWARDS), name


def test_a_pod_without_a_quota_is_refused() -> None:
    reference = of("ValidatingAdmissionPolicyBinding")["gpuprov-gpu"]["spec"]["paramRef"]
    assert reference == {"name": "gpu", "parameterNotFoundAction": "Deny"}


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_refusal_has_a_reason_and_says_more_than_the_expression(name: str) -> None:
    for validation in of("ValidatingAdmissionPolicy")[name]["spec"]["validations"]:
        assert validation["reason"] == "Forbidden"
        assert 30 < len(validation["message"]) < 300
        assert "object." not in validation["message"]


def test_the_controllers_that_make_pods_are_held_by_the_rules_for_pods() -> None:
    """A tenant's Job or Deployment would otherwise make any pod."""
    for name in ("gpuprov-gpu", "gpuprov-pods"):
        text = str(of("ValidatingAdmissionPolicy")[name])
        assert [user for user in VALUES["admission"]["exemptUsers"] if user in text] == []


def test_no_class_preempts_and_none_is_below_pods_without_a_class() -> None:
    classes = of("PriorityClass")
    assert classes
    for priority_class in classes.values():
        assert priority_class["preemptionPolicy"] == "Never"
        assert priority_class["value"] >= 0
        assert not priority_class["globalDefault"]


def test_the_device_plugin_has_no_privilege_and_never_lists_devices_in_the_environment() -> None:
    (pod,) = [daemon_set["spec"]["template"]["spec"] for daemon_set in of("DaemonSet").values()]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert re.fullmatch("volume-mounts|cdi-.*", env["DEVICE_LIST_STRATEGY"])
    assert "NVIDIA_VISIBLE_DEVICES" not in env
