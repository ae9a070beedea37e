"""Jobs from a plan: what each provider's process has to do."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from strategies import MARCH, PROGRAMME, award, cluster, desired, forfeited, live, reduced, seen, tenant

from gpuprov.core.outputs import Origin, StackOutputs, summary
from gpuprov.core.plan import make_plan
from gpuprov.errors import InputError
from gpuprov.load.project import Project
from gpuprov.run.apply import make_jobs
from gpuprov.run.job import Reclaim
from gpuprov.run.pipeline import PlanContext, select

SDS = cluster("samsung-sds", H100=200, A100=80)
KT = cluster("kt-cloud", H200=400)
PROJECT = Project(
    root=Path("project"),
    name="gpuprov",
    clusters=(SDS, KT),
    awards=(),
    ledger=Path("ledger"),
    columns=None,
    programme=PROGRAMME,
)
SAME = object()
ORIGIN = Origin(providers=("kt-cloud", "samsung-sds"), ledger={"events": 0, "sha256": ""})


def planned(awards, tenants, *, granted=SAME, events=(), before=(), context="samsung-sds"):
    """A situation on samsung-sds. ``granted``: awards and GPUs of the last outputs, all that is desired if not given.

    ``before`` and ``context``: the cluster's UID and the context that the stack knows.
    """
    state = desired(awards, (SDS, KT), MARCH, events)
    recorded = summary(
        state.tenants if granted is SAME else [tenant(name, gpus, SDS) for name, gpus in granted.items()]
    )
    observed = (seen(SDS, *tenants, uid="uid-1"),)
    outputs = StackOutputs(
        cluster_uid=before[0] if before else "uid-1",
        context=context,
        stacks=("samsung-sds",),
        tenants=json.loads(json.dumps(recorded)),
    )
    return PlanContext(
        project=PROJECT,
        files={},
        origin=ORIGIN,
        events=tuple(events),
        desired=state,
        observed=observed,
        outputs={"samsung-sds": outputs},
        plan=make_plan(state, observed, PROJECT.by_provider),
    )


def job(*args, only=None, accept=(), **kwargs):
    (made,) = make_jobs(planned(*args, **kwargs), timeout=1.0, only=only, accept=accept)
    return made


def here(award_id, gpus=8, used=0):
    return live(tenant(award_id, gpus, SDS), SDS, used)


A, B, C = award("A"), award("B"), award("C")


def test_a_job_has_the_instant_of_the_decision():
    assert job([A], []).at == MARCH


def test_where_nothing_differs_there_is_nothing_to_do():
    made = job([A, B], [here("A"), here("B")])
    assert (made.empty, made.changed, made.growing, made.shrinking, made.reclaim, made.refresh) == (
        True,
        (),
        (),
        (),
        (),
        False,
    )


def test_a_job_knows_its_cluster_and_its_tenants():
    made = job([A, B], [here("A")], granted={"A": 8})
    assert (made.root, made.project, made.cluster, made.timeout) == (Path("project"), "gpuprov", SDS, 1.0)
    assert made.cluster_uid == "uid-1"
    assert [tenant.award_id for tenant in made.tenants] == ["A", "B"]
    assert set(made.recorded) == {"A"}


def test_new_awards_grow_and_need_no_refresh():
    made = job([A, B], [here("A")], granted={"A": 8})
    assert (made.changed, made.growing, made.shrinking, made.reclaim, made.refresh) == (("B",), ("B",), (), (), False)


def test_an_award_whose_namespace_was_deleted_by_hand_needs_a_refresh():
    made = job([A], [])
    assert (made.changed, made.growing, made.refresh) == (("A",), ("A",), True)


def test_a_reduced_award_is_lowered():
    made = job([A], [here("A")], granted={"A": 8}, events=[reduced("A", MARCH, 3)])
    assert (made.changed, made.growing, made.shrinking, made.reclaim, made.refresh) == (("A",), (), ("A",), (), True)


def test_a_quota_that_was_raised_by_hand_is_lowered_and_a_lowered_one_grows():
    assert job([A], [here("A", 80)]).shrinking == ("A",)
    assert job([A], [here("A", 2)]).growing == ("A",)


def test_drift_beside_the_quota_neither_grows_nor_shrinks():
    observed = here("A")
    objects = {key: value for key, value in observed.objects.items() if key[0] != "NetworkPolicy"}
    made = job([A], [type(observed)(namespace=observed.namespace, objects=objects)])
    assert (made.changed, made.growing, made.shrinking, made.refresh) == (("A",), (), (), True)


def test_a_forfeited_award_is_reclaimed_with_what_its_quota_grants():
    made = job([A, B], [here("A", 5), here("B")], granted={"A": 8, "B": 8}, events=[forfeited("A", MARCH)])
    assert made.reclaim == (Reclaim(award_id="A", namespace="gpu-a", model="H100", gpus=5),)
    assert (made.changed, made.growing, made.shrinking, made.refresh) == (("A",), (), (), False)


def test_a_namespace_that_the_state_does_not_know_needs_a_refresh_before_it_is_reclaimed():
    made = job([], [here("A")], granted={})
    assert (made.changed, [reclaim.award_id for reclaim in made.reclaim], made.refresh) == (("A",), ["A"], True)


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ({"A": 8, "B": 8}, ()),
        ({}, ("A", "B")),  # killed before it could write its outputs
        ({"A": 8}, ("B",)),
        ({"A": 8, "B": 4}, ("B",)),
        ({"A": 8, "B": 8, "C": 8}, ("C",)),  # gone from the cluster, not from the state
        ({"C": 8}, ("A", "B", "C")),
    ],
)
def test_outputs_that_say_otherwise_are_made_good(said, changed):
    made = job([A, B], [here("A"), here("B")], granted=said)
    assert (made.changed, made.growing, made.shrinking, made.reclaim) == (changed, (), (), ())
    assert made.recorded.keys() == said.keys()


def test_outputs_of_another_term_or_model_are_otherwise():
    outputs = summary([tenant("A", 8, SDS, "A100"), tenant("B", 8, SDS, term_end=MARCH)])
    made = planned([A, B, C], [here("A"), here("B"), here("C")])
    recorded = {**made.outputs["samsung-sds"].tenants, **outputs}
    made.outputs["samsung-sds"] = StackOutputs(cluster_uid="uid-1", context="samsung-sds", tenants=recorded)
    assert make_jobs(made, timeout=1)[0].changed == ("A", "B")


def test_a_job_in_which_nothing_differs_starts_a_process_only_to_give_back_the_turn_of_a_killed_run():
    listed = ([A], [here("A")])
    made = planned(*listed)
    abandoned = replace(made, observed=tuple(replace(each, abandoned=True) for each in made.observed))
    ((one,), (other,)) = (make_jobs(context, timeout=1) for context in (made, abandoned))
    assert (one.empty, one.idle) == (True, True)
    assert (other.empty, other.idle) == (True, False)


def test_a_job_may_be_limited_to_some_awards():
    observed = [here("B"), here("C", 8), here("D", 16)]
    listed, granted = [A, B, C], {"B": 4, "C": 8, "D": 16}
    events = [reduced("C", MARCH, 2)]
    whole = job(listed, observed, granted=granted, events=events)
    assert (whole.changed, whole.growing, whole.shrinking) == (("A", "B", "C", "D"), ("A",), ("C",))
    assert [reclaim.award_id for reclaim in whole.reclaim] == ["D"]
    for name in "ABCD":
        part = job(listed, observed, granted=granted, events=events, only=[name])
        assert part.changed == (name,)
        assert part.growing == tuple(award_id for award_id in whole.growing if award_id == name)
        assert part.shrinking == tuple(award_id for award_id in whole.shrinking if award_id == name)
        assert part.reclaim == tuple(reclaim for reclaim in whole.reclaim if reclaim.award_id == name)
        assert (part.tenants, part.recorded) == (whole.tenants, whole.recorded)
    assert job(listed, observed, granted=granted, events=events, only=["X"]).empty
    assert job(listed, observed, granted=granted, events=events, only=["A"]).refresh is False
    assert job(listed, observed, granted=granted, events=events, only=["C"]).refresh is True


@pytest.mark.parametrize(
    ("before", "accept", "changed"),
    [
        ("uid-1", ["samsung-sds"], ()),
        (None, ["samsung-sds"], ()),  # never applied before: nothing was replaced
        ("old", [], ()),
        ("old", ["kt-cloud"], ()),
        ("old", ["samsung-sds"], ("A", "B")),
    ],
)
def test_everything_is_looked_at_again_on_a_replaced_cluster(before, accept, changed):
    made = job([A, B], [here("A"), here("B")], before=[before], accept=accept)
    assert (made.changed, made.refresh, made.cluster_uid) == (changed, bool(changed), "uid-1")


def test_a_renamed_context_is_written_even_where_nothing_else_differs():
    made = job([A, B], [here("A"), here("B")], context="old")
    assert (made.empty, made.reconnect, made.changed) == (False, True, ())
    for other in (
        job([A, B], [here("A"), here("B")]),
        job([A, B], [here("A"), here("B")], context="old", only=["A"]),
        job([A], [], granted={}, context=None),  # the first run has no context to change
    ):
        assert not other.reconnect


def test_each_observed_provider_gets_a_job_of_its_own():
    listed = [A, award("K", 8, "H200", provider="kt-cloud")]
    state = desired(listed, (SDS, KT))
    observed = (seen(KT), seen(SDS))
    whole = PlanContext(
        project=PROJECT,
        files={},
        origin=ORIGIN,
        events=(),
        desired=state,
        observed=observed,
        outputs={"samsung-sds": StackOutputs(), "kt-cloud": StackOutputs()},
        plan=make_plan(state, observed, PROJECT.by_provider),
    )
    jobs = make_jobs(whole, timeout=1)
    assert [(job.cluster.provider, job.changed) for job in jobs] == [("kt-cloud", ("K",)), ("samsung-sds", ("A",))]


@pytest.mark.parametrize(
    ("said", "reshard"),
    [
        (StackOutputs(), False),
        (StackOutputs(shards=3, tenants={"A": {}}), True),
        (StackOutputs(shards=1, tenants={"A": {}}), False),
        (StackOutputs(shards=1, tenants={"A": {}}, misplaced=1), True),
        (StackOutputs(shards=3), False),  # nothing is there to be moved
    ],
)
def test_state_is_moved_where_the_number_of_stacks_or_an_awards_place_differs(said, reshard):
    made = planned([A], [here("A")])
    made.outputs["samsung-sds"] = said
    assert make_jobs(made, timeout=1)[0].reshard is reshard


def test_providers_are_selected_in_the_order_of_the_project():
    assert select([SDS, KT], []) == ["samsung-sds", "kt-cloud"]
    assert select([SDS, KT], ["kt-cloud", "samsung-sds", "kt-cloud"]) == ["samsung-sds", "kt-cloud"]
    with pytest.raises(InputError) as caught:
        select([SDS, KT], ["kt-cloud", "x", "y"])
    assert [problem.value for problem in caught.value.problems] == ["x", "y"]
