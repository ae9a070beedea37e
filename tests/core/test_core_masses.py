"""Whether awards lose something in masses that nothing explains: teardown, model, supplier, GPUs, group."""

from fractions import Fraction

import pytest
from strategies import JULY, MARCH, award, cluster, desired, live, reduced, seen, tenant

from gpuprov.core import guard
from gpuprov.core.guard import Confirmed
from gpuprov.core.observed import ObservedTenant
from gpuprov.core.plan import Change, Loss, Op, Plan, make_plan
from gpuprov.core.tenant import Desired

BOTH = cluster("samsung-sds", H100=400, A100=400)
KT = cluster("kt-cloud", H200=400)


def teardown(counts, confirmed=0, expected=()):
    """Refusals of a plan that reclaims, of each provider, some of its tenants without and some with explanation."""
    changes, observed = [], []
    for provider, (live_tenants, gone) in counts.items():
        where = cluster(provider, H100=8)
        bare = [ObservedTenant(namespace=f"gpu-{number}", objects={}) for number in range(live_tenants)]
        observed.append(seen(where, *bare))
        changes += [
            Change(
                op=Op.RECLAIM,
                provider=provider,
                award_id=f"HPC-{number}",
                organization="한빛대학교",
                namespace=f"gpu-{number}",
                model="H100",
                before=8,
                after=0,
                used=0,
                reasons=("not in the award list",),
                loss=None if number in expected else Loss.TEARDOWN,
            )
            for number in range(gone)
        ]
    plan = Plan(at=MARCH, changes=tuple(changes), unchanged=0, providers=tuple(counts))
    state = Desired(at=MARCH, tenants=(), absences=())
    clusters = {provider: cluster(provider, H100=8) for provider in counts}
    return guard.reasons(plan, state, observed, clusters, {}, Confirmed(teardown=confirmed), JULY)


def test_up_to_a_fifth_may_go_and_one_always_may():
    assert guard.MASS_CHANGE_PERCENT == 20
    for live_tenants in range(1, 41):
        for gone in range(live_tenants + 1):
            refused = gone >= 2 and Fraction(gone, live_tenants) > Fraction(1, 5)
            assert bool(teardown({"samsung-sds": (live_tenants, gone)})) is refused, (gone, live_tenants)


@pytest.mark.parametrize(("live_tenants", "gone", "passes"), [(10, 2, True), (9, 2, False), (10, 3, False)])
def test_the_edge_of_a_fifth(live_tenants, gone, passes):
    assert (teardown({"samsung-sds": (live_tenants, gone)}) == []) is passes


def test_the_refusal_says_what_goes_and_how_to_confirm_it():
    (reason,) = teardown({"samsung-sds": (10, 7)})
    assert reason.startswith("samsung-sds: 7 of 10 live awards would be torn down though neither the ledger nor")
    assert "(HPC-0, HPC-1, HPC-2, HPC-3, HPC-4 …: not in the award list)" in reason
    assert reason.endswith("--allow-teardown 7")


def test_the_confirmation_must_cover_all_that_goes():
    counts = {"samsung-sds": (10, 5), "kt-cloud": (10, 4)}
    assert len(teardown(counts)) == len(teardown(counts, confirmed=8)) == 2
    assert all(reason.endswith("--allow-teardown 9") for reason in teardown(counts, confirmed=5))
    assert teardown(counts, confirmed=9) == teardown(counts, confirmed=10) == []


def test_the_share_is_that_of_each_cluster():
    assert [reason.split(":")[0] for reason in teardown({"samsung-sds": (100, 2), "kt-cloud": (2, 2)})] == ["kt-cloud"]
    assert teardown({"samsung-sds": (5, 1), "kt-cloud": (5, 1)}) == []


def test_a_few_on_each_of_many_clusters_are_a_mass_too():
    (reason,) = teardown({"samsung-sds": (4, 1), "kt-cloud": (4, 1), "elice-cloud": (4, 1)})
    assert reason.startswith("all providers: 3 of 12 live awards would be torn down")
    assert reason.endswith("--allow-teardown 3")


def test_explained_reclaims_are_not_counted():
    assert teardown({"samsung-sds": (10, 10)}, expected=range(10)) == []
    assert teardown({"samsung-sds": (10, 10)}, expected=range(8)) == []
    (reason,) = teardown({"samsung-sds": (10, 10)}, expected=range(7))
    assert "3 of 10" in reason


# Masses that are no teardown


def refused(listed, observed, *, events=(), clusters=(BOTH, KT), confirmed=None):
    by_name = {where.provider: where for where in clusters}
    state = desired(listed, clusters, MARCH, events)
    return guard.reasons(
        make_plan(state, observed, by_name), state, observed, by_name, {}, confirmed or Confirmed(), JULY
    )


NAMES = [f"HPC-{number}" for number in range(10)]
EIGHT_EACH = seen(BOTH, *(live(tenant(name, 8, BOTH), BOTH) for name in NAMES))


def test_all_quantities_set_to_one_are_stopped_and_reductions_of_the_ledger_are_not():
    ones = [award(name, 1) for name in NAMES]
    (reason,) = refused(ones, [EIGHT_EACH])
    assert reason.startswith("samsung-sds: 10 of 10 live awards would be reduced, or lose their access,")
    assert reason.endswith("--allow-change 10")
    assert len(refused(ones, [EIGHT_EACH], confirmed=Confirmed(teardown=99, change=9))) == 1
    assert refused(ones, [EIGHT_EACH], confirmed=Confirmed(change=10)) == []
    listed = [award(name, 8) for name in NAMES]
    assert refused(listed, [EIGHT_EACH], events=[reduced(name, MARCH, 1) for name in NAMES]) == []


def test_a_reduction_in_the_list_beyond_the_ledgers_is_not_explained_by_it():
    events = [reduced(name, MARCH, 4) for name in NAMES]
    assert len(refused([award(name, 2) for name in NAMES], [EIGHT_EACH], events=events)) == 1


def test_quotas_that_were_raised_by_hand_are_put_right_without_a_word():
    tenants = [live(tenant(name, 8, BOTH), BOTH) for name in NAMES]
    for observed in tenants:
        observed.objects["ResourceQuota", "gpu"]["spec"]["hard"]["requests.nvidia.com/gpu"] = "64"
    assert refused([award(name, 8) for name in NAMES], [seen(BOTH, *tenants)]) == []


def test_a_column_that_was_filled_down_with_another_model_is_stopped():
    (reason,) = refused([award(name, 32, "A100") for name in NAMES], [EIGHT_EACH])
    assert "10 of 10 live awards would be torn down" in reason
    assert "now 32 A100" in reason
    assert reason.endswith("--allow-teardown 10")


def test_a_column_that_was_filled_down_with_another_supplier_is_stopped():
    moved = [award(name, 8, "H200", provider="kt-cloud") for name in NAMES]
    (reason,) = refused(moved, [EIGHT_EACH, seen(KT)])
    assert "now at kt-cloud" in reason


def test_another_group_prefix_for_all_is_stopped():
    other = BOTH.model_copy(update={"group_prefix": "oidc:"})
    listed = [award(name, 8) for name in NAMES]
    (reason,) = refused(listed, [EIGHT_EACH], clusters=(other, KT))
    assert reason.endswith("--allow-change 10")
    assert refused(listed, [EIGHT_EACH], clusters=(other, KT), confirmed=Confirmed(change=10)) == []


def test_a_binding_that_is_missing_is_no_other_group():
    tenants = [live(tenant(name, 8, BOTH), BOTH) for name in NAMES]
    for observed in tenants:
        del observed.objects["RoleBinding", "awardee"]
    assert refused([award(name, 8) for name in NAMES], [seen(BOTH, *tenants)]) == []
