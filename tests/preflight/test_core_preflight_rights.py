"""The preflight on rights: what gpuprov needs and should not have, and what the role of awardees must not give."""

from typing import Any

import pytest
from golden_chart import chart
from hypothesis import given
from hypothesis import strategies as st
from preflight_facts import only, results
from strategies import tenant_role

from gpuprov.preflight import Result, rights, role

# ---- rights


@given(st.sets(st.sampled_from(rights.NEEDED)))
def test_every_right_that_is_missing_is_named(missing: set[rights.Right]) -> None:
    allowed = {right: right not in missing for right in rights.NEEDED}
    findings = rights.check("gpuprov", allowed)
    named = {
        (verb.strip(), what)
        for finding in findings
        if finding.result is Result.FAILED
        for verbs, what in [_verbs_and_what(finding.seen.removeprefix("gpuprov may not "))]
        for verb in verbs
    }
    assert named == {(right.verb, right.what) for right in missing}
    assert bool(missing) == (Result.OK not in results(findings))


def _verbs_and_what(text: str) -> tuple[list[str], str]:
    *verbs, last = text.split(", ")
    verb, _, what = last.partition(" ")
    return [*verbs, verb], what


def test_a_right_that_was_not_answered_is_missing() -> None:
    assert Result.OK not in results(rights.check("x", {}))


def test_a_right_that_is_missing_is_granted_where_it_is_needed() -> None:
    missing = {right: False for right in rights.NEEDED if right.resource in ("leases", "pods")}
    found = rights.check("x", dict.fromkeys(rights.NEEDED, True) | missing)
    assert [(line.seen, line.remedy.rpartition("; ")[2]) for line in found] == [
        (
            "x may not create leases.coordination.k8s.io",
            "another role must grant it in namespace gpuprov-system",
        ),
        (
            "x may not get, update, patch leases.coordination.k8s.io gpuprov",
            "another role must grant it in namespace gpuprov-system",
        ),
        ("x may not list, deletecollection pods", "another role must grant it in the whole cluster"),
    ]


def test_too_many_rights_are_a_warning() -> None:
    enough = dict.fromkeys(rights.NEEDED, True)
    everything = rights.check("root", dict.fromkeys(rights.ASKED, True))
    assert results(everything) == ["ok", "warning"]
    assert "everything" in everything[1].seen
    for right in rights.SURPLUS:
        _, surplus = rights.check("x", enough | {right: True})
        assert (surplus.result, str(right) in surplus.seen) == (Result.WARNING, True)


def test_the_charts_roles_give_every_right_that_is_needed() -> None:
    """The Role of a namespace gives what is needed there, and the ClusterRole what is needed everywhere."""
    everywhere = [("", rule) for rule in chart("ClusterRole")["gpuprov-operator"]["rules"]]
    role = chart("Role")["gpuprov-operator"]
    rules = [*everywhere, *((role["metadata"]["namespace"], rule) for rule in role["rules"])]

    def given_by(place: str, rule: dict[str, Any], right: rights.Right) -> bool:
        named = right.name in rule["resourceNames"] if "resourceNames" in rule else True
        inside = right.group in rule["apiGroups"] and right.resource in rule["resources"]
        return place == right.namespace and inside and named and right.verb in rule["verbs"]

    needed = [right for right in rights.NEEDED if not right.resource.startswith("/")]
    assert [str(right) for right in needed if not any(given_by(*rule, right) for rule in rules)] == []
    assert [str(right) for right in rights.SURPLUS if any(given_by(*rule, right) for rule in rules)] == []


def test_a_right_as_the_server_is_asked() -> None:
    token = rights.Right(verb="create", resource="serviceaccounts/token", name="awardee")
    attributes = {"verb": "create", "group": "", "resource": "serviceaccounts", "subresource": "token"}
    assert token.review() == {"resourceAttributes": attributes | {"name": "awardee"}}
    pods = rights.Right(verb="list", resource="pods")
    assert pods.review() == {"resourceAttributes": {"verb": "list", "group": "", "resource": "pods"}}
    lock = rights.Right(verb="update", resource="leases", group="coordination.k8s.io", name="a", namespace="b")
    attributes = {"verb": "update", "group": "coordination.k8s.io", "resource": "leases", "name": "a", "namespace": "b"}
    assert lock.review() == {"resourceAttributes": attributes}
    served = rights.Right(verb="get", resource="/openapi/v2")
    assert served.review() == {"nonResourceAttributes": {"verb": "get", "path": "/openapi/v2"}}


# ---- the role of awardees


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["get", "patch"]}, "patch resourcequotas"),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}, "* pods"),
        ({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}, "get *"),
        ({"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["update"]}, "update */scale"),
        ({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}, "get in every API group"),
        ({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}, "impersonate users"),
        ({"apiGroups": ["r"], "resources": ["clusterroles"], "verbs": ["bind", "escalate"]}, "bind, escalate clusterr"),
        ({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, "get /metrics"),
        (
            {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
            "create serviceaccounts/tok",
        ),
        ({"apiGroups": ["resource.k8s.io"], "resources": ["resourceclaims"], "verbs": ["create"]}, "create resourcecl"),
    ],
)
def test_what_awardees_must_not_have(rule: dict[str, Any], text: str) -> None:
    wide = dict(tenant_role()) | {"rules": [*tenant_role()["rules"], rule]}
    line = only(role.check(wide))
    assert (line.result, text in line.seen) == (Result.FAILED, True)


def test_a_role_that_takes_its_rules_from_others() -> None:
    assert only(role.check(dict(tenant_role()) | {"aggregationRule": {}})).result is Result.OK
    assert only(role.check(dict(tenant_role()) | {"aggregationRule": {"x": []}})).result is Result.FAILED


def test_reading_is_no_surprise() -> None:
    reading = {
        "apiGroups": [""],
        "resources": ["resourcequotas", "secrets", "nodes"],
        "verbs": ["get", "list", "watch"],
    }
    assert list(role.surprises(reading)) == []
