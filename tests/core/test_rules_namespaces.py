"""The rules of namespaces: each is complete, and nothing lies outside those of awards."""

import pytest
from rule_objects import FIRST, NAMES, annotated, bounds, broken, said, spec, written
from strategies import cluster, tenant, tenant_role

from gpuprov.core.rules import OBJECT_RULES, Rule

# 2. Each namespace is complete


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind != "ConfigMap"])
def test_a_namespace_without_one_of_its_objects_is_incomplete(kind):
    found = broken(lambda by_kind: by_kind["all"].remove(by_kind[kind]))
    name = f"{kind.replace('fixed quota', 'ResourceQuota')} {NAMES[kind]}"
    assert found == [(Rule.COMPLETE, f"Namespace gpu-hpc-1: it has no {name}; declare all objects of a tenant")]


def test_a_namespace_without_the_page_is_complete():
    assert broken(lambda by_kind: by_kind["all"].remove(by_kind["ConfigMap"])) == []


def test_objects_without_their_namespace_are_told():
    found = broken(lambda by_kind: by_kind["all"].remove(by_kind["Namespace"]))
    message = "the program declares objects in it, but not the namespace itself"
    assert (Rule.COMPLETE, f"Namespace gpu-hpc-1: {message}; declare the namespace too") in found


def labelled(label, value):
    return lambda by_kind: by_kind["Namespace"]["metadata"]["labels"].update({label: value})


SAME = {"podSelector": {}}
INCOMPLETE = {
    "no enforcement": (labelled("pod-security.kubernetes.io/enforce", "baseline"), "enforce is 'baseline'"),
    "no audit": (labelled("pod-security.kubernetes.io/audit", None), "audit is None"),
    "no warning": (labelled("pod-security.kubernetes.io/warn", "privileged"), "warn is 'privileged'"),
    "an old level": (labelled("pod-security.kubernetes.io/enforce-version", "v1.20"), "an old version lets more in"),
    "no award": (annotated(gpuprov_award_id=""), "no annotation gpuprov.dev/award-id"),
    "another model": (annotated(gpuprov_gpu_model="A100"), "does not force A100"),
    "no such model": (annotated(gpuprov_gpu_model="H200"), "does not force H200"),
    "no limits": (spec("LimitRange", limits=[]), "pods are refused"),
    "limits for pods": (spec("LimitRange", limits=[{"type": "Pod", "default": {"cpu": "1", "memory": "1Gi"}}]), "pods"),
    "no memory": (spec("LimitRange", limits=[{"type": "Container", "default": {"cpu": "1"}}]), "pods are refused"),
    "ingress only": (spec("NetworkPolicy", policyTypes=["Ingress"]), "does not deny by default"),
    "some pods": (spec("NetworkPolicy", podSelector={"matchLabels": {"a": "b"}}), "does not deny by default"),
    "no selector": (spec("NetworkPolicy", podSelector=None), "does not deny by default"),
    "a rule for all": (spec("NetworkPolicy", ingress=[{}]), "opens ingress to everybody"),
    "an empty peer": (spec("NetworkPolicy", egress=[{"to": [SAME, {}]}]), "opens egress to everybody"),
    "all namespaces": (spec("NetworkPolicy", ingress=[{"from": [{"namespaceSelector": {}}]}]), "opens ingress"),
    "all addresses": (spec("NetworkPolicy", egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]), "opens egress"),
    "another role": (
        lambda by_kind: by_kind["RoleBinding"].update(roleRef={"kind": "ClusterRole", "name": "cluster-admin"}),
        "gives ClusterRole cluster-admin",
    ),
    "another group": (
        lambda by_kind: by_kind["RoleBinding"]["subjects"].append({"kind": "Group", "name": "system:authenticated"}),
        "lets Group system:authenticated in",
    ),
    "an account of another namespace": (
        lambda by_kind: by_kind["RoleBinding"]["subjects"].append(
            {"kind": "ServiceAccount", "name": "awardee", "namespace": "gpu-hpc-2"}
        ),
        "lets ServiceAccount awardee in",
    ),
    "nobody": (lambda by_kind: by_kind["RoleBinding"].update(subjects=[]), "access to nobody"),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_a_namespace_that_isolates_less_is_incomplete(name):
    change, message = INCOMPLETE[name]
    found = broken(change)
    assert [rule for rule, _ in found] == [Rule.COMPLETE]
    assert found[0][1].startswith("Namespace gpu-hpc-1: ")
    assert message in found[0][1]


def test_the_awards_service_account_may_be_let_in():
    own = {"kind": "ServiceAccount", "name": "awardee", "namespace": "gpu-hpc-1"}
    assert broken(lambda by_kind: by_kind["RoleBinding"]["subjects"].append(own)) == []


# 3. Nothing outside an award's namespace


def foreign(kind, name="x", namespace=None, api_version="v1"):
    about = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": about}


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (foreign("Pod", namespace="gpu-hpc-1"), "Pod x in gpu-hpc-1: objects of this kind belong to no award"),
        (
            foreign("ClusterRoleBinding", api_version="rbac.authorization.k8s.io/v1"),
            "objects of this kind belong to no",
        ),
        (foreign("ClusterRole", "cluster-admin", api_version="rbac.authorization.k8s.io/v1"), "belong to no award"),
        (foreign("ResourceQuota", "gpu", "gpu-hpc-1", "v2"), "objects of this kind belong to no award"),
        (foreign("Namespace", "kube-system"), "kube-system is not the namespace of an award that holds GPUs"),
        (
            foreign("Namespace", "gpu-hpc-9"),
            "gpu-hpc-9 is not the namespace of an award that holds GPUs at samsung-sds",
        ),
        (foreign("LimitRange", "defaults", "default"), "default is not the namespace of an award"),
        (foreign("LimitRange", "defaults"), "no namespace is not the namespace of an award"),
        (
            foreign("ResourceQuota", "more", "gpu-hpc-1"),
            "in a namespace of an award is named gpu or fixed",
        ),
        ({}, "objects of this kind belong to no award"),
    ],
)
def test_what_is_no_part_of_an_award_is_outside(one, message):
    found = list(OBJECT_RULES[Rule.INSIDE](one, bounds(FIRST)))
    assert {violation.rule for violation in found} == {Rule.INSIDE}
    assert message in found[0].text


def test_an_award_of_another_provider_is_outside():
    elsewhere = tenant("HPC-1", 8, cluster("kt-cloud", H100=8))
    assert {rule for rule, _ in said(written(FIRST), bounds(elsewhere))} >= {Rule.INSIDE, Rule.AWARD}


@pytest.mark.parametrize("label", ["app.kubernetes.io/managed-by", "gpuprov.dev/provider", "gpuprov.dev/award"])
def test_an_object_with_another_label_is_outside(label):
    found = broken(lambda by_kind: by_kind["LimitRange"]["metadata"]["labels"].update({label: "other"}))
    assert [(rule, f"its label {label} is 'other'" in text) for rule, text in found] == [(Rule.INSIDE, True)]


def test_the_role_that_all_share_is_the_charts_and_of_no_award():
    assert [rule for rule, _ in said([tenant_role()])] == [Rule.INSIDE]
