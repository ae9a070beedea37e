"""What the guard refuses: wrong clusters, missing rules, GPUs that are held, broken rules. Masses: test_core_masses."""

from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from strategies import JULY, MARCH, SEOUL, award, cluster, desired, forfeited, live, reduced, seen, tenant

from gpuprov.core import guard
from gpuprov.core.guard import Confirmed
from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.plan import make_plan
from gpuprov.core.rules import Rule

SDS = cluster("samsung-sds", H100=16, A100=32)
KT = cluster("kt-cloud", H200=400)
JUNE = award().last_day
EVERYTHING = Confirmed(teardown=10_000, clusters=frozenset({"samsung-sds", "kt-cloud"}))


def refusals(awards, *observed, events=(), known=None, confirmed=None, clusters=(SDS, KT), end=JULY):
    by_name = {cluster.provider: cluster for cluster in clusters}
    state = desired(awards, clusters, MARCH, events)
    plan = make_plan(state, observed, by_name)
    return guard.reasons(plan, state, observed, by_name, known or {}, confirmed or Confirmed(), end)


def here(award_id, gpus, where=SDS, used=0, model=None):
    return live(tenant(award_id, gpus, where, model or where.pools[0].model), where, used)


# Which cluster is it?


@pytest.mark.parametrize("known", [{}, {"samsung-sds": "uid-1"}, {"kt-cloud": "uid-2"}])
def test_the_first_run_and_the_known_cluster_pass(known):
    assert refusals([award()], seen(SDS), known=known) == []


def test_another_cluster_is_refused_until_it_is_confirmed():
    (reason,) = refusals([award()], seen(SDS, uid="new"), known={"samsung-sds": "old"})
    assert "leads to the cluster new, but this stack was last applied to old" in reason
    assert "--accept-cluster samsung-sds" in reason
    for name, passes in {"samsung-sds": True, "kt-cloud": False}.items():
        confirmed = Confirmed(clusters=frozenset({name}), teardown=99)
        found = refusals([award()], seen(SDS, uid="new"), known={"samsung-sds": "old"}, confirmed=confirmed)
        assert (not found) is passes


# Do the rules hold there?


LACKING = ("the role gpuprov-tenant is not there", "policy gpuprov-gpu has no binding")
UNFIT = ("device class gpu.nvidia.com serves nvidia.com/gpu by DRA",)


def test_nothing_is_granted_on_a_cluster_that_is_not_set_up():
    (reason,) = refusals([award()], seen(SDS, missing=LACKING), confirmed=EVERYTHING)
    assert "(the role gpuprov-tenant is not there; policy gpuprov-gpu has no binding)" in reason
    assert "gpuprov setup --provider samsung-sds" in reason
    (reason,) = refusals([award("A", 4)], seen(SDS, here("A", 2), missing=LACKING[1:]))
    assert "lacks what charts/gpu-cluster brings (policy gpuprov-gpu has no binding)" in reason


def test_what_comes_back_or_stays_is_not_held_up_by_a_missing_chart():
    bare = seen(SDS, here("A", 8), missing=LACKING)
    assert refusals([award("A", 8)], bare) == []
    assert refusals([award("A", 4)], bare) == []
    assert refusals([award("A", 8)], bare, events=[forfeited("A", MARCH)]) == []


def test_the_chart_can_be_done_without_by_configuration():
    loose = SDS.model_copy(update={"require_chart": False})
    assert refusals([award()], seen(loose, missing=LACKING), clusters=[loose]) == []


def test_nothing_is_granted_where_it_could_not_be_used_and_no_configuration_does_without():
    loose = SDS.model_copy(update={"require_chart": False})
    (reason,) = refusals([award()], seen(loose, missing=LACKING, unfit=UNFIT), clusters=[loose], confirmed=EVERYTHING)
    assert reason.startswith(f"samsung-sds: awardees could not use what they are given ({UNFIT[0]});")
    assert len(refusals([award()], seen(SDS, missing=LACKING, unfit=UNFIT))) == 2
    held = seen(SDS, here("A", 8), unfit=UNFIT)
    assert refusals([award("A", 8)], held) == refusals([award("A", 4)], held) == []
    assert refusals([award("A", 8)], held, events=[forfeited("A", MARCH)]) == []


def test_a_cluster_that_is_pinned_must_be_the_one():
    pinned = cluster("samsung-sds", uid="pinned", H100=16)
    assert refusals([], seen(pinned, uid="pinned"), clusters=[pinned]) == []
    (reason,) = refusals([], seen(pinned, uid="new"), clusters=[pinned], confirmed=EVERYTHING)
    assert "leads to the cluster new, but the stack's configuration pins pinned" in reason
    (reason,) = refusals([], seen(pinned, uid="pinned"), clusters=[pinned], known={"samsung-sds": "old"})
    assert "last applied to old" in reason


# Is there room?


def test_a_full_pool_passes_and_one_more_gpu_does_not():
    assert refusals([award("A", 8), award("B", 8)], seen(SDS)) == []
    (reason,) = refusals([award("A", 8), award("B", 8), award("C", 1)], seen(SDS))
    assert reason.startswith("samsung-sds H100: 17 GPUs granted or still held by pods, 1 more than the capacity of 16;")


def test_each_model_has_its_own_room():
    assert refusals([award("A", 16), award("B", 32, "A100")], seen(SDS)) == []
    found = refusals([award("A", 24), award("B", 64, "A100")], seen(SDS))
    assert [reason.split(":")[0] for reason in found] == ["samsung-sds H100", "samsung-sds A100"]


def test_the_capacity_of_the_instant_counts():
    broken = [{"gpus": 16}, {"gpus": 8, "from": MARCH.isoformat()}]
    later = [{"gpus": 16}, {"gpus": 8, "from": (MARCH + timedelta(microseconds=1)).isoformat()}]
    for capacity, over in ((broken, ["8 more than the capacity of 8"]), (later, [])):
        where = cluster("samsung-sds", H100=capacity)
        found = refusals([award("A", 16)], seen(where), clusters=(where,))
        assert len(found) == len(over)
        assert all(expected in reason for expected, reason in zip(over, found, strict=True))


def test_nothing_overrides_the_capacity():
    (reason,) = refusals([award("A", 24)], seen(SDS), confirmed=EVERYTHING)
    assert "8 more than the capacity of 16" in reason


def test_a_plan_that_only_takes_back_always_passes():
    listed = [award("A", 16), award("B", 16)]
    observed = seen(SDS, here("A", 16), here("B", 16), here("C", 8))
    assert refusals(listed, observed) == []  # still 32 of 16, but nobody gets more
    assert refusals(listed, observed, events=[reduced("A", MARCH, 15)]) == []
    relabelled = here("B", 16)
    relabelled.objects["RoleBinding", "awardee"]["metadata"]["labels"].clear()
    assert refusals(listed, seen(SDS, here("A", 16), relabelled)) == []
    assert refusals([*listed, award("D", 1)], observed) != []
    assert refusals(listed, seen(SDS, here("A", 16), here("B", 15))) != []


@pytest.mark.parametrize(("used", "passes"), [(0, True), (8, True), (9, False), (16, False)])
def test_what_pods_of_a_shrinking_award_still_hold_is_not_free(used, passes):
    """A goes from 16 to 8, B wants the other 8."""
    found = refusals([award("A", 8), award("B", 8)], seen(SDS, here("A", 16, used=used)))
    assert (not found) is passes
    assert passes or f"{used + 8} GPUs granted or still held by pods" in found[0]


def test_gpus_of_awards_that_go_are_not_counted():
    """They are proven free before anybody gets them."""
    events = [forfeited("A", MARCH)]
    assert refusals([award("A", 16), award("B", 16)], seen(SDS, here("A", 16, used=16)), events=events) == []


def test_a_full_cluster_does_not_hold_up_the_others():
    listed = [award("A", 24), award("B", 8, "H200", provider="kt-cloud")]
    (reason,) = refusals(listed, seen(SDS), seen(KT))
    assert reason.startswith("samsung-sds")
    assert refusals(listed, seen(KT)) == []


# Do awards go in masses?


def test_an_award_list_that_lost_its_rows_is_stopped_and_a_forfeiture_is_not():
    listed = [award(name, 1) for name in "ABCD"]
    observed = seen(SDS, *(here(name, 1) for name in "ABCD"))
    assert len(refusals([listed[0]], observed)) == 1
    assert refusals(listed, observed, events=[forfeited(name, MARCH) for name in "ABCD"]) == []
    assert refusals(listed, observed, events=[forfeited(name, MARCH + timedelta(hours=1)) for name in "ABCD"]) == []


def test_every_broken_rule_is_told_at_once():
    observed = seen(SDS, *(here(name, 1) for name in "XYZ"), uid="new")
    found = refusals([award("A", 24)], observed, known={"samsung-sds": "old"})
    assert [
        word in reason for word, reason in zip(["last applied", "capacity", "live awards"], found, strict=True)
    ] == [
        True,
        True,
        True,
    ]


# The rules that the policy pack enforces too


def changed(change):
    """Let one object of every tenant be another than gpuprov writes."""

    def manifests(tenant, where):
        objects = [deepcopy(dict(manifest)) for manifest in tenant_manifests(tenant, where)]
        change({manifest["kind"]: manifest for manifest in objects})
        return objects

    return manifests


BROKEN = {
    Rule.AWARD: lambda by_kind: by_kind["ResourceQuota"]["spec"]["hard"].update({"requests.nvidia.com/gpu": "9"}),
    Rule.ANNOTATED: lambda by_kind: by_kind["Namespace"]["metadata"]["annotations"].update({"gpuprov.dev/gpus": "7"}),
    Rule.COMPLETE: lambda by_kind: by_kind["NetworkPolicy"]["spec"].update({"policyTypes": []}),
    Rule.INSIDE: lambda by_kind: by_kind["LimitRange"]["metadata"].update({"namespace": "default"}),
    Rule.TERM: lambda by_kind: by_kind["Namespace"]["metadata"]["annotations"].update({"gpuprov.dev/term-end": "June"}),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_manifests_that_break_a_rule_are_refused_before_they_are_written(rule, monkeypatch):
    monkeypatch.setattr(guard, "tenant_manifests", changed(BROKEN[rule]))
    found = refusals([award()], seen(SDS))
    assert any(reason.startswith("samsung-sds: ") and reason.endswith(f"({rule})") for reason in found)


def test_a_term_beyond_the_programmes_end_is_refused_until_the_end_is_moved():
    late = award("HPC-2", last_day=JUNE + timedelta(days=1))
    (reason,) = refusals([award(), late], seen(SDS))
    assert "Namespace gpu-hpc-2: its term ends at 2026-07-02T00:00:00+09:00, after the programme's end" in reason
    moved = datetime.fromisoformat("2026-07-02T00:00+09:00")
    assert refusals([award(), late], seen(SDS), end=moved) == []


def test_an_award_that_is_applied_already_counts_as_soon_as_anything_is_written():
    late = award("HPC-2", last_day=JUNE + timedelta(days=1))
    observed = live(tenant("HPC-2", 8, SDS, term_end=late.term(SEOUL).end), SDS)
    assert refusals([late], seen(SDS, observed)) == []
    assert len(refusals([late, award()], seen(SDS, observed))) == 1


def test_a_plan_that_only_takes_back_passes_whatever_the_rules_say():
    late = award("HPC-2", last_day=JUNE + timedelta(days=1))
    observed = [live(tenant(name, 8, SDS, term_end=late.term(SEOUL).end), SDS) for name in ("HPC-1", "HPC-2", "HPC-3")]
    first, other = award("HPC-1", last_day=late.last_day), award("HPC-3", last_day=late.last_day)
    events = [forfeited("HPC-1", MARCH), reduced("HPC-3", MARCH, 4)]
    assert refusals([first, late, other], seen(SDS, *observed), events=events) == []


def test_of_many_the_first_are_named_and_the_rest_counted():
    late = [award(f"HPC-{number}", 1, track="1", last_day=JUNE + timedelta(days=1)) for number in range(9)]
    found = refusals(late, seen(SDS))
    assert len(found) == 6
    assert found[-1] == "samsung-sds: and 4 more like it (term-within-programme)"


# By hand


def by_hand(awards, observed, events=()):
    state = desired(awards, [SDS], MARCH, events)
    plan = make_plan(state, [observed], {"samsung-sds": SDS})
    assert guard.reasons(plan, state, [observed], {"samsung-sds": SDS}, {}, Confirmed(), JULY) == []
    return guard.by_hand(plan, state, observed, SDS)


def terminating(observed):
    objects = deepcopy(dict(observed.objects))
    objects["Namespace", observed.namespace]["metadata"]["deletionTimestamp"] = "2026-03-01T02:59:59Z"
    return replace(observed, objects=objects)


def test_pulumi_up_by_hand_does_not_wait_for_a_namespace_that_is_being_deleted():
    """It would write into what goes, or find nothing to do, and either way there would be no tenant in the end."""
    (reason,) = by_hand([award("A"), award("B")], seen(SDS, terminating(here("A", 8)), here("B", 8)))
    assert reason.startswith("samsung-sds: the namespace of A is being deleted, for which Pulumi does not wait; ")
    assert "`gpuprov up --provider samsung-sds`" in reason
    assert by_hand([award("A"), award("B")], seen(SDS, here("A", 4), here("B", 8))) == []


def test_a_namespace_that_goes_and_is_to_go_is_told_once():
    (reason,) = by_hand([award("A")], seen(SDS, terminating(here("A", 8))), [forfeited("A", MARCH)])
    assert "A must be taken back" in reason
