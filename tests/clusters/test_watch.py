"""The service on three real clusters, by a clock that goes on from shortly before midnight of 30 June."""

import signal
from pathlib import Path

import pytest
from kubernetes.client import CoordinationV1Api
from projects import REPOSITORY
from sandbox_fixtures import eventually
from service import came_back, watching
from story import PROVIDERS, Story, running

from gpuprov.core.manifests import SYSTEM_NAMESPACE, WATCH_LEASE

pytestmark = pytest.mark.sandbox

BEFORE_MIDNIGHT = "2026-06-30T23:59:48+09:00"
MIDNIGHT = "2026-07-01T00:00:00+09:00"
SOON_AFTER = "2026-03-01T12:00:40+09:00"
NOON = "2026-03-01T12:00:00+09:00"
AWARDS = 12
NEW = "HPC-2026-1-999,뒤늦은연구소,대학,책임자,late@example.org,2,8,삼성SDS,H100,8,2026-03-01,2026-06-30,선정,"


def is_there(story: Story) -> dict[str, int]:
    return {provider: len(story.world.namespaces(provider)) for provider in PROVIDERS}


def listed(story: Story) -> Path:
    return story.root / "examples" / "awards-2026-h1.csv"


def nothing_is_there(story: Story, *providers: str) -> bool:
    return not any(story.world.namespaces(provider) for provider in providers or PROVIDERS)


@pytest.fixture
def provisioned(story: Story) -> Story:
    """Some awards at each supplier, whatever the test before has left."""
    whole = (REPOSITORY / "examples" / "awards-2026-h1.csv").read_text(encoding="utf-8-sig").splitlines()
    listed(story).write_text("\n".join(whole[: 1 + AWARDS]) + "\n", encoding="utf-8")
    story.up()
    assert sum(is_there(story).values()) == AWARDS
    return story


def test_terms_end_at_midnight_by_themselves(provisioned: Story) -> None:
    story = provisioned
    running(story.world.core("kt-cloud"), "gpu-hpc-2026-1-002", "train", 1)
    with watching(story, "--at", BEFORE_MIDNIGHT) as service:
        eventually(lambda: service.page("/readyz")[0] == 200)
        assert service.metric("gpuprov_pool_gpus", kind="capacity") > 0
        eventually(lambda: nothing_is_there(story))
        eventually(lambda: came_back(service) == AWARDS)  # and none of them before its end
        eventually(lambda: service.metric("gpuprov_drift_changes") == 0)
        assert service.metric("gpuprov_awards", state="expired") == AWARDS
        assert service.metric("gpuprov_errors_total") == 0
        assert service.page("/healthz") == (200, "ok\n")
        assert service.end() == 0
        assert not service.says("Traceback")
    after = story.run("plan", "--exit-code", at=MIDNIGHT)
    assert after.code == 0, after


def test_what_list_and_ledger_change_is_done_by_itself(provisioned: Story) -> None:
    story = provisioned
    with watching(story, "--at", NOON, "--apply") as service:
        eventually(lambda: service.page("/readyz")[0] == 200)
        before = listed(story).read_text(encoding="utf-8")
        listed(story).write_text(f"{before}{NEW}\n", encoding="utf-8")
        eventually(lambda: story.world.quotas("samsung-sds").get("gpu-hpc-2026-1-999") == 8)
        story.ok(
            "forfeit", "HPC-2026-1-999", "--at", SOON_AFTER, "--reason", "no answer", "--yes", at=NOON
        )  # records it
        eventually(lambda: "gpu-hpc-2026-1-999" not in story.world.namespaces("samsung-sds"))
        eventually(lambda: came_back(service) == 1)
        listed(story).write_text(f"{before}{NEW.replace('HPC', '')}\n{NEW},more\n", encoding="utf-8")
        eventually(lambda: service.metric("gpuprov_list_valid") == 0)
        status, text = service.page("/readyz")
        assert (status, "awards-2026-h1.csv:" in text) == (503, True)
        header, *_ = before.splitlines()
        listed(story).write_text(f"{header}\n{NEW}\n", encoding="utf-8")  # most rows are gone: that ends no award
        eventually(lambda: service.metric("gpuprov_list_valid") == 1)
        eventually(lambda: service.metric("gpuprov_errors_total", kind="refused") >= len(PROVIDERS) - 1)
        assert sum(is_there(story).values()) == AWARDS
        assert service.end(signal.SIGINT) == 0
    assert story.run("up", "--yes", "--allow-teardown", str(AWARDS), at=NOON).code == 0


def test_the_last_valid_list_holds_and_a_cluster_that_is_away_delays_no_other(provisioned: Story) -> None:
    story = provisioned
    sandbox = story.world.sandbox
    with watching(story, "--at", BEFORE_MIDNIGHT) as service:
        eventually(lambda: service.page("/readyz")[0] == 200)
        whole = listed(story).read_bytes()
        listed(story).write_bytes(whole.replace(b"2026-06-30", b"2026-06-31"))
        sandbox.stop("elice-cloud")
        try:
            eventually(lambda: nothing_is_there(story, "samsung-sds", "kt-cloud"))
            eventually(lambda: service.metric("gpuprov_errors_total", provider="elice-cloud", kind="cluster") > 0)
        finally:
            sandbox.start("elice-cloud")
        eventually(lambda: nothing_is_there(story))
        assert service.metric("gpuprov_list_valid") == 0
        assert service.end() == 0


def test_of_two_replicas_one_leads_and_the_other_acts_when_it_is_killed(provisioned: Story, tmp_path: Path) -> None:
    """As on two machines: neither knows of the other's processes. By the second one's clock the terms are over."""
    story = provisioned
    other = {"XDG_STATE_HOME": str(tmp_path)}
    with watching(story, "--at", NOON) as first:
        eventually(lambda: first.metric("gpuprov_leads") == len(PROVIDERS))
        with watching(story, "--at", MIDNIGHT, **other) as second:
            eventually(lambda: second.page("/readyz")[0] == 200)
            assert second.metric("gpuprov_awards", state="expired") == AWARDS
            assert (second.metric("gpuprov_leads"), second.metric("gpuprov_rounds_total")) == (0, 0)
            assert sum(is_there(story).values()) == AWARDS
            assert first.end(signal.SIGKILL) == -signal.SIGKILL
            eventually(lambda: second.metric("gpuprov_leads") == len(PROVIDERS))
            eventually(lambda: came_back(second) == AWARDS)
            assert nothing_is_there(story)
            assert second.end() == 0
    leases = CoordinationV1Api(story.world.connection("kt-cloud"))
    assert not leases.read_namespaced_lease(WATCH_LEASE, SYSTEM_NAMESPACE).spec.holder_identity  # it was given back
