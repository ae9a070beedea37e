"""Who may do what: the chart that holds tenants to their quota, gpuprov's own rights, and the awardees' credentials."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from helm import run_helm
from kubernetes import client, config
from kubernetes.client import ApiException
from sandbox_fixtures import eventually
from story import ROLE, Story, World, gpu_pod, make_project, running

pytestmark = pytest.mark.sandbox

STUDIO, NAMESPACE = "HPC-2026-1-003", "gpu-hpc-2026-1-003"
AWARDS = {STUDIO, "HPC-2026-1-005", "HPC-2026-1-008", "HPC-2026-1-002"}
"""Those of the list here; the last is at another supplier."""
RULE = "gpuprov-gpu"


@pytest.fixture(scope="module", autouse=True)
def provisioned(story: Story) -> None:
    story.edit_list(lambda rows: [row for row in rows if row.split(",")[0] in AWARDS])
    story.ok("up", "--yes", "--provider", "samsung-sds")


def awardee(path: Path) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(config_file=str(path)))


def refused(attempt: Any) -> int:
    with pytest.raises(ApiException) as error:
        attempt()
    return int(error.value.status)


def bindings(world: World) -> client.AdmissionregistrationV1Api:
    return client.AdmissionregistrationV1Api(world.connection("samsung-sds"))


def test_gpuprov_works_with_its_own_identity_and_not_as_administrator(story: Story) -> None:
    own = config.new_client_from_config(config_file=str(story.world.sandbox.kubeconfig), context="samsung-sds")
    me = client.AuthenticationV1Api(own).create_self_subject_review({}).status.user_info
    assert (me.username, sorted(me.groups)) == ("gpuprov", ["gpuprov-operators", "system:authenticated"])
    core = client.CoreV1Api(own)
    assert refused(core.list_secret_for_all_namespaces) == 403
    assert refused(lambda: core.create_namespaced_pod(NAMESPACE, gpu_pod("mine", 1))) == 403
    assert refused(lambda: core.create_namespace({"metadata": {"name": "gpu-elsewhere"}})) == 403
    assert refused(lambda: core.delete_namespace("default")) == 403
    rights = client.RbacAuthorizationV1Api(own)
    subject = {"kind": "User", "name": "gpuprov", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "awardee"}, "roleRef": role, "subjects": [subject]}
    assert refused(lambda: rights.create_namespaced_role_binding(NAMESPACE, binding)) == 403


def test_a_kubeconfig_is_good_for_the_award_alone_and_ends_with_it(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "studio"
    ran = story.ok("kubeconfig", STUDIO, "--out", str(path), "--json", at="2026-06-30T12:00:00+09:00")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (ran.data["namespace"], ran.data["file"]) == (NAMESPACE, str(path))
    assert "token:" in path.read_text(encoding="utf-8")
    core = awardee(path)
    review = client.AuthenticationV1Api(core.api_client).create_self_subject_review({}).status.user_info
    assert review.username == f"system:serviceaccount:{NAMESPACE}:awardee"
    running(core, NAMESPACE, "train", 8)
    assert refused(lambda: core.create_namespaced_pod(NAMESPACE, gpu_pod("more", 1))) == 403
    assert refused(lambda: core.list_namespaced_pod("gpu-hpc-2026-1-005")) == 403
    assert refused(core.list_namespace) == 403


def test_the_token_lives_as_long_as_the_award_and_not_longer(story: Story, tmp_path: Path) -> None:
    """The server's clock is not the story's: what counts is the time between issue and end."""
    path = tmp_path / "studio"
    for at, options, seconds in (
        ("2026-06-30T12:00:00+09:00", (), 12 * 3600),
        ("2026-03-01T09:00:00+09:00", ("--hours", "2"), 2 * 3600),
    ):
        story.ok("kubeconfig", STUDIO, "--out", str(path), "--force", *options, at=at)
        claims = json.loads(decoded(path))
        assert claims["exp"] - claims["iat"] == seconds
    ran = story.run("kubeconfig", STUDIO, "--out", str(path), "--force", at="2026-06-30T23:55:00+09:00")
    assert (ran.code, "no token can live less than 600 s" in ran.err) == (1, True)
    ran = story.run("kubeconfig", STUDIO, "--out", str(path))
    assert (ran.code, "already exists" in ran.err) == (1, True)


def decoded(path: Path) -> bytes:
    import base64

    import yaml

    token = yaml.safe_load(path.read_text(encoding="utf-8"))["users"][0]["user"]["token"]
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_revoking_voids_every_token(story: Story, tmp_path: Path) -> None:
    path, again = tmp_path / "other", tmp_path / "again"
    story.ok("kubeconfig", "HPC-2026-1-005", "--out", str(path))
    core = awardee(path)
    core.list_namespaced_pod("gpu-hpc-2026-1-005")
    ran = story.ok("kubeconfig", "HPC-2026-1-005", "--revoke", "--json")
    assert ran.data == {
        "award": "HPC-2026-1-005",
        "revoked": [{"provider": "samsung-sds", "namespace": "gpu-hpc-2026-1-005"}],
        "ends_within_seconds": 10,
        "failed": {},
    }
    story.ok("kubeconfig", "HPC-2026-1-005", "--out", str(again))
    eventually(lambda: tried(core, "gpu-hpc-2026-1-005") == 401)  # the server remembers a token for some seconds
    assert tried(awardee(again), "gpu-hpc-2026-1-005") == 200


def test_an_award_that_ended_or_left_the_list_is_revoked_all_the_same(story: Story, tmp_path: Path) -> None:
    """Nothing has been torn down yet, and a leaked token does not wait for that."""
    path = tmp_path / "other"
    story.ok("kubeconfig", "HPC-2026-1-005", "--out", str(path))
    list_file = story.root / "examples" / "awards-2026-h1.csv"
    before = list_file.read_bytes()
    story.edit_list(lambda rows: [row for row in rows if not row.startswith("HPC-2026-1-005,")])
    ran = story.ok("kubeconfig", "HPC-2026-1-005", "--revoke", "--json", at="2026-07-01T00:00:00+09:00")
    list_file.write_bytes(before)
    assert [revocation["provider"] for revocation in ran.data["revoked"]] == ["samsung-sds"]
    core = awardee(path)
    eventually(lambda: tried(core, "gpu-hpc-2026-1-005") == 401)


def tried(core: client.CoreV1Api, namespace: str) -> int:
    try:
        core.list_namespaced_pod(namespace)
    except ApiException as error:
        return int(error.status)
    return 200


def test_forfeiting_voids_the_credential_at_once(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "studio"
    story.ok("kubeconfig", STUDIO, "--out", str(path))
    core = awardee(path)
    assert tried(core, NAMESPACE) == 200
    story.ok("forfeit", STUDIO, "--reason", "no answer", "--yes")
    assert tried(core, NAMESPACE) in (401, 403)
    eventually(lambda: tried(core, NAMESPACE) == 401)
    ran = story.run("kubeconfig", STUDIO, "--out", str(tmp_path / "again"))
    assert (ran.code, "has no GPUs (forfeited" in ran.err) == (1, True)
    ran = story.run("kubeconfig", "HPC-2026-1-002", "--out", str(tmp_path / "again"))  # `up` ran at samsung-sds alone
    assert (ran.code, "has no namespace gpu-hpc-2026-1-002 at kt-cloud" in ran.err) == (1, True)
    assert not (tmp_path / "again").exists()


def test_the_set_up_stack_is_in_step_and_takes_over_what_is_there(story: Story) -> None:
    """Another state than the one that installed the chart: all of it already exists, and nothing conflicts."""
    ran = story.ok("setup", "--yes", "--json", "--provider", "samsung-sds").data
    assert ran["failed"] == {}
    again = story.ok("setup", "--json", "--provider", "samsung-sds").data["providers"][0]
    assert again["operations"] == {}  # what the cluster has is what Pulumi's state says that it left
    looked = story.ok("setup", "--yes", "--refresh", "--json", "--provider", "samsung-sds").data["providers"][0]
    assert looked["operations"].keys() == {"same"}
    hand = story.by_hand("preview", "samsung-sds.setup", "--refresh", "--expect-no-changes")
    assert hand.code == 0, hand


def test_several_kubeconfigs_serve_setup_as_they_do_all_else(story: Story, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n", encoding="utf-8")
    both = os.pathsep.join([str(other), str(story.world.sandbox.kubeconfig)])
    for command in (("setup", "--yes"), ("plan",)):
        ran = story.run(*command, "--provider", "samsung-sds", KUBECONFIG=both)
        assert ran.code == 0, ran


def test_nothing_is_granted_while_a_rule_is_missing_until_setup_brings_it_back(story: Story) -> None:
    rights = client.RbacAuthorizationV1Api(story.world.connection("samsung-sds"))
    wide = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    rights.patch_cluster_role(ROLE, {"rules": wide})
    bindings(story.world).delete_validating_admission_policy_binding(RULE)
    story.edit_list(lambda rows: [row.replace("HPC-2026-1-003", "HPC-2026-1-903") for row in rows])
    ran = story.run("up", "--yes", "--provider", "samsung-sds")
    assert ran.code == 4, ran
    assert f"policy {RULE} has no binding; the role {ROLE} lets awardees * *" in ran.err
    assert "gpu-hpc-2026-1-903" not in story.world.namespaces("samsung-sds")
    story.ok("setup", "--yes", "--provider", "samsung-sds")
    assert len(rights.read_cluster_role(ROLE).rules) > 1
    story.ok("up", "--yes", "--provider", "samsung-sds")
    assert "gpu-hpc-2026-1-903" in story.world.namespaces("samsung-sds")


def test_helm_installs_the_same_chart_on_another_cluster(world: World, tmp_path: Path) -> None:
    """By hand, with Helm alone, over what `gpuprov setup` left: Helm takes it over and gpuprov finds all it needs."""
    make_project(tmp_path)
    made = Story(world, tmp_path)
    ran = run_helm(
        world.sandbox.kubeconfig,
        "upgrade",
        "--install",
        "gpuprov",
        str(tmp_path / "charts" / "gpu-cluster"),
        "--namespace=gpuprov-system",
        "--create-namespace",
        "--take-ownership",
        context="kt-cloud-admin",
    )
    assert ran.returncode == 0, ran
    assert made.run("plan", "--provider", "kt-cloud", "--json").data["refused"] == []
