"""A provider whose awards are shared by several stacks, on a real cluster: the state moves, the tenants do not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from story import MARCH, WHATEVER, Story, World, make_project

from gpuprov.core.cluster import stack_names
from gpuprov.load.project import open_project

pytestmark = pytest.mark.sandbox

KT = "kt-cloud"
FIRST = 14
"""Awards at KT Cloud in the list of these tests."""


def project(world: World, root: Path) -> Story:
    make_project(root)
    made = Story(world, root)
    made.edit_list(lambda rows: [row for row in rows if "KT클라우드" in row][:FIRST])
    for other in ("samsung-sds", "elice-cloud"):
        (root / "stacks" / f"Pulumi.{other}.yaml").unlink()
    return made


@pytest.fixture
def story(world: World, tmp_path: Path) -> Iterator[Story]:
    """A project of which nothing is on the cluster. Whoever needs it comes first in this file."""
    try:
        yield project(world, tmp_path / "project")
    finally:
        world.clean()


@pytest.fixture(scope="module")
def office(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root: Path = tmp_path_factory.mktemp("office")
    try:
        yield project(world, root)
    finally:
        world.clean()


@pytest.fixture
def granted(office: Story, tmp_path: Path) -> Story:
    """A copy of a project whose awards are in one stack, and on the cluster, whatever the test before has left."""
    office.ok("up", "--yes", *WHATEVER)
    return office.copied(tmp_path / "project")


def writes(story: Story) -> dict[str, list[str]]:
    """Everything of ours on the cluster, with who wrote it when; what a controller counts in a status is left out."""
    core = story.world.core(KT)
    found = [*core.list_namespace(label_selector="app.kubernetes.io/managed-by=gpuprov").items]
    found += core.list_resource_quota_for_all_namespaces(label_selector="app.kubernetes.io/managed-by=gpuprov").items
    found += core.list_limit_range_for_all_namespaces(label_selector="app.kubernetes.io/managed-by=gpuprov").items
    return {
        f"{type(resource).__name__} {resource.metadata.uid}": [
            f"{field.manager} {field.operation} {field.time}"
            for field in resource.metadata.managed_fields
            if field.subresource is None
        ]
        for resource in found
    }


def awards_of(story: Story, stack: str) -> set[str]:
    state = json.loads(story.by_hand("stack", stack, "export").out)["deployment"].get("resources") or []
    return {
        resource["urn"].rpartition("::")[2] for resource in state if resource["type"] == "gpuprov:index:AwardTenant"
    }


def in_place(story: Story, shards: int) -> None:
    """Every award is in its own stack, only there; no stack is left over; all agree with the cluster."""
    (cluster,) = open_project(story.root).clusters
    found = {stack: awards_of(story, stack) for stack in cluster.stacks}
    assert sum(len(awards) for awards in found.values()) == FIRST
    assert all(cluster.stack_of(award) == stack for stack, awards in found.items() for award in awards)
    stacks = {stack["name"] for stack in json.loads(story.by_hand("stack", KT, "ls", "--json").out)}
    assert stacks == set(stack_names(KT, shards))
    story.in_step(cluster.stacks)


def test_a_provider_that_begins_with_several_stacks_and_ends(story: Story) -> None:
    story.split(KT, 3)
    assert len(story.up()[KT]["applied"]) == FIRST
    in_place(story, 3)
    again = story.up()[KT]
    assert (again["applied"], again["operations"]) == ([], {})
    for stack in stack_names(KT, 3):
        assert story.by_hand("up", stack, "--yes", "--skip-preview", "--expect-no-changes").code == 0
    story.edit_list(lambda rows: [row.replace(",1,4,KT클라우드,H200,4,", ",1,2,KT클라우드,H200,2,") for row in rows])
    ran = story.ok("up", "--yes", "--json", "--allow-change", "4")
    reduced = next(outcome for outcome in ran.data["providers"] if outcome["provider"] == KT)
    assert 0 < len(reduced["applied"]) < FIRST
    story.in_step(stack_names(KT, 3))
    end = "2026-07-01T00:00:00+09:00"
    freed = story.ok("expire", "--yes", "--json", at=end).data["providers"][0]["freed"]
    assert len(freed) == FIRST
    assert story.world.namespaces(KT) == set()
    for stack in stack_names(KT, 3):
        assert story.stack_types(stack) == ["pulumi:pulumi:Stack"]
    assert story.ok("expire", "--yes", "--json", at=end).data["providers"][0]["operations"] == {}


def test_changing_the_number_of_shards_moves_state_and_touches_no_tenant(granted: Story) -> None:
    story = granted
    before = writes(story)
    assert len(before) == 4 * FIRST
    for shards in (3, 2, 1):
        story.split(KT, shards)
        hand = story.by_hand("preview", KT)
        assert hand.code != 0
        assert "which moves it without touching a tenant" in hand.out + hand.err
        done = story.up()[KT]
        assert (done["applied"], done["operations"], done["error"]) == ([], {}, None)
        assert writes(story) == before
        in_place(story, shards)
        assert story.up()[KT]["operations"] == {}


def test_a_forfeiture_right_after_the_number_changed_moves_the_state_too(granted: Story) -> None:
    story = granted
    story.split(KT, 2)
    (gone, *_) = awards_of(story, KT)
    done = story.ok("forfeit", gone, "--reason", "gave up", "--yes", "--json", at=MARCH).data["providers"][0]
    assert [tenant["award_id"] for tenant in done["freed"]] == [gone]
    found = {stack: awards_of(story, stack) for stack in stack_names(KT, 2)}
    assert sum(len(awards) for awards in found.values()) == FIRST - 1
    assert all(found.values())
    story.in_step(stack_names(KT, 2))
