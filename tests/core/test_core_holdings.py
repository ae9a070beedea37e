"""GPUs count as held, by everybody who decides: the greater of what is granted and what pods hold."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import JULY, MARCH, award, cluster, desired, forfeited, live, reduced, seen, tenant

from gpuprov.core import guard
from gpuprov.core.guard import Confirmed
from gpuprov.core.holdings import held_after, held_now
from gpuprov.core.plan import Op, make_plan

SDS = cluster("samsung-sds", H100=200, A100=80)
SMALL = cluster("samsung-sds", H100=16)
H100 = "H100"


def here(award_id, gpus, where=SMALL, used=0, pods=None):
    observed = live(tenant(award_id, gpus, where), where, used)
    return observed if pods is None else replace(observed, pods={"nvidia.com/gpu": pods})


def decide(listed, *tenants, events=(), where=SMALL):
    state = desired(listed, [where], MARCH, events)
    observed = seen(where, *tenants)
    plan = make_plan(state, [observed], {where.provider: where})
    return plan, state, observed


def refused(listed, *tenants, events=()):
    plan, state, observed = decide(listed, *tenants, events=events)
    return guard.reasons(plan, state, [observed], {SMALL.provider: SMALL}, {}, Confirmed(teardown=99, change=99), JULY)


def test_gpus_that_a_reduced_award_still_holds_are_not_granted_by_the_run_after():
    """A was reduced to 8 of 16 by an earlier run, its pod runs on with 16: its tenant does not change any more."""
    listed, events = [award("A", 16), award("B", 8)], [reduced("A", MARCH, 8)]
    (reason,) = refused(listed, here("A", 8, used=16), events=events)
    assert "24 GPUs granted or still held by pods, 8 more than the capacity of 16" in reason
    assert refused(listed, here("A", 8, used=8), events=events) == []


def test_a_pod_that_no_quota_charges_any_more_still_holds_its_gpus():
    """As one that is stuck past its grace period, on a node that died."""
    listed = [award("A", 8), award("B", 8)]
    assert refused(listed, here("A", 8, used=0, pods=8)) == []
    (reason,) = refused(listed, here("A", 8, used=0, pods=9))
    assert "1 more than the capacity" in reason


def test_a_tenant_that_stays_though_nobody_wants_it_counts():
    """A plan for some awards only does not take it back."""
    plan, state, observed = decide([award("B", 8)], here("A", 16))
    assert held_after(plan, state, observed, SMALL) == {H100: 8}
    some = plan.where(lambda change: change.award_id == "B")
    assert held_after(some, state, observed, SMALL) == {H100: 24}


def test_a_tenant_of_an_unknown_model_counts_in_every_pool():
    unknown = live(tenant("A", 8, SDS), SDS)
    for name in ("gpuprov.dev/gpu-model", "scheduler.alpha.kubernetes.io/node-selector"):
        unknown.objects["Namespace", "gpu-a"]["metadata"]["annotations"].pop(name)
    plan, state, observed = decide([award("B", 8)], unknown, where=SDS)
    none = plan.where(lambda change: change.op is not Op.RECLAIM)
    assert held_after(none, state, observed, SDS) == {H100: 16, "A100": 8}


@pytest.mark.parametrize(("used", "hand", "command"), [(0, 16, 8), (12, 16, 12), (16, 16, 16)])
def test_by_hand_the_quota_that_shrinks_beside_the_growing_one_counts_too(used, hand, command):
    plan, state, observed = decide([award("A", 16)], here("A", 16, used=used), events=[reduced("A", MARCH, 8)])
    assert held_after(plan, state, observed, SMALL)[H100] == command
    assert held_after(plan, state, observed, SMALL, lowered_first=False)[H100] == hand


def test_by_hand_nothing_is_granted_from_what_the_same_run_would_free():
    events = [reduced("A", MARCH, 8)]
    plan, state, observed = decide([award("A", 16), award("B", 8)], here("A", 16), events=events)
    assert guard.reasons(plan, state, [observed], {SMALL.provider: SMALL}, {}, Confirmed(), JULY) == []
    (reason,) = guard.by_hand(plan, state, observed, SMALL)
    assert "would rest on GPUs that the same run frees (24 of 16 until then); run `gpuprov up" in reason
    shrinking = plan.where(lambda change: change.award_id == "A")
    assert guard.by_hand(shrinking, state, observed, SMALL) == []


def test_by_hand_nothing_is_taken_back():
    plan, state, observed = decide([award("A", 8)], here("A", 8), events=[forfeited("A", MARCH)])
    (reason,) = guard.by_hand(plan, state, observed, SMALL)
    assert reason.startswith(
        "samsung-sds: A must be taken back, which Pulumi can neither prove nor do in the right order"
    )


TENANTS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 8), st.booleans()), min_size=1, max_size=6
)


@given(TENANTS)
def test_what_a_plan_leaves_is_never_less_than_what_anybody_has(tenants):
    """Wanted GPUs (0: not in the list), granted now, held by pods now, and whether the tenant is there at all."""
    listed = [award(f"T{n}", want) for n, (want, *_) in enumerate(tenants) if want in (1, 2, 3, 4, 8)]
    present = [
        here(f"T{n}", has, where=SDS, pods=pods)
        for n, (_, has, pods, is_there) in enumerate(tenants)
        if is_there and has
    ]
    plan, state, observed = decide(listed, *present, where=SDS)
    wanted = {tenant.namespace: tenant.gpus for tenant in state.tenants}
    names = wanted.keys() | {tenant.namespace for tenant in present}
    pods = {tenant.namespace: tenant.pods["nvidia.com/gpu"] for tenant in present}
    gone = {change.namespace for change in plan.changes if change.op is Op.RECLAIM}
    least = sum(max(wanted.get(name, 0), pods.get(name, 0)) for name in names - gone)
    assert held_after(plan, state, observed, SDS)[H100] == least


@pytest.mark.parametrize(
    ("gpus", "used", "pods", "held"), [(8, 0, None, 8), (8, 9, 0, 9), (8, 0, 10, 10), (8, 0, 7, 8)]
)
def test_what_is_held_now_is_what_is_granted_or_where_that_is_more_what_pods_hold(gpus, used, pods, held):
    observed = seen(SMALL, here("A", gpus, used=used), here("B", 1)).with_pods(
        {} if pods is None else {"gpu-a": {"nvidia.com/gpu": pods}, "gpu-none": {"nvidia.com/gpu": 99}}
    )
    assert held_now(observed.tenants, SMALL) == {H100: held + 1}


def test_a_tenant_whose_pool_nothing_tells_holds_gpus_of_every_pool():
    (unknown,) = seen(SDS, live(tenant("A", 4, SDS), SDS)).tenants
    del unknown.objects["Namespace", "gpu-a"]["metadata"]["annotations"]
    assert held_now([unknown], SDS) == {H100: 4, "A100": 4}
