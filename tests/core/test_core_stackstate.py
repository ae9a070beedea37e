"""Where a state is not what the cluster has, and what a namespace says of the award that was last written there."""

from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import edited
from strategies import AWARD_IDS, cluster, live, seen, tenant

from gpuprov.core.manifests import AWARD_ID, GPUS, MODEL, TERM_END, tenant_manifests
from gpuprov.core.outputs import summary
from gpuprov.core.stackstate import StackState, Why, award_id_of, behind, ids_of

TWO = cluster("samsung-sds", H100=200, A100=80).model_copy(update={"shards": 2})


@given(st.lists(AWARD_IDS, unique=True, max_size=8), st.integers(1, 8))
def test_what_was_written_is_read_back_from_the_namespace_alone(award_ids, gpus):
    for award_id in award_ids:
        wanted = tenant(award_id, gpus, TWO, organization="한빛 \u202edaehak")
        read = live(wanted, TWO).as_written(TWO)
        assert read is not None
        assert tenant_manifests(read, TWO) == tenant_manifests(wanted, TWO)
        assert summary([read]) == summary([wanted])


@pytest.mark.parametrize("annotation", [AWARD_ID, GPUS, MODEL, TERM_END])
@pytest.mark.parametrize("value", [None, "nonsense"])
def test_without_an_annotation_nothing_is_made_up(annotation, value):
    def break_it(namespace):
        namespace["metadata"]["annotations"].pop(annotation)
        if value:
            namespace["metadata"]["annotations"][annotation] = value

    broken = edited(live(tenant("HPC-1", where=TWO), TWO), "Namespace", break_it)
    assert broken.as_written(TWO) is None
    assert award_id_of(broken, {"gpu-hpc-1": "HPC-1"}) == "HPC-1"
    assert award_id_of(broken, {}) == ("hpc-1" if annotation == AWARD_ID else "HPC-1")


def states(tenants, *, shards=2):
    """The states that a run leaves which has applied these tenants."""
    where = TWO.model_copy(update={"shards": shards})
    own = {stack: [t for t in tenants if where.stack_of(t.award_id) == stack] for stack in where.stacks}
    return [
        StackState(stack=stack, outputs={"tenants": summary(of)}, awards=frozenset(t.award_id for t in of))
        for stack, of in own.items()
    ]


IDS = st.lists(st.from_regex(r"HPC-2026-1-[0-9]{3}", fullmatch=True), unique=True, max_size=12)


@given(IDS)
def test_a_state_that_a_run_left_is_not_behind_whatever_the_number_of_shards(award_ids):
    tenants = [tenant(award_id, where=TWO) for award_id in award_ids]
    observed = seen(TWO, *(live(t, TWO) for t in tenants))
    for shards in (1, 2):
        assert behind(TWO, observed, states(tenants, shards=shards)) == []


@given(IDS, st.data())
def test_what_came_and_what_went_since_is_told_of_the_stack_that_it_belongs_to(award_ids, data):
    before = data.draw(st.lists(st.sampled_from(award_ids), unique=True)) if award_ids else []
    now = data.draw(st.lists(st.sampled_from(award_ids), unique=True)) if award_ids else []
    observed = seen(TWO, *(live(tenant(name, where=TWO), TWO) for name in now))
    known = states([tenant(name, where=TWO) for name in before])
    told = {stack.stack: stack for stack in behind(TWO, observed, known)}
    for stack in TWO.stacks:
        unknown = sorted(name for name in set(now) - set(before) if TWO.stack_of(name) == stack)
        gone = sorted(name for name in set(before) - set(now) if TWO.stack_of(name) == stack)
        assert (stack in told) == bool(unknown or gone)
        if stack in told:
            assert (list(told[stack].unknown), list(told[stack].gone)) == (unknown, gone)


def test_one_that_was_written_again_since_is_otherwise_and_one_that_was_edited_by_hand_is_not():
    before, now = tenant("HPC-1", 4, TWO), tenant("HPC-1", 8, TWO)
    (stack,) = behind(TWO, seen(TWO, live(now, TWO)), states([before]))
    assert (stack.why, stack.otherwise) == (Why.OLD, ("HPC-1",))

    def by_hand(quota):
        quota["spec"]["hard"]["requests.nvidia.com/gpu"] = "9"

    assert behind(TWO, seen(TWO, edited(live(now, TWO), "ResourceQuota", by_hand)), states([now])) == []


def test_a_namespace_that_is_being_deleted_may_be_known_or_not():
    going = live(tenant("HPC-1", where=TWO), TWO)
    objects = deepcopy(dict(going.objects))
    objects["Namespace", going.namespace]["metadata"]["deletionTimestamp"] = "2026-07-01T00:00:00Z"
    observed = seen(TWO, replace(going, objects=objects))
    assert behind(TWO, observed, states([tenant("HPC-1", 4, TWO)])) == []
    assert behind(TWO, observed, states([])) == []


def test_what_the_outputs_alone_tell_counts_as_known():
    """A run that failed has told of awards that it did not write."""
    state = StackState(stack="samsung-sds", outputs={"tenants": {"HPC-1": {}}})
    assert ids_of([state]) == {"gpu-hpc-1": "HPC-1"}
    (stack,) = behind(TWO, seen(TWO), [state])
    assert (stack.why, stack.gone) == (Why.OLD, ("HPC-1",))


def test_entries_without_a_namespace_are_old_where_no_award_is_left():
    """As after an old state that came back between a run's look at the outputs and Pulumi's own."""
    state = StackState(stack="samsung-sds", outputs={"tenants": {}}, bare=frozenset({"HPC-1"}))
    (stack,) = behind(TWO, seen(TWO), [state])
    assert (stack.why, stack.gone) == (Why.OLD, ("HPC-1",))
    (there,) = behind(TWO, seen(TWO, live(tenant("HPC-1", where=TWO), TWO)), [state])
    assert (there.unknown, there.gone) == (("HPC-1",), ())


def test_a_damaged_state_is_the_same_one_whatever_pulumi_says_of_it():
    """It need not say the same twice, and recover would find another state than it has shown."""
    said = [behind(TWO, seen(TWO), [StackState(stack="samsung-sds", damaged=place)]) for place in ("here", "there")]
    assert said[0] == said[1]
    assert [stack.reason for stacks in said for stack in stacks if stack.why is Why.DAMAGED] == ["here", "there"]
