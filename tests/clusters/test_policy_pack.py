"""The policy pack in Pulumi's own commands: the real program passes, and programs that take too much are refused."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import REPOSITORY, Ran
from story import Story, World, make_project

from gpuprov.core.rules import Rule

pytestmark = pytest.mark.sandbox

SDS = "samsung-sds"
AWARDS = ("HPC-2026-1-003", "HPC-2026-1-005", "HPC-2026-1-008", "HPC-2026-1-010")
"""Awards of 8, 1, 4 and 2 H100."""
PACK = ("--policy-pack", "policies")

BROKEN = """
from copy import deepcopy
from gpuprov.core import manifests
from gpuprov.engine import component

faults = {faults!r}

names = ("namespace", "page", "fixed", "quota", "limits", "policy", "binding")

def broken(tenant, cluster):
    objects = deepcopy(dict(zip(names, manifests.tenant_manifests(tenant, cluster))))
    exec(faults.get(tenant.award_id, ""), objects)
    return [objects[name] for name in names if name in objects]

component.tenant_manifests = broken
"""
QUOTA_ABOVE = "quota['spec']['hard']['requests.nvidia.com/gpu'] = '199'"
TERM_BEYOND = "namespace['metadata']['annotations']['gpuprov.dev/term-end'] = '2026-07-01T00:00:01+09:00'"


@pytest.fixture(scope="module")
def story(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A project with one provider, few awards and the policy pack, whose stack is made and empty."""
    subprocess.run(["bash", REPOSITORY / "policies/setup"], check=True)
    root: Path = tmp_path_factory.mktemp("policies")
    make_project(root)
    (root / "policies/.venv").symlink_to(REPOSITORY / "policies/.venv")
    made = Story(world, root)
    made.edit_list(lambda rows: [row for row in rows if row.startswith(AWARDS)])
    for other in ("kt-cloud", "elice-cloud"):
        (root / "stacks" / f"Pulumi.{other}.yaml").unlink()
    done = subprocess.run(["pulumi", "stack", "init", SDS], cwd=root, env=made.environment, check=False)
    assert done.returncode == 0
    try:
        yield made
    finally:
        world.clean()


@pytest.fixture
def program(story: Story) -> Iterator[Path]:
    """The stack's program; it is as it was again when the test has changed it."""
    path = story.root / "stacks/__main__.py"
    before = path.read_text(encoding="utf-8")
    yield path
    path.write_text(before, encoding="utf-8")


def break_it(program: Path, *faults: str) -> None:
    """Let the program change the objects of one award after the other before it declares them."""
    text = program.read_text(encoding="utf-8")
    program.write_text(BROKEN.format(faults=dict(zip(AWARDS, faults, strict=False))) + text, encoding="utf-8")


def refused(ran: Ran, level: str = "mandatory") -> set[str]:
    """Return the policies that Pulumi names as broken."""
    return set(re.findall(rf"\[{level}\]\s+([a-z-]+)", ran.out))


def test_the_real_program_passes(story: Story) -> None:
    ran = story.by_hand("preview", SDS, *PACK)
    assert (ran.code, refused(ran), refused(ran, "advisory")) == (0, set(), set()), ran
    assert "gpuprov@v" in ran.out  # the pack did run


def test_a_broken_program_is_refused_with_every_policys_name(story: Story, program: Path) -> None:
    break_it(program, QUOTA_ABOVE, "del quota", "limits['metadata']['namespace'] = 'default'", TERM_BEYOND)
    ran = story.by_hand("preview", SDS, *PACK)
    assert (ran.code != 0, refused(ran)) == (True, set(Rule)), ran
    first, second, third, fourth = (f"gpu-{award.lower()}" for award in AWARDS)
    for message in (
        f"ResourceQuota gpu in {first}: it grants 199 nvidia.com/gpu, and the award has 8;",
        f"ResourceQuota gpu in {first}: it grants 199 GPUs, and the namespace's annotation gpuprov.dev/gpus says 8;",
        "H100: quotas grant 205 GPUs, 5 more than the capacity of 200;",
        f"Namespace {second}: it has no ResourceQuota gpu;",
        "LimitRange defaults in default: default is not the namespace of an award",
        f"Namespace {third}: it has no LimitRange defaults;",
        f"Namespace {fourth}: its term ends at 2026-07-01T00:00:01+09:00, after the programme's end",
    ):
        assert message in ran.out, (message, ran.out)


ELSEWHERE = """
from functools import partial
from pathlib import Path

import pulumi

from gpuprov.engine.program import declare
from gpuprov.load.project import open_project
from gpuprov.run import byhand

what = byhand.decide(open_project(Path(__file__).parent.parent), pulumi.get_stack())
elsewhere = what.cluster.model_copy(update={"context": "kt-cloud"})
pulumi.run(partial(declare, elsewhere, what.tenants, what.cluster_uid, what.origin))
"""


def test_another_cluster_is_outside_too(story: Story, program: Path) -> None:
    program.write_text(ELSEWHERE, encoding="utf-8")
    ran = story.by_hand("preview", SDS, *PACK)
    assert (ran.code != 0, refused(ran)) == (True, {Rule.INSIDE}), ran


def test_up_stops_before_a_quota_above_its_award_is_there(story: Story, program: Path) -> None:
    break_it(program, QUOTA_ABOVE)
    ran = story.by_hand("up", SDS, "--yes", "--skip-preview", *PACK)
    assert (ran.code != 0, Rule.AWARD in refused(ran)) == (True, True), ran
    assert f"gpu-{AWARDS[0].lower()}" not in story.world.quotas(SDS)  # Pulumi may have made other awards' beside it


def test_a_policy_can_be_made_advisory(story: Story, program: Path) -> None:
    break_it(program, TERM_BEYOND)
    levels = story.root / "levels.json"
    levels.write_text(json.dumps({Rule.TERM: "advisory"}), encoding="utf-8")
    ran = story.by_hand("preview", SDS, *PACK, "--policy-pack-config", str(levels))
    assert (ran.code, refused(ran), refused(ran, "advisory")) == (0, set(), {Rule.TERM}), ran
