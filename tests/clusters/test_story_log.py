"""What a run that nobody watched leaves in the log, on real clusters."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from story import MARCH, Story

pytestmark = pytest.mark.sandbox

KT, END = "kt-cloud", "2026-07-01T00:00:00+09:00"
AWARDS = {"HPC-2026-8-001": "gpu-hpc-2026-8-001", "HPC-2026-8-002": "gpu-hpc-2026-8-002"}
ROW = "{award},새연구소,대학,책임자,new@example.org,1,2,KT클라우드,H200,2,2026-01-01,2026-06-30,선정,"


@pytest.fixture(scope="module")
def logged(story: Story) -> list[dict[str, Any]]:
    """The log of a night: two awards are granted, and their term ends."""
    story.edit_list(lambda rows: [ROW.format(award=award) for award in AWARDS])
    options = ("--yes", "--provider", KT, "--log-format", "json")
    granted = story.ok("up", *options)
    ended = story.ok("expire", *options, at=END)
    assert "{" not in granted.out + ended.out
    return [*granted.log, *ended.log]


def said(logged: list[dict[str, Any]], award: str) -> list[str]:
    return [line["message"] for line in logged if line.get("award") == award]


@pytest.mark.parametrize("award", AWARDS)
def test_each_award_is_followed_from_the_decision_to_the_proof(logged: list[dict[str, Any]], award: str) -> None:
    namespace = AWARDS[award]
    messages = said(logged, award)
    wanted = [
        "create, 0 to 2 H200: ",
        "applied, and read back as it should be",
        "reclaim, 2 to 0 H200: term ended at 2026-07-01T00:00+09:00",
        f"PATCH /api/v1/namespaces/{namespace}/resourcequotas/gpu: 200",
        f"DELETE /api/v1/namespaces/{namespace}: 200",
        "2 H200 proven free at ",
    ]
    places = [next(i for i, message in enumerate(messages) if message.startswith(start)) for start in wanted]
    assert places[:3] == sorted(places[:3]), messages
    assert places[2] < places[3] < places[4], messages
    assert {line["provider"] for line in logged if line.get("award") == award} == {KT}


def test_whether_anything_changed_is_told_at_which_level_too(logged: list[dict[str, Any]]) -> None:
    assert {line["level"] for line in logged} == {"INFO"}
    requests = [line for line in logged if line["logger"] == "gpuprov.kube.client"]
    assert requests
    assert not [line for line in requests if line["message"].startswith("GET ")]


def test_no_credential_is_logged(story: Story, logged: list[dict[str, Any]], tmp_path: Path) -> None:
    story.ok("up", "--yes", "--provider", KT, at=MARCH)
    ran = story.ok("kubeconfig", next(iter(AWARDS)), "-vv", "--out", str(tmp_path / "award"), at=MARCH)
    assert "serviceaccounts" in ran.err, "the request for the token itself is logged"
    written = yaml.safe_load((tmp_path / "award").read_text(encoding="utf-8"))
    secrets = [user["user"]["token"] for user in written["users"]]
    own = yaml.safe_load(story.world.sandbox.kubeconfig.read_text(encoding="utf-8"))
    for user in own["users"]:
        for key, value in user["user"].items():
            if key.endswith("key-data"):
                secrets += [value, base64.b64decode(value).decode().splitlines()[1]]
            if key == "token":
                secrets.append(value)
    assert len(secrets) > 1
    assert not [secret for secret in secrets if secret in ran.err + ran.out]
