"""What differs between a cluster and the desired state, and why."""

import json
from copy import deepcopy
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import JANUARY, JULY, MARCH, award, cluster, desired, extended, forfeited, live, reduced, seen, tenant

from gpuprov.gpu import GpuModel
from gpuprov.manifests import tenant_manifests
from gpuprov.observed import ObservedTenant
from gpuprov.plan import Op, differences, make_plan

SDS = cluster("samsung-sds", H100=200, A100=80)
KT = cluster("kt-cloud", H200=400)
CLUSTERS = {"samsung-sds": SDS, "kt-cloud": KT}


def plan(awards, *observed, at=MARCH, events=()):
    return make_plan(desired(awards, list(CLUSTERS.values()), at, events), observed, CLUSTERS)


def only(awards, *there, at=MARCH, events=()):
    (change,) = plan(awards, seen(SDS, *there), at=at, events=events).changes
    return change


def edited(there, kind, edit):
    """The live tenant after somebody edited one of its objects by hand."""
    objects = deepcopy(dict(there.objects))
    edit(next(one for (of, _), one in objects.items() if of == kind))
    return replace(there, objects=objects)


# The comparison of one manifest with one live object.

LEAVES = st.text(max_size=4) | st.integers(-9, 9) | st.booleans()
KEYS = st.text("abc", min_size=1, max_size=3)
TREES = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)),
    max_size=4,
)


def leaves(tree, path=()):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def at_path(tree, path):
    for key in path:
        tree = tree[key]
    return tree


def written(path):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def with_extras(tree, extra):
    """The tree with a key beside its own that the manifest knows nothing of, as a server adds `status`."""
    return deepcopy(tree) | {"extra": extra}


@given(TREES, LEAVES | TREES)
def test_what_a_server_adds_is_no_difference(tree, extra):
    assert list(differences(tree, tree)) == []
    assert list(differences(tree, with_extras(tree, extra))) == []


@given(TREES.filter(lambda tree: any(leaves(tree))), st.data())
def test_a_changed_leaf_is_found_exactly(tree, data):
    path = data.draw(st.sampled_from(list(leaves(tree))))
    should = at_path(tree, path)
    other = {str: lambda old: old + "x", int: lambda old: old + 1, bool: lambda old: not old}[type(should)](should)
    there = with_extras(tree, "x")
    at_path(there, path[:-1])[path[-1]] = other
    assert list(differences(tree, there)) == [(written(path), other, should)]


@pytest.mark.parametrize("extra", ["x", {}, [], 0, False])
def test_one_key_more_inside_the_rules_is_found(extra):
    """Only labels, annotations, a quota's limits and the server's own fields may be more than the manifest states."""
    should = {"metadata": {"labels": {"a": "b"}}, "spec": {"hard": {"pods": "1"}, "podSelector": {}}}
    there = deepcopy(should)
    there["metadata"]["labels"]["more"] = extra
    there["spec"]["hard"]["more"] = extra
    there["status"] = extra
    assert list(differences(should, there)) == []
    there["spec"]["podSelector"]["more"] = extra
    assert list(differences(should, there)) == [("spec.podSelector.more", extra, None)]


@given(TREES.filter(lambda tree: any(leaves(tree))), st.data())
def test_a_missing_key_is_found_unless_it_was_empty(tree, data):
    path = data.draw(st.sampled_from(list(leaves(tree))))
    there = deepcopy(tree)
    home = at_path(there, path[:-1])
    if isinstance(home, dict):
        should = home.pop(path[-1])
        assert list(differences(tree, there)) == ([(written(path), None, should)] if should else [])
    else:
        whole = at_path(tree, path[:-1])
        home.pop(path[-1])
        assert list(differences(tree, there)) == [(written(path[:-1]), home, whole)]


def test_a_longer_list_differs_as_a_whole():
    assert list(differences({"subjects": [1]}, {"subjects": [1, 2]})) == [("subjects", [1, 2], [1])]
    assert list(differences({"a": {"b": "c"}}, {"a": None})) == [("a", None, {"b": "c"})]
    assert list(differences({"hard": {"pods": "0"}}, {"hard": {}})) == [("hard.pods", None, "0")]


@pytest.mark.parametrize("index", range(5))
def test_every_leaf_of_every_manifest_is_watched(index):
    one = tenant(where=SDS)
    manifest = tenant_manifests(one, SDS)[index]
    for path in leaves(manifest):
        there = deepcopy(dict(manifest))
        at_path(there, path[:-1])[path[-1]] = "otherwise"
        assert list(differences(manifest, there)) == [(written(path), "otherwise", at_path(manifest, path))]


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
    there = live(tenant(where=SDS), SDS, used=6)
    change = only([award("HPC-1", 8)], there, events=events)
    assert (change.op, change.before, change.after, change.used) == (Op.UPDATE, 8, 3, 6)
    assert change.reasons[0] == "the quota grants 8 H100, the award has 3"
    assert plan([award("HPC-1", 8)], seen(SDS, there), at=MARCH - timedelta(hours=1), events=events).changes == ()


def test_an_extended_term_is_written_to_the_cluster():
    change = only([award()], live(tenant(where=SDS), SDS), events=[extended("HPC-1", MARCH, date(2026, 7, 31))])
    assert (change.op, change.before, change.after) == (Op.UPDATE, 8, 8)
    (reason,) = change.reasons
    assert reason == (
        "Namespace gpu-hpc-1: metadata.annotations.gpuprov.dev/term-end is '2026-07-01T00:00:00+09:00', "
        "should be '2026-08-01T00:00:00+09:00'"
    )


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
    there = edited(live(tenant(where=SDS), SDS), "NetworkPolicy", edit)
    assert plan([award()], seen(SDS, there)).changes


@pytest.mark.parametrize("kind", ["ResourceQuota", "LimitRange", "NetworkPolicy", "RoleBinding"])
def test_a_missing_object_is_found(kind):
    there = live(tenant(where=SDS), SDS, used=8)
    there = replace(there, objects={key: one for key, one in there.objects.items() if key[0] != kind})
    change = only([award()], there)
    assert len(change.reasons) == 1
    assert change.reasons[0].startswith(kind)
    assert change.reasons[0].endswith(" is missing")
    assert (change.before, change.used) == ((0, 0) if kind == "ResourceQuota" else (8, 8))


def test_many_differences_are_counted():
    def forget(namespace):
        namespace["metadata"] |= {"labels": {}, "annotations": None}

    found = only([award()], edited(live(tenant(where=SDS), SDS), "Namespace", forget)).reasons
    assert len(found) == 6
    assert found[-1] == "and 3 more"  # of 7 labels and the annotations as a whole


def test_another_model_comes_back_first():
    """Its pods run on the old model's nodes: the new model is granted by the run after."""
    change = only([award("HPC-1", 8, "H100")], live(tenant("HPC-1", 32, SDS, "A100"), SDS))
    assert (change.op, change.model, change.before, change.after) == (Op.RECLAIM, GpuModel.A100, 32, 0)
    assert change.expected


# Plans that take back.


def _promise(text):
    def edit(namespace):
        namespace["metadata"]["annotations"]["gpuprov.dev/term-end"] = text

    return edit


HERE = live(tenant(where=SDS), SDS, used=5)
ENDED = "term ended at 2026-07-01T00:00+09:00"
SHORTENED = award(last_day=date(2026, 2, 28))


@pytest.mark.parametrize(
    ("awards", "events", "at", "there", "because"),
    [
        ([award()], [], JULY, HERE, (True, ENDED)),
        (
            [award()],
            [forfeited("HPC-1", MARCH)],
            MARCH,
            HERE,
            (True, "forfeited at 2026-03-01T12:00+09:00 by operator: as decided"),
        ),
        (
            [SHORTENED],
            [],
            MARCH,
            HERE,
            (False, "term ended at 2026-03-01T00:00+09:00; the cluster was promised 2026-07-01T00:00+09:00"),
        ),
        ([], [], MARCH, HERE, (False, "not in the award list")),
        ([], [], JULY, HERE, (False, "not in the award list")),
        ([award(status="waitlisted")], [], MARCH, HERE, (False, "waitlisted in the award list")),
        ([award(status="forfeited")], [], MARCH, HERE, (False, "forfeited in the award list")),
        (
            [award(first_day=date(2026, 4, 1))],
            [],
            MARCH,
            HERE,
            (False, "term starts at 2026-04-01T00:00+09:00"),
        ),
        ([award(quantity=8, model="H200", provider="kt-cloud")], [], MARCH, HERE, (False, "now at kt-cloud")),
        (
            [award()],
            [],
            JULY,
            edited(HERE, "Namespace", _promise("soon")),
            (False, ENDED + "; the cluster was promised unknown"),
        ),
        (
            [award()],
            [],
            JULY,
            edited(HERE, "Namespace", _promise("2026-06-30T23:00:00")),
            (False, ENDED + "; the cluster was promised unknown"),
        ),
        ([award()], [], JULY, edited(HERE, "Namespace", _promise("2026-06-30T15:00:00+00:00")), (True, ENDED)),
        (
            [award()],
            [],
            JULY,
            edited(HERE, "Namespace", _promise("2026-06-30T15:00:01+00:00")),
            (False, ENDED + "; the cluster was promised 2026-06-30T15:00+00:00"),
        ),
    ],
)
def test_why_a_tenant_goes_and_whether_that_was_to_be_expected(awards, events, at, there, because):
    change = only(awards, there, at=at, events=events)
    assert (change.op, change.before, change.after, change.used) == (Op.RECLAIM, 8, 0, 5)
    assert (change.expected, *change.reasons) == because


def test_a_term_that_the_ledger_shortened_is_expected_to_end():
    events = [extended("HPC-1", MARCH - timedelta(days=10), date(2026, 2, 28))]
    assert only([award()], HERE, events=events).expected


def test_an_ended_award_is_recognised_by_its_namespace_alone():
    def forget(namespace):
        del namespace["metadata"]["annotations"]["gpuprov.dev/award-id"]

    change = only([award()], edited(HERE, "Namespace", forget), at=JULY)
    assert (change.award_id, change.expected, change.reasons) == ("HPC-1", True, (ENDED,))


def test_a_moved_award_is_created_there_and_reclaimed_here():
    listed = [award(quantity=8, model="H200", provider="kt-cloud")]
    made = plan(listed, seen(SDS, HERE), seen(KT))
    assert [(one.provider, one.op, one.model) for one in made.changes] == [
        ("kt-cloud", Op.CREATE, "H200"),
        ("samsung-sds", Op.RECLAIM, "H100"),
    ]
    assert made.on("kt-cloud") == made.changes[:1]


def test_a_reclaimed_tenant_is_counted_in_its_own_model():
    change = only([], live(tenant("HPC-1", 12, SDS, "A100"), SDS, used=4))
    assert (change.model, change.before, change.used) == (GpuModel.A100, 12, 4)


# Plans of many tenants.


def test_a_cluster_that_did_not_answer_has_no_part():
    listed = [award("A"), award("B", 8, "H200", provider="kt-cloud")]
    made = plan(listed, seen(KT))
    assert made.providers == ("kt-cloud",)
    assert [one.award_id for one in made.changes] == ["B"]


NAMES = st.lists(st.sampled_from("ABCDEFGH"), unique=True, max_size=8)


@st.composite
def situations(draw):
    """A list of awards, and clusters that have some of them, with other quantities, and others."""
    listed, observed = [], {"samsung-sds": [], "kt-cloud": []}
    for name in draw(NAMES):
        provider = draw(st.sampled_from(["samsung-sds", "kt-cloud"]))
        model = "H100" if provider == "samsung-sds" else "H200"
        listed.append(award(name, draw(st.sampled_from([1, 4, 8, 16])), model, provider=provider))
    for where, there in zip((SDS, KT), observed.values(), strict=True):
        for name in draw(NAMES):
            one = tenant(name, draw(st.sampled_from([1, 4, 8])), where, where.pools[0].model)
            there.append(live(one, where, used=draw(st.integers(0, one.gpus))))
    return listed, observed


@settings(max_examples=60)
@given(situations(), st.randoms())
def test_a_plan_is_ordered_complete_and_always_the_same(situation, random):
    listed, observed = situation
    made = plan(listed, *(seen(CLUSTERS[name], *there) for name, there in observed.items()))
    shuffled = [seen(CLUSTERS[name], *random.sample(there, len(there))) for name, there in reversed(observed.items())]
    again = plan(random.sample(listed, len(listed)), *shuffled)
    assert (again.changes, again.unchanged) == (made.changes, made.unchanged)

    should = {(one.provider, one.id): one.quantity for one in listed}
    there = {(name, one.award_id): one.hard("nvidia.com/gpu") for name, tenants in observed.items() for one in tenants}
    for op, keys in {
        Op.CREATE: should.keys() - there.keys(),
        Op.RECLAIM: there.keys() - should.keys(),
        Op.UPDATE: {key for key in should.keys() & there.keys() if should[key] != there[key]},
    }.items():
        found = {(one.provider, one.award_id): one for one in made.changes if one.op is op}
        assert found.keys() == keys
        assert all(one.before == there.get(key, 0) for key, one in found.items())
        assert all(one.after == should.get(key, 0) for key, one in found.items())
    assert made.unchanged == sum(1 for key in should if should[key] == there.get(key))

    order = [
        (provider, [one.op for one in changes]) for provider, changes in groupby(made.changes, lambda c: c.provider)
    ]
    assert [provider for provider, _ in order] == sorted({one.provider for one in made.changes})
    assert all(ops == sorted(ops, key=["create", "update", "reclaim"].index) for _, ops in order)
    for _, same in groupby(made.changes, lambda c: (c.provider, c.op)):
        ids = [one.award_id for one in same]
        assert ids == sorted(ids)

    data = json.loads(json.dumps(made.to_json()))
    assert data["at"] == "2026-03-01T12:00:00+09:00"
    assert [(one["op"], one["award_id"], one["before"], one["after"]) for one in data["changes"]] == [
        (one.op, one.award_id, one.before, one.after) for one in made.changes
    ]
    assert all(isinstance(one["reasons"], list) for one in data["changes"])


@settings(max_examples=30)
@given(situations())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(situation):
    listed, _ = situation
    state = desired(listed, list(CLUSTERS.values()))
    after = [seen(where, *(live(one, where) for one in state.on(where.provider))) for where in CLUSTERS.values()]
    made = make_plan(state, after, CLUSTERS)
    assert (made.changes, made.unchanged) == ((), len(listed))


def test_a_part_of_a_plan():
    made = plan([award("A"), award("B")], seen(SDS))
    part = made.where(lambda change: change.award_id == "B")
    assert [one.award_id for one in part.changes] == ["B"]
    assert (part.at, part.providers) == (made.at, made.providers)


# What an observed tenant says of itself.


def quota(hard=None, used=None):
    status = {} if used is None else {"status": {"used": used}}
    return ObservedTenant(namespace="gpu-a", objects={("ResourceQuota", "gpu"): {"spec": {"hard": hard}, **status}})


@pytest.mark.parametrize(("text", "gpus"), [("0", 0), ("8", 8), (8, 8), ("999", 999), ("2k", 2000), ("1001", 1001)])
def test_quantities_of_gpus_are_read_as_the_api_server_prints_them(text, gpus):
    assert quota({"requests.nvidia.com/gpu": text}).hard("nvidia.com/gpu") == gpus
    assert quota({}, {"requests.nvidia.com/gpu": text}).used("nvidia.com/gpu") == gpus


@pytest.mark.parametrize(("text", "gpus"), [("1Ki", 1024), ("1M", 1_000_000), ("1e3", 1000)])
def test_other_forms_that_kubernetes_keeps(text, gpus):
    assert quota({"requests.nvidia.com/gpu": text}).hard("nvidia.com/gpu") == gpus


def _closed(quota):
    quota["spec"]["hard"] = {"requests.nvidia.com/gpu": "0"}


@pytest.mark.parametrize(
    ("used", "edit", "held"),
    [
        (0, None, 8),
        (5, None, 8),
        (12, None, 12),  # a reduction touches no running pod
        (0, _closed, 8),  # a teardown has begun: what the award had is not free before the namespace is gone
        (12, _closed, 12),
    ],
)
def test_what_a_tenant_holds_until_it_is_gone(used, edit, held):
    there = live(tenant(gpus=8, where=SDS), SDS, used=used)
    if edit:
        there = edited(there, "ResourceQuota", edit)
    assert there.held("nvidia.com/gpu") == held
    assert only([], there).before == held


def test_a_namespace_of_which_little_is_known():
    for bare in (
        ObservedTenant(namespace="gpu-a", objects={}),
        ObservedTenant(namespace="gpu-a", objects={("Namespace", "gpu-a"): {"metadata": {"name": "gpu-a"}}}),
        quota(),
    ):
        assert (bare.award_id, bare.terminating, bare.term_end) == ("gpu-a", False, None)
        assert bare.hard("nvidia.com/gpu") == bare.used("nvidia.com/gpu") == bare.held("nvidia.com/gpu") == 0
        assert bare.pool(SDS) is SDS.pools[0]


def test_a_namespace_tells_its_award_end_and_pool():
    there = live(tenant("HPC-1", 12, SDS, "A100", term_start=JANUARY), SDS)
    assert (there.award_id, there.term_end, there.pool(SDS)) == ("HPC-1", JULY, SDS.pools[1])
    assert there.term_end == datetime.fromisoformat("2026-06-30T15:00:00+00:00")
    assert not there.terminating
    assert edited(there, "Namespace", _terminate).terminating
