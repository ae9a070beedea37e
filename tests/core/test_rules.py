"""The rules of a provider's cluster: what gpuprov writes keeps them, and each of them can be broken.

Here: all rules together, those of the capacity and of terms, and objects that may be anything.
"""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_objects import FIRST, SDS, SECOND, annotated, bounds, broken, first, said, written
from strategies import AWARD_IDS, JANUARY, JULY, MODELS, cluster, tenant

from gpuprov.core.cluster import GpuPool
from gpuprov.core.quantity import count, parse
from gpuprov.core.rules import OBJECT_RULES, STACK_RULES, Rule, violations

END = "gpuprov.dev/term-end"
SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"


# What gpuprov writes


@given(award_id=AWARD_IDS, gpus=st.integers(1, 5000), model=st.sampled_from(MODELS), hours=st.integers(1, 24 * 181))
def test_every_tenant_that_fits_keeps_all_rules(award_id, gpus, model, hours):
    where = cluster("kt-cloud", H100=gpus, A100=gpus, H200=gpus)
    desired_tenant = tenant(award_id, gpus, where, model, term_end=JANUARY + timedelta(hours=hours))
    assert said(written(desired_tenant, where=where), bounds(desired_tenant, where=where)) == []


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
    desired_tenant = tenant("HPC-1", 8, where)
    objects = written(desired_tenant, where=where)
    del first(objects, "Namespace")["metadata"]["annotations"][SELECTOR]
    found = said(objects, bounds(desired_tenant, where=where))
    assert [text.partition(";")[0] for rule, text in found if rule is Rule.CAPACITY] == [
        "A100: quotas grant 8 GPUs, 4 more than the capacity of 4"
    ]


def test_pools_with_resource_names_of_their_own_are_told_apart_by_these():
    label = {"gpu": "yes"}
    pools = tuple(
        GpuPool(model=model, capacity=8, node_label=label, resource=f"nvidia.com/{model}") for model in ("H100", "A100")
    )
    where = SDS.model_copy(update={"pools": pools})
    h100_tenant, a100_tenant = tenant("HPC-1", 8, where), tenant("HPC-2", 8, where, "A100")
    assert said(written(h100_tenant, a100_tenant, where=where), bounds(h100_tenant, a100_tenant, where=where)) == []


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
    desired_tenant = tenant("HPC-1", 8, SDS, term_end=datetime.fromisoformat(end))
    found = said(written(desired_tenant), bounds(desired_tenant, end=limit))
    assert [(rule, "set programmeEnd in Pulumi.yaml" in text) for rule, text in found] == [(Rule.TERM, True)] * (
        not passes
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gpuprov_term_start": "2026-07-01T00:00:00+09:00"}, "end it after its start"),
        ({"gpuprov_term_start": "2026-06-30T15:00:00Z"}, "end it after its start"),
        ({"gpuprov_term_end": "2026-06-30T00:00:00"}, "is '2026-06-30T00:00:00', not a timestamp with an offset"),
        ({"gpuprov_term_start": "January"}, "is 'January', not a timestamp with an offset"),
    ],
)
def test_a_term_is_two_aware_instants_in_order(fields, message):
    found = broken(annotated(**fields))
    assert [(rule, message in text) for rule, text in found] == [(Rule.TERM, True)]


def test_a_namespace_without_a_term_breaks_two_rules():
    found = broken(lambda by_kind: by_kind["Namespace"]["metadata"]["annotations"].pop(END))
    assert {rule for rule, _ in found} == {Rule.TERM, Rule.COMPLETE}


def test_a_term_may_not_outlive_the_awards():
    shorter = bounds(tenant("HPC-1", 8, SDS, term_end=JULY - timedelta(days=1)), SECOND)
    found = broken(lambda by_kind: None, shorter)
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
    manifest = data.draw(st.sampled_from(objects))
    part = manifest
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
