"""The rules of quotas: none is above its award, and there is no other way to a GPU."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_objects import FIRST, SDS, SECOND, annotated, bounds, broken, said, spec, written
from strategies import MARCH, cluster, tenant

from gpuprov.core.rules import Rule

# 4. No quota above its award, and no other way to a GPU


def hard(quota="ResourceQuota", **fields):
    return lambda by_kind: by_kind[quota]["spec"]["hard"].update(fields)


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
    assert [(rule, "the award has 4" in text) for rule, text in broken(lambda by_kind: None, reduced)] == [
        (Rule.AWARD, True),  # the annotation
        (Rule.AWARD, True),  # the quota
    ]


OTHERS = sorted(set(bounds(FIRST).gpu_keys) - {"requests.nvidia.com/gpu"})


@pytest.mark.parametrize("key", OTHERS)
def test_every_other_name_of_a_gpu_is_at_zero(key):
    for quota in ("ResourceQuota", "fixed quota"):
        raised = broken(hard(quota, **{key: "1"}))
        assert [(rule, f"it grants 1 of {key}" in text) for rule, text in raised] == [(Rule.AWARD, True)]
    left_out = broken(lambda by_kind: by_kind["fixed quota"]["spec"]["hard"].pop(key))
    assert [(rule, f"{key} has no limit" in text) for rule, text in left_out] == [(Rule.AWARD, True)]


def test_the_quota_that_is_the_same_for_all_grants_nothing():
    granting = hard("fixed quota", **{"requests.nvidia.com/gpu": "8"})
    assert [(rule, "it grants 8 of requests.nvidia.com/gpu" in text) for rule, text in broken(granting)] == [
        (Rule.AWARD, True)
    ]


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


@pytest.mark.parametrize(("later", "over"), [(0, True), (1, False)])
def test_quotas_are_within_the_capacity_of_the_instant(later, over):
    begins = (MARCH + timedelta(seconds=later)).isoformat()
    where = cluster("samsung-sds", H100=[{"gpus": 8}, {"gpus": 7, "from": begins}])
    desired_tenant = tenant("HPC-1", 8, where)
    found = said(written(desired_tenant, where=where), bounds(desired_tenant, where=where))
    expected = "H100: quotas grant 8 GPUs, 1 more than the capacity of 7"
    assert [(rule, text.startswith(expected)) for rule, text in found] == ([(Rule.CAPACITY, True)] if over else [])
