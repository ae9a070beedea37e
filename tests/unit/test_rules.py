"""The rules of a provider's cluster: what gpuprov writes keeps them, and each of them can be broken."""

from copy import deepcopy
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import AWARD_IDS, JANUARY, JULY, cluster, tenant, tenant_role

from gpuprov.cluster import GpuPool
from gpuprov.gpu import GpuModel
from gpuprov.manifests import tenant_manifests
from gpuprov.quantity import count, parse
from gpuprov.rules import OBJECT_RULES, STACK_RULES, Bounds, Rule, violations

SDS = cluster("samsung-sds", H100=16, A100=32)
FIRST, SECOND = tenant("HPC-1", 8, SDS), tenant("HPC-2", 16, SDS, "A100")
END = "gpuprov.dev/term-end"
START = "gpuprov.dev/term-start"
GPUS = "gpuprov.dev/gpus"
SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
KINDS = ("Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy", "RoleBinding")


def bounds(*tenants, where=SDS, end=JULY):
    return Bounds.of(where, tenants, end)


def written(*tenants, where=SDS):
    """The tenants' objects, to be changed by a test."""
    return deepcopy([dict(one) for each in tenants for one in tenant_manifests(each, where)])


def first(objects, kind):
    return next(one for one in objects if one["kind"] == kind)


def said(objects, limits=None):
    return [(one.rule, one.text) for one in violations(objects, limits or bounds(FIRST, SECOND))]


def broken(change, limits=None):
    """Change the objects of the two tenants, by kind those of the first one, and return what rules say then."""
    objects = written(FIRST, SECOND)
    change({kind: first(objects, kind) for kind in KINDS} | {"all": objects})
    return said(objects, limits)


# What gpuprov writes


@given(award_id=AWARD_IDS, gpus=st.integers(1, 5000), model=st.sampled_from(GpuModel), hours=st.integers(1, 24 * 181))
def test_every_tenant_that_fits_keeps_all_rules(award_id, gpus, model, hours):
    where = cluster("kt-cloud", H100=gpus, A100=gpus, H200=gpus)
    one = tenant(award_id, gpus, where, model, term_end=JANUARY + timedelta(hours=hours))
    assert said(written(one, where=where), bounds(one, where=where)) == []


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 120))
def test_quotas_are_within_the_capacity_exactly_when_their_sum_is(quotas, capacity):
    where = cluster("kt-cloud", H100=capacity, A100=10_000)
    tenants = [tenant(f"H-{index}", gpus, where) for index, gpus in enumerate(quotas)]
    others = [tenant(f"A-{index}", 1000, where, "A100") for index in range(3)]
    found = said(written(*tenants, *others, where=where), bounds(*tenants, *others, where=where))
    assert bool(found) is (sum(quotas) > capacity)
    over = sum(quotas) - capacity
    assert all(
        rule is Rule.CAPACITY and f"{over} more than the capacity of {capacity};" in text for rule, text in found
    )


def test_every_rule_is_one_or_the_other():
    assert {*OBJECT_RULES, *STACK_RULES} == set(Rule)
    assert not OBJECT_RULES.keys() & STACK_RULES.keys()


def test_nothing_breaks_no_rule():
    assert said([]) == []


# 1. The capacity of each model


def test_a_quota_counts_for_the_model_that_its_namespace_forces():
    over = tenant("HPC-3", 12, SDS)
    objects = written(FIRST, over)
    limits = bounds(FIRST, over)
    expected = [
        (Rule.CAPACITY, "H100: quotas grant 20 GPUs, 4 more than the capacity of 16; forfeit or reduce awards, ")
    ]
    assert [(rule, text[: len(expected[0][1])]) for rule, text in said(objects, limits)] == expected
    first(objects, "Namespace")["metadata"]["annotations"][SELECTOR] = "nvidia.com/gpu.product=NVIDIA-A100"
    assert {rule for rule, _ in said(objects, limits)} == {
        Rule.COMPLETE
    }  # 8 H100 less: the sum fits, the model is wrong


def test_a_quota_whose_namespace_forces_no_model_counts_for_each():
    where = cluster("samsung-sds", H100=8, A100=4)
    one = tenant("HPC-1", 8, where)
    objects = written(one, where=where)
    del first(objects, "Namespace")["metadata"]["annotations"][SELECTOR]
    found = said(objects, bounds(one, where=where))
    assert [text.partition(";")[0] for rule, text in found if rule is Rule.CAPACITY] == [
        "A100: quotas grant 8 GPUs, 4 more than the capacity of 4"
    ]


def test_pools_with_resource_names_of_their_own_are_told_apart_by_these():
    label = {"gpu": "yes"}
    pools = tuple(
        GpuPool(model=model, capacity=8, node_label=label, resource=f"nvidia.com/{model}") for model in ("H100", "A100")
    )
    where = SDS.model_copy(update={"pools": pools})
    one, two = tenant("HPC-1", 8, where), tenant("HPC-2", 8, where, "A100")
    assert said(written(one, two, where=where), bounds(one, two, where=where)) == []


# 2. Each namespace is complete


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_namespace_without_one_of_its_objects_is_incomplete(kind):
    found = broken(lambda one: one["all"].remove(one[kind]))
    assert found == [(Rule.COMPLETE, f"Namespace gpu-hpc-1: it has no {kind}; declare all objects of a tenant")]


def test_objects_without_their_namespace_are_told():
    found = broken(lambda one: one["all"].remove(one["Namespace"]))
    assert (
        Rule.COMPLETE,
        "Namespace gpu-hpc-1: it is not in the program, and what lies in it is; declare the namespace too",
    ) in found


def spec(kind, **fields):
    return lambda one: one[kind]["spec"].update(fields)


def annotated(**fields):
    return lambda one: one["Namespace"]["metadata"]["annotations"].update(
        {name.replace("_", "-").replace("gpuprov-", "gpuprov.dev/"): value for name, value in fields.items()}
    )


def labelled(label, value):
    return lambda one: one["Namespace"]["metadata"]["labels"].update({label: value})


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
        lambda one: one["RoleBinding"].update(roleRef={"kind": "ClusterRole", "name": "cluster-admin"}),
        "gives ClusterRole cluster-admin",
    ),
    "another group": (
        lambda one: one["RoleBinding"]["subjects"].append({"kind": "Group", "name": "system:authenticated"}),
        "lets Group system:authenticated in",
    ),
    "an account of another namespace": (
        lambda one: one["RoleBinding"]["subjects"].append(
            {"kind": "ServiceAccount", "name": "awardee", "namespace": "gpu-hpc-2"}
        ),
        "lets ServiceAccount awardee in",
    ),
    "nobody": (lambda one: one["RoleBinding"].update(subjects=[]), "access to nobody"),
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
    assert broken(lambda one: one["RoleBinding"]["subjects"].append(own)) == []


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
        (foreign("ResourceQuota", "more", "gpu-hpc-1"), "a namespace has one ResourceQuota, named gpu"),
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
    found = broken(lambda one: one["LimitRange"]["metadata"]["labels"].update({label: "other"}))
    assert [(rule, f"its label {label} is 'other'" in text) for rule, text in found] == [(Rule.INSIDE, True)]


def test_the_role_that_all_share_is_the_charts_and_of_no_award():
    assert [rule for rule, _ in said([tenant_role()])] == [Rule.INSIDE]


# 4. No quota above its award, and no other way to a GPU


def hard(**fields):
    return lambda one: one["ResourceQuota"]["spec"]["hard"].update(fields)


@given(st.integers(0, 40))
def test_a_quota_may_be_below_its_award_and_never_above(gpus):
    found = broken(hard(**{"requests.nvidia.com/gpu": str(gpus)}))
    above = {Rule.AWARD, Rule.ANNOTATED} if gpus > 8 else set()
    assert {rule for rule, _ in found} == above | ({Rule.CAPACITY} if gpus > 16 else set())


@pytest.mark.parametrize("value", ["9", 9, "9000m", "8001m", "1k", "9e0"])
def test_a_quantity_is_read_however_it_is_written(value):
    assert Rule.AWARD in {rule for rule, _ in broken(hard(**{"requests.nvidia.com/gpu": value}))}


@pytest.mark.parametrize("value", ["", "eight", None, "-1", "1.2.3", "known only when it is applied"])
def test_a_quantity_that_cannot_be_read_grants_nothing_that_is_known(value):
    found = broken(hard(**{"requests.nvidia.com/gpu": value}))
    assert [(rule, "does not say how many nvidia.com/gpu" in text) for rule, text in found] == [(Rule.AWARD, True)]


def test_the_annotation_may_not_say_more_than_the_award_nor_less_than_the_quota():
    assert [rule for rule, _ in broken(annotated(gpuprov_gpus="9"))] == [Rule.AWARD]
    assert [rule for rule, _ in broken(annotated(gpuprov_gpus="7"))] == [Rule.ANNOTATED]
    assert [rule for rule, _ in broken(annotated(gpuprov_gpus="many"))] == [Rule.ANNOTATED]


def test_a_reduced_award_bounds_its_quota():
    reduced = bounds(tenant("HPC-1", 4, SDS), SECOND)
    assert [(rule, "the award has 4" in text) for rule, text in broken(lambda one: None, reduced)] == [
        (Rule.AWARD, True),  # the annotation
        (Rule.AWARD, True),  # the quota
    ]


OTHERS = sorted(set(bounds(FIRST).gpu_keys) - {"requests.nvidia.com/gpu"})


@pytest.mark.parametrize("key", OTHERS)
def test_every_other_name_of_a_gpu_is_at_zero(key):
    raised = broken(hard(**{key: "1"}))
    assert [(rule, f"it grants 1 of {key}" in text) for rule, text in raised] == [(Rule.AWARD, True)]
    left_out = broken(lambda one: one["ResourceQuota"]["spec"]["hard"].pop(key))
    assert [(rule, f"{key} has no limit" in text) for rule, text in left_out] == [(Rule.AWARD, True)]


def test_the_names_are_slices_shared_gpus_and_device_classes():
    assert {
        "requests.nvidia.com/gpu.shared",
        "requests.nvidia.com/mig-1g.10gb",
        "gpu.nvidia.com.deviceclass.resource.k8s.io/devices",
        "requests.deviceclass.resource.kubernetes.io/gpu.nvidia.com",
    } <= set(OTHERS)


@pytest.mark.parametrize("key", ["limits.nvidia.com/gpu", "nvidia.com/gpu", "requests.nvidia.com/mig-9g.999gb"])
def test_a_name_that_nobody_listed_may_not_be_granted(key):
    assert [rule for rule, _ in broken(hard(**{key: "8"}))] == [Rule.AWARD]
    assert broken(hard(**{key: "0"})) == []


@pytest.mark.parametrize("field", [{"scopes": ["BestEffort"]}, {"scopeSelector": {"matchExpressions": [{}]}}])
def test_a_quota_for_some_pods_bounds_nothing(field):
    found = broken(spec("ResourceQuota", **field))
    assert [(rule, "it has scopes" in text) for rule, text in found] == [(Rule.AWARD, True)]


# 5. Terms


@pytest.mark.parametrize(
    ("end", "limit", "passes"),
    [
        ("2026-07-01T00:00:00+09:00", JULY, True),  # the end does not belong to the term
        ("2026-06-30T15:00:00+00:00", JULY, True),  # the same instant
        ("2026-07-01T00:00:00.000001+09:00", JULY, False),
        ("2026-07-01T00:00:00+00:00", JULY, False),
        ("2026-10-01T00:00:00+09:00", datetime.fromisoformat("2026-10-01T00:00+09:00"), True),  # of another round
        ("2026-10-01T00:00:01+09:00", datetime.fromisoformat("2026-10-01T00:00+09:00"), False),
    ],
)
def test_no_term_is_beyond_the_programmes(end, limit, passes):
    one = tenant("HPC-1", 8, SDS, term_end=datetime.fromisoformat(end))
    found = said(written(one), bounds(one, end=limit))
    assert [(rule, "set programmeEnd in Pulumi.yaml" in text) for rule, text in found] == [(Rule.TERM, True)] * (
        not passes
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gpuprov_term_start": "2026-07-01T00:00:00+09:00"}, "end it after its start"),
        ({"gpuprov_term_start": "2026-06-30T15:00:00Z"}, "end it after its start"),
        ({"gpuprov_term_end": "2026-06-30T00:00:00"}, "is '2026-06-30T00:00:00', no instant with an offset"),
        ({"gpuprov_term_start": "January"}, "is 'January', no instant with an offset"),
    ],
)
def test_a_term_is_two_aware_instants_in_order(fields, message):
    found = broken(annotated(**fields))
    assert [(rule, message in text) for rule, text in found] == [(Rule.TERM, True)]


def test_a_namespace_without_a_term_breaks_two_rules():
    found = broken(lambda one: one["Namespace"]["metadata"]["annotations"].pop(END))
    assert {rule for rule, _ in found} == {Rule.TERM, Rule.COMPLETE}


def test_a_term_may_not_outlive_the_awards():
    shorter = bounds(tenant("HPC-1", 8, SDS, term_end=JULY - timedelta(days=1)), SECOND)
    found = broken(lambda one: None, shorter)
    assert [(rule, "after the award's" in text) for rule, text in found] == [(Rule.TERM, True)]


# Programs may write anything


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.data())
def test_a_part_that_is_anything_else_never_raises(data):
    objects = written(FIRST)
    one = data.draw(st.sampled_from(objects))
    part = one
    while isinstance(part, (dict, list)) and part:
        parent, key = part, data.draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
        part = parent[key]
        if data.draw(st.booleans()):
            break
    parent[key] = data.draw(JSON)
    assert all(str(violation).endswith(f"({violation.rule})") for violation in violations(objects, bounds(FIRST)))


@given(st.integers(0, 10**15))
def test_a_count_is_read_as_it_was_written(number):
    assert parse(count(number)) == number
    assert parse(f"{number}m") == -(-number // 1000)


@pytest.mark.parametrize("text", ["", "x", "1.2.3", ".", "٣", "1 ", "1e", "1e9999", "0x10"])
def test_what_is_no_quantity_is_not_read(text):
    assert parse(text) is None
