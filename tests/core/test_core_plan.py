"""What differs between a cluster and the desired state, and why: for one tenant, and for many."""

import json
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import CLUSTERS, KT, SDS, edited, only, plan
from strategies import MARCH, award, desired, extended, live, reduced, seen, tenant

from gpuprov.core.plan import Loss, Op, make_plan

# Plans of one tenant.


def test_a_tenant_that_is_not_there_is_created():
    change = only([award("HPC-1", 8)])
    assert (change.op, change.before, change.after, change.used, change.expected) == (Op.CREATE, 0, 8, 0, True)
    assert (change.provider, change.award_id, change.namespace) == ("samsung-sds", "HPC-1", "gpu-hpc-1")
    assert change.reasons == ("term to 2026-07-01T00:00+09:00, no namespace yet",)


def test_a_tenant_that_is_as_it_should_be_is_left_alone():
    made = plan([award("HPC-1", 8)], seen(SDS, live(tenant(where=SDS), SDS, used=8)))
    assert (made.changes, made.unchanged, made.providers) == ((), 1, ("samsung-sds",))


def test_a_reduced_award_is_updated():
    events = [reduced("HPC-1", MARCH, 3)]
    observed = live(tenant(where=SDS), SDS, used=6)
    change = only([award("HPC-1", 8)], observed, events=events)
    assert (change.op, change.before, change.after, change.used) == (Op.UPDATE, 8, 3, 6)
    assert change.reasons[0] == "the quota grants 8 H100, the award has 3"
    assert plan([award("HPC-1", 8)], seen(SDS, observed), at=MARCH - timedelta(hours=1), events=events).changes == ()


def test_an_extended_term_is_written_to_the_cluster():
    change = only([award()], live(tenant(where=SDS), SDS), events=[extended("HPC-1", MARCH, date(2026, 7, 31))])
    assert (change.op, change.before, change.after) == (Op.UPDATE, 8, 8)
    reason, *pages = change.reasons
    assert reason == (
        "Namespace gpu-hpc-1: metadata.annotations.gpuprov.dev/term-end is '2026-07-01T00:00:00+09:00', "
        "should be '2026-08-01T00:00:00+09:00'"
    )
    assert pages == ["ConfigMap welcome: what it tells the awardee is not up to date"]


def _grant(quota):
    quota["spec"]["hard"] |= {"requests.nvidia.com/gpu": "80"}


def _drop_label(binding):
    del binding["metadata"]["labels"]["gpuprov.dev/award"]


def _second_subject(binding):
    binding["subjects"].append({"kind": "User", "name": "friend"})


def _no_selector(namespace):
    del namespace["metadata"]["annotations"]["scheduler.alpha.kubernetes.io/node-selector"]


def _open_ingress(policy):
    policy["spec"]["ingress"].append({})


def _privileged(namespace):
    namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"


def _terminate(namespace):
    namespace["metadata"]["deletionTimestamp"] = "2026-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("kind", "edit", "reason"),
    [
        ("ResourceQuota", _grant, "the quota grants 80 H100, the award has 8"),
        ("RoleBinding", _drop_label, "metadata.labels.gpuprov.dev/award is None, should be 'hpc-1'"),
        ("RoleBinding", _second_subject, "RoleBinding awardee: subjects is "),
        ("Namespace", _no_selector, "should be 'nvidia.com/gpu.product=NVIDIA-H100'"),
        ("Namespace", _privileged, "is 'privileged', should be 'restricted'"),
        ("NetworkPolicy", _open_ingress, "NetworkPolicy isolation: spec.ingress is "),
        ("Namespace", _terminate, "the namespace is being deleted"),
    ],
)
def test_what_somebody_did_by_hand_is_found(kind, edit, reason):
    change = only([award()], edited(live(tenant(where=SDS), SDS), kind, edit))
    assert change.op is Op.UPDATE
    assert len(change.reasons) == 1
    assert reason in change.reasons[0]


def _narrow(policy):
    policy["spec"]["podSelector"] = {"matchLabels": {"app": "web"}}


def _all_namespaces(policy):
    policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"] = {}


@pytest.mark.parametrize("edit", [_narrow, _all_namespaces])
def test_a_network_policy_that_isolates_less_is_found(edit):
    observed = edited(live(tenant(where=SDS), SDS), "NetworkPolicy", edit)
    assert plan([award()], seen(SDS, observed)).changes


@pytest.mark.parametrize(
    "kind", ["ResourceQuota gpu", "ResourceQuota fixed", "LimitRange", "NetworkPolicy", "ConfigMap", "RoleBinding"]
)
def test_a_missing_object_is_found(kind):
    observed = live(tenant(where=SDS), SDS, used=8)
    left = {key: manifest for key, manifest in observed.objects.items() if not " ".join(key).startswith(kind)}
    change = only([award()], replace(observed, objects=left))
    assert len(change.reasons) == 1
    assert change.reasons[0].startswith(kind)
    assert change.reasons[0].endswith(" is missing")
    assert (change.before, change.used) == ((0, 0) if kind == "ResourceQuota gpu" else (8, 8))


def test_many_differences_are_counted():
    def forget(namespace):
        namespace["metadata"] |= {"labels": {}, "annotations": None}

    found = only([award()], edited(live(tenant(where=SDS), SDS), "Namespace", forget)).reasons
    assert len(found) == 6
    assert found[-1] == "and 3 more"  # of 7 labels and the annotations as a whole


def test_another_model_comes_back_first():
    """Its pods run on the old model's nodes: the new model is granted by the run after."""
    change = only([award("HPC-1", 8, "H100")], live(tenant("HPC-1", 32, SDS, "A100"), SDS))
    assert (change.op, change.model, change.before, change.after) == (Op.RECLAIM, "A100", 32, 0)
    assert change.loss is Loss.MODEL


def test_an_annotation_of_the_model_that_was_lost_is_drift():
    """At a supplier of two models it would else count as having the first one's."""
    observed = live(tenant("HPC-1", 32, SDS, "A100"), SDS)
    bare = edited(
        observed, "Namespace", lambda namespace: namespace["metadata"]["annotations"].pop("gpuprov.dev/gpu-model")
    )
    change = only([award("HPC-1", 32, "A100")], bare)
    assert (change.op, change.before, change.after) == (Op.UPDATE, 32, 32)
    assert "gpuprov.dev/gpu-model is None, should be 'A100'" in change.reasons[0]


def test_a_model_that_only_the_nodes_tell_still_comes_back_first():
    observed = live(tenant("HPC-1", 32, SDS, "A100"), SDS)
    bare = edited(
        observed, "Namespace", lambda namespace: namespace["metadata"]["annotations"].pop("gpuprov.dev/gpu-model")
    )
    change = only([award("HPC-1", 8, "H100")], bare)
    assert (change.op, change.model, change.loss) == (Op.RECLAIM, "A100", Loss.MODEL)


# Plans of many tenants.


def test_a_cluster_that_did_not_answer_has_no_part():
    listed = [award("A"), award("B", 8, "H200", provider="kt-cloud")]
    made = plan(listed, seen(KT))
    assert made.providers == ("kt-cloud",)
    assert [change.award_id for change in made.changes] == ["B"]


NAMES = st.lists(st.sampled_from("ABCDEFGH"), unique=True, max_size=8)


@st.composite
def situations(draw):
    """A list of awards, and clusters that have some of them, with other quantities, and others."""
    listed, observed = [], {"samsung-sds": [], "kt-cloud": []}
    for name in draw(NAMES):
        provider = draw(st.sampled_from(["samsung-sds", "kt-cloud"]))
        model = "H100" if provider == "samsung-sds" else "H200"
        listed.append(award(name, draw(st.sampled_from([1, 4, 8, 16])), model, provider=provider))
    for where, tenants in zip((SDS, KT), observed.values(), strict=True):
        for name in draw(NAMES):
            desired_tenant = tenant(name, draw(st.sampled_from([1, 4, 8])), where, where.pools[0].model)
            tenants.append(live(desired_tenant, where, used=draw(st.integers(0, desired_tenant.gpus))))
    return listed, observed


@settings(max_examples=60)
@given(situations(), st.randoms())
def test_a_plan_is_ordered_complete_and_always_the_same(situation, random):
    listed, observed = situation
    made = plan(listed, *(seen(CLUSTERS[name], *tenants) for name, tenants in observed.items()))
    shuffled = [
        seen(CLUSTERS[name], *random.sample(tenants, len(tenants))) for name, tenants in reversed(observed.items())
    ]
    again = plan(random.sample(listed, len(listed)), *shuffled)
    assert (again.changes, again.unchanged) == (made.changes, made.unchanged)

    should = {(award.provider, award.id): award.quantity for award in listed}
    granted = {
        (name, tenant.award_id): tenant.hard("nvidia.com/gpu")
        for name, tenants in observed.items()
        for tenant in tenants
    }
    for op, keys in {
        Op.CREATE: should.keys() - granted.keys(),
        Op.RECLAIM: granted.keys() - should.keys(),
        Op.UPDATE: {key for key in should.keys() & granted.keys() if should[key] != granted[key]},
    }.items():
        found = {(change.provider, change.award_id): change for change in made.changes if change.op is op}
        assert found.keys() == keys
        assert all(change.before == granted.get(key, 0) for key, change in found.items())
        assert all(change.after == should.get(key, 0) for key, change in found.items())
    assert made.unchanged == sum(1 for key in should if should[key] == granted.get(key))

    order = [
        (provider, [change.op for change in changes])
        for provider, changes in groupby(made.changes, lambda c: c.provider)
    ]
    assert [provider for provider, _ in order] == sorted({change.provider for change in made.changes})
    assert all(ops == sorted(ops, key=["create", "update", "reclaim"].index) for _, ops in order)
    for _, same in groupby(made.changes, lambda c: (c.provider, c.op)):
        ids = [change.award_id for change in same]
        assert ids == sorted(ids)

    data = json.loads(json.dumps(made.to_json()))
    assert data["at"] == "2026-03-01T12:00:00+09:00"
    assert [(change["op"], change["award_id"], change["before"], change["after"]) for change in data["changes"]] == [
        (change.op, change.award_id, change.before, change.after) for change in made.changes
    ]
    assert all(isinstance(change["reasons"], list) for change in data["changes"])


@settings(max_examples=30)
@given(situations())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(situation):
    listed, _ = situation
    state = desired(listed, list(CLUSTERS.values()))
    after = [seen(where, *(live(tenant, where) for tenant in state.on(where.provider))) for where in CLUSTERS.values()]
    made = make_plan(state, after, CLUSTERS)
    assert (made.changes, made.unchanged) == ((), len(listed))


def test_a_part_of_a_plan():
    made = plan([award("A"), award("B")], seen(SDS))
    part = made.where(lambda change: change.award_id == "B")
    assert [change.award_id for change in part.changes] == ["B"]
    assert (part.at, part.providers) == (made.at, made.providers)
