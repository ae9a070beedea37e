"""The additional call: a second list that fits only once awards of the first are forfeited, and a second GPU model."""

import pytest
from story import PROVIDERS, Story, running

pytestmark = pytest.mark.sandbox

FEBRUARY = "2026-02-01T00:00:00+09:00"


@pytest.fixture(scope="module")
def crowded(story: Story) -> Story:
    """Both lists are the project's: together they exceed what two suppliers have."""
    story.use_lists("awards-2026-h1.csv", "awards-2026-extra-cp949.csv")
    return story


@pytest.fixture(scope="module")
def provisioned(crowded: Story) -> Story:
    """Forfeiting is the way out, so the excess does not stand in its way."""
    leave = ["HPC-2026-1-003", *_elice_awards_of_at_least(34)]
    crowded.ok("forfeit", *leave, "--reason", "no answer", "--yes", at=FEBRUARY)
    crowded.ok("validate", at=FEBRUARY)
    done = crowded.up(at=FEBRUARY)
    assert len(done["elice-cloud"]["applied"]) > 0
    return crowded


def quota_of(story: Story, award: str) -> int:
    return story.world.quotas("elice-cloud")[f"gpu-{award.lower()}"]


def test_together_the_lists_exceed_capacity_and_nothing_happens(crowded: Story) -> None:
    for command in (("validate",), ("plan",), ("up", "--yes")):
        ran = crowded.run(*command, at=FEBRUARY)
        assert ran.code == 4, ran
        interval = "from 2026-02-01T00:00:00+09:00 to 2026-07-01T00:00:00+09:00"
        assert f"samsung-sds H100: 207 GPUs allocated of 200, 7 too many (7 H100-equivalents), {interval}" in ran.err
        assert f"elice-cloud H100: 434 GPUs allocated of 400, 34 too many (34 H100-equivalents), {interval}" in ran.err
    assert not any(crowded.world.namespaces(provider) for provider in PROVIDERS)


def test_forfeitures_make_room(provisioned: Story) -> None:
    found = provisioned.ok("status", "--json").data["pools"]
    pools = {(pool["provider"], pool["model"]): pool for pool in found}
    assert pools["elice-cloud", "A100"]["allocated"] == 68
    assert pools["elice-cloud", "A100"]["h100"] == {"capacity": 20, "allocated": 17, "free": 3}
    assert pools["elice-cloud", "H100"]["allocated"] <= 400


def _elice_awards_of_at_least(gpus: int) -> list[str]:
    """Choose H100 awards at Elice Cloud from the first list, read with nothing of ours, until they free ``gpus``."""
    from test_story_first_half import listed

    chosen: list[str] = []
    for row in listed():
        if row["공급사"] == "엘리스클라우드" and gpus > 0:
            chosen.append(row["과제번호"])
            gpus -= int(row["배정수량"])
    return chosen


@pytest.mark.parametrize(
    ("award", "gpus", "product"),
    [
        ("HPC-2026-2-006", 4, "NVIDIA-A100-SXM4-80GB"),
        ("HPC-2026-2-003", 8, "NVIDIA-A100-SXM4-80GB"),
        ("HPC-2026-2-001", 2, "NVIDIA-H100-80GB-HBM3"),
    ],
)
def test_pods_land_on_the_model_that_was_awarded(provisioned: Story, award: str, gpus: int, product: str) -> None:
    """The pod asks for GPUs and says nothing of a model: one resource name stands for both."""
    core = provisioned.world.core("elice-cloud")
    namespace = f"gpu-{award.lower()}"
    assert quota_of(provisioned, award) >= gpus
    node = running(core, namespace, "train", gpus)
    assert core.read_node(node).metadata.labels["nvidia.com/gpu.product"] == product


def test_a_waitlisted_award_has_no_namespace(provisioned: Story) -> None:
    assert "gpu-hpc-2026-2-012" not in provisioned.world.namespaces("elice-cloud")
    assert "gpu-hpc-2026-2-004" not in provisioned.world.namespaces("samsung-sds")
