"""Which stack an award belongs to, and moving the state of awards between stacks."""

import json
from collections import Counter
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import AWARD_IDS, cluster

from gpuprov.core.cluster import stack_names
from gpuprov.core.manifests import TENANT_TYPE
from gpuprov.core.outputs import StackOutputs, read
from gpuprov.engine.shards import Moved, move

PROJECT = "gpuprov"
OBJECTS = ("Namespace", "ResourceQuota", "RoleBinding")


def split(shards):
    return cluster("kt-cloud", H200=4000).model_copy(update={"shards": shards})


def state(stack, awards, *, shards=1, provider="11", empty=False):
    """A deployment as `pulumi stack export` prints it, of one stack with these awards."""
    prefix = f"urn:pulumi:{stack}::{PROJECT}::"
    root = f"{prefix}pulumi:pulumi:Stack::{PROJECT}-{stack}"
    plugin = f"{prefix}pulumi:providers:kubernetes::kt-cloud"
    recorded = {award: {"namespace": f"ns-{award}"} for award in awards}
    resources = [
        {
            "urn": root,
            "custom": False,
            "type": "pulumi:pulumi:Stack",
            "outputs": {"shards": shards, "tenants": recorded},
        },
        {"urn": plugin, "custom": True, "id": provider, "type": "pulumi:providers:kubernetes", "parent": root},
    ]
    if stack == "kt-cloud":
        other = f"{prefix}somebody:index:Else::else"
        resources.append({"urn": other, "custom": False, "type": "somebody:index:Else", "parent": root})
    for award in awards:
        component = f"{prefix}{TENANT_TYPE}::{award}"
        resources.append({"urn": component, "custom": False, "type": TENANT_TYPE, "parent": root})
        home = None
        for kind in OBJECTS:
            urn = f"{prefix}{TENANT_TYPE}$kubernetes:core/v1:{kind}::{award}"
            resource = {
                "urn": urn,
                "custom": True,
                "id": f"{award}/{kind}",
                "type": f"kubernetes:core/v1:{kind}",
                "parent": component,
                "provider": f"{plugin}::{provider}",
                "inputs": {"metadata": {"annotations": {"organization": f'"한빛" \\ {stack}'}}},
            }
            if home:
                resource |= {"dependencies": [home], "deletedWith": home}
            home = home or urn
            resources.append(resource)
    return {"version": 3, "deployment": {"manifest": {"time": "now"}, "resources": None if empty else resources}}


def awards_in(deployment, stack):
    """The awards that a deployment has, after checking that every reference in it leads to something in it."""
    resources = deployment["deployment"]["resources"] or []
    seen = set()
    for resource in resources:
        assert resource["urn"].startswith(f"urn:pulumi:{stack}::{PROJECT}::")
        assert resource["urn"] not in seen, "twice in one state"
        for needed in [resource.get("parent"), resource.get("deletedWith"), *resource.get("dependencies", ())]:
            assert needed is None or needed in seen, f"{resource['urn']} comes before {needed}"
        if "provider" in resource:
            urn, _, name = resource["provider"].rpartition("::")
            assert (urn, name) in {(other["urn"], other.get("id")) for other in resources}
        seen.add(resource["urn"])
    return {tenant["urn"].rpartition("::")[2] for tenant in resources if tenant["type"] == TENANT_TYPE}


def recorded(deployment):
    resources = deployment["deployment"]["resources"] or []
    return next((resource["outputs"] for resource in resources if resource["type"] == "pulumi:pulumi:Stack"), None)


@given(AWARD_IDS, st.integers(1, 64))
def test_an_award_has_one_stack_whatever_others_there_are(award_id, shards):
    where = split(shards)
    assert where.stack_of(award_id) in where.stacks
    assert split(1).stack_of(award_id) == "kt-cloud"


@given(AWARD_IDS, st.integers(1, 20))
def test_one_shard_more_moves_awards_to_the_new_one_only(award_id, shards):
    before, after = split(shards).stack_of(award_id), split(shards + 1).stack_of(award_id)
    assert after in (before, f"kt-cloud.{shards}")


def test_shards_are_filled_evenly_and_for_ever_in_the_same_way():
    counted = Counter(split(4).stack_of(f"HPC-2026-1-{number:04d}") for number in range(4000))
    assert all(900 < count < 1100 for count in counted.values())
    assert [split(4).stack_of(f"HPC-2026-1-{number:03d}") for number in range(1, 9)] == [
        "kt-cloud",
        "kt-cloud",
        "kt-cloud.3",
        "kt-cloud.3",
        "kt-cloud.1",
        "kt-cloud.2",
        "kt-cloud.1",
        "kt-cloud.1",
    ]


NAMES = st.lists(st.integers(0, 60).map(lambda n: f"HPC-2026-1-{n:03d}"), unique=True, max_size=25)


def printed(deployments):
    """What `pulumi stack output` would print of each stack."""
    return {stack: recorded(deployment) or {} for stack, deployment in deployments.items()}


def written(deployments, moved, count=None):
    return deployments | dict(moved.writes[:count])


@st.composite
def splits(draw):
    """Awards over some stacks, as they should be over others; an award may be in several states already."""
    names, before, after = draw(NAMES), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    old, new = split(before), split(after)
    placed = {old_stack: {name for name in names if old.stack_of(name) == old_stack} for old_stack in old.stacks}
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=5)) if names else ():
        placed[draw(st.sampled_from(old.stacks))].add(name)
    deployments = {
        stack: state(stack, sorted(mine), shards=before, provider=f"p-{stack}") for stack, mine in placed.items()
    }
    for stack in new.stacks:
        deployments.setdefault(stack, state(stack, [], empty=True))
    return names, new, deployments


@settings(max_examples=150)
@given(splits())
def test_every_award_is_moved_to_its_stack_and_nothing_is_lost(made):
    names, new, deployments = made
    given_ = deepcopy(deployments)
    moved = move(deployments, PROJECT, new)
    assert deployments == given_
    final = written(deployments, moved)
    for stack in new.stacks:
        mine = {name for name in names if new.stack_of(name) == stack}
        assert awards_in(final[stack], stack) == mine
        if outputs := recorded(final[stack]):
            assert (outputs["tenants"].keys(), outputs["shards"]) == (mine, new.shards)
    for stack in final.keys() - set(new.stacks):
        assert final[stack]["deployment"]["resources"] == []
    assert move(final, PROJECT, new) == Moved(writes=(), awards=0)


@settings(max_examples=150)
@given(splits(), st.integers(0, 12))
def test_a_move_that_was_cut_off_loses_nothing_and_is_seen_and_finished_by_the_next(made, count):
    """The run may end after any write; what the stacks then print has to say that something is left to do."""
    names, new, deployments = made
    moved = move(deployments, PROJECT, new)
    interrupted = written(deployments, moved, count)
    assert set().union(*(awards_in(deployment, stack) for stack, deployment in interrupted.items())) == set(names)
    misplaced = any(
        new.stack_of(name) != stack for stack, state_ in interrupted.items() for name in awards_in(state_, stack)
    )
    if misplaced or any(
        interrupted[stack]["deployment"]["resources"] for stack in interrupted.keys() - set(new.stacks)
    ):
        first = read(
            new, {stack: deployment for stack, deployment in printed(interrupted).items() if stack in new.stacks}
        )
        known = stack_names("kt-cloud", max(first.shards, new.shards))
        outputs = read(new, {stack: deployment for stack, deployment in printed(interrupted).items() if stack in known})
        assert outputs.misplaced or outputs.shards != new.shards
    final = written(interrupted, move(interrupted, PROJECT, new))
    for stack in new.stacks:
        assert awards_in(final[stack], stack) == {name for name in names if new.stack_of(name) == stack}


def test_moving_back_gives_the_same_resources():
    names = [f"HPC-{number}" for number in range(40)]
    single = {"kt-cloud": state("kt-cloud", names), "kt-cloud.1": state("kt-cloud.1", [], empty=True)}
    moved = written(single, move(single, PROJECT, split(2)))
    back = written(moved, move(moved, PROJECT, split(1)))

    def by_urn(deployment):
        return {resource["urn"]: resource for resource in deployment["deployment"]["resources"]}

    before, after = by_urn(single["kt-cloud"]), by_urn(back["kt-cloud"])
    assert before.keys() == after.keys()
    stack_text = {urn: json.dumps(exported).replace("kt-cloud.1", "kt-cloud") for urn, exported in after.items()}
    for urn, resource in before.items():
        assert json.loads(stack_text[urn]) == resource or resource["type"] == "pulumi:pulumi:Stack"


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ({"kt-cloud": None}, StackOutputs()),
        ({"kt-cloud": {}}, StackOutputs(stacks=("kt-cloud",))),
        (
            {"kt-cloud": {"clusterUid": "u", "context": "kt-cloud", "shards": 2, "tenants": {"A": {"q": 1}}}},
            StackOutputs(cluster_uid="u", context="kt-cloud", shards=2, stacks=("kt-cloud",), tenants={"A": {"q": 1}}),
        ),
    ],
)
def test_outputs_of_one_stack(printed, expected):
    assert read(split(1), printed) == expected


def test_outputs_of_several_stacks_are_taken_together():
    mine = next(f"A{n}" for n in range(99) if split(2).stack_of(f"A{n}") == "kt-cloud")
    other = next(f"A{n}" for n in range(99) if split(2).stack_of(f"A{n}") == "kt-cloud.1")
    outputs = read(
        split(2),
        {
            "kt-cloud": {"clusterUid": "u", "context": "kt-cloud", "shards": 1, "tenants": {mine: 1, other: "old"}},
            "kt-cloud.1": {"clusterUid": "u", "context": "before", "shards": 2, "tenants": {other: 2}},
        },
    )
    assert outputs.tenants == {mine: 1, other: 2}
    assert (outputs.misplaced, outputs.shards, outputs.context, outputs.cluster_uid) == (1, 2, "before", "u")
