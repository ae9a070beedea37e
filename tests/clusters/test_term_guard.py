"""The term guard on a real cluster, with the identity and the rules that its chart gives it.

Its program runs as a process with the token of its service account, where a pod would have it.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from kubernetes.client import CoreV1Api
from projects import REPOSITORY
from sandbox_fixtures import eventually
from service import Service, serving
from story import MARCH, Story, running

from gpuprov.core.manifests import BINDING, QUOTA, SERVICE_ACCOUNT, SYSTEM_NAMESPACE, TERM_END

pytestmark = pytest.mark.sandbox

PROVIDER = "kt-cloud"
AWARD, NAMESPACE, OTHER = "HPC-2026-1-002", "gpu-hpc-2026-1-002", "gpu-hpc-2026-1-007"
AWARDS = (AWARD, "HPC-2026-1-007")
GPUS = 1 + 4
GUARD = "gpuprov-term-guard"
BEFORE_MIDNIGHT, END = "2026-06-30T23:59:55+09:00", datetime.fromisoformat("2026-07-01T00:00:00+09:00")
LONG_AFTER = "2026-07-09T00:00:00+09:00"
LAST_DAY = "2026-05-31"
EXTENDED = {
    "award": AWARD,
    "at": MARCH,
    "by": "lee",
    "reason": "continued",
    "recorded": MARCH,
    "event": "extended",
    "last_day": "2026-06-30",
}
OTHERS_POD = {"metadata": {"name": "others"}, "spec": {"containers": [{"name": "a", "image": "nothing.invalid/none"}]}}
MARGIN = 3
VALUES = f"""
    chartValues:
      termGuard: {{enabled: true, marginSeconds: {MARGIN}}}
"""


@pytest.fixture(scope="module")
def guarded(story: Story) -> Iterator[Story]:
    """The cluster with the guard's identity and rules; afterwards it is as the others find it."""
    path = story.root / "stacks" / f"Pulumi.{PROVIDER}.yaml"
    before = path.read_text(encoding="utf-8")
    story.configure(PROVIDER, lambda text: text.replace("\n    pools:", f"{VALUES}    pools:", 1))
    story.ok("setup", "--yes", "--provider", PROVIDER)
    yield story
    path.write_text(before, encoding="utf-8")
    story.ok("setup", "--yes", "--provider", PROVIDER)


def grant(story: Story, last_day: str) -> None:
    """Let the two awards be all of the list, with a ledger that begins anew."""
    whole = (REPOSITORY / "examples" / "awards-2026-h1.csv").read_text(encoding="utf-8-sig").splitlines()
    rows = [row.replace("2026-06-30", last_day) for row in whole if row.startswith(AWARDS)]
    listed = story.root / "examples" / "awards-2026-h1.csv"
    listed.write_text("\n".join([whole[0], *rows]) + "\n", encoding="utf-8")
    (story.root / "examples" / "ledger.jsonl").unlink(missing_ok=True)
    story.ok("up", "--yes", "--provider", PROVIDER, "--accept-ledger")


@pytest.fixture
def provisioned(guarded: Story) -> Story:
    """Two awards, whatever the test before has left."""
    grant(guarded, "2026-06-30")
    assert guarded.world.namespaces(PROVIDER) == {NAMESPACE, OTHER}
    return guarded


@pytest.fixture(scope="module")
def account(guarded: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the kubelet would mount: a token of the guard's service account, and the server's authority."""
    folder = tmp_path_factory.mktemp("serviceaccount")
    connection = guarded.world.connection(PROVIDER)
    body = {"spec": {"expirationSeconds": 3600}}
    token = CoreV1Api(connection).create_namespaced_service_account_token(GUARD, SYSTEM_NAMESPACE, body)
    (folder / "token").write_text(token.status.token, encoding="utf-8")
    (folder / "ca.crt").write_bytes(Path(connection.configuration.ssl_ca_cert).read_bytes())
    return folder


def guarding(story: Story, account: Path, *options: str, at: str = BEFORE_MIDNIGHT) -> AbstractContextManager[Service]:
    """Let the guard run as its pod does: with its token, and without project, state and kubeconfig."""
    server = urllib3.util.parse_url(story.world.connection(PROVIDER).configuration.host)
    home = account.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "KUBERNETES_SERVICE_HOST": str(server.host),
        "KUBERNETES_SERVICE_PORT": str(server.port),
    }
    command = ("term-guard", "--service-account", str(account), "--margin", str(MARGIN), "--at", at, *options)
    return serving(*command, cwd=home, env=environment)


def core(story: Story) -> CoreV1Api:
    return story.world.core(PROVIDER)


def hard(story: Story, namespace: str = NAMESPACE) -> dict[str, str]:
    limits: dict[str, str] = core(story).read_namespaced_resource_quota(QUOTA, namespace).spec.hard
    return limits


def told(story: Story, reason: str, namespace: str = NAMESPACE) -> list[str]:
    """Return what Events of a reason say of a namespace, the oldest first."""
    found = core(story).list_namespaced_event("default", field_selector=f"source={GUARD},reason={reason}").items
    of_namespace = [event for event in found if event.involved_object.name == namespace]
    return [event.message for event in sorted(of_namespace, key=lambda event: event.metadata.creation_timestamp)]


def ended(guard: Service, step: str = "close") -> float:
    return guard.metric("gpuprov_term_guard_ended_awards_total", step=step)


def test_with_everything_of_ours_gone_the_gpus_come_back(provisioned: Story, account: Path, tmp_path: Path) -> None:
    story = provisioned
    story.ok("kubeconfig", AWARD, "--out", str(tmp_path / "awardee.kubeconfig"))
    running(core(story), NAMESPACE, "train", 1)
    away = story.root / "state"
    away.rename(tmp_path / "state")
    with guarding(story, account) as guard:
        eventually(lambda: guard.page("/readyz")[0] == 200)
        eventually(lambda: ended(guard) == 2)
        assert core(story).list_namespaced_pod(NAMESPACE).items == []
        assert (hard(story)["pods"], hard(story)["requests.nvidia.com/gpu"]) == ("0", "0")
        accounts = core(story).list_namespaced_service_account(NAMESPACE).items
        assert SERVICE_ACCOUNT not in [found.metadata.name for found in accounts]
        assert guard.metric("gpuprov_term_guard_freed_gpus_total") == GPUS
        assert guard.metric("gpuprov_term_guard_errors_total") == 0
        assert guard.page("/healthz") == (200, "ok\n")
        assert guard.end() == 0
    proven = datetime.fromisoformat(told(story, "TermEnded")[-1].rpartition(" at ")[2])
    print(f"free {proven - END} after the end, of which {MARGIN} s are the margin")
    assert proven >= END + timedelta(seconds=MARGIN)
    (tmp_path / "state").rename(away)
    story.ok("expire", "--yes", "--provider", PROVIDER, at=LONG_AFTER)
    assert story.world.namespaces(PROVIDER) == set()
    assert story.run("plan", "--provider", PROVIDER, "--exit-code", at=LONG_AFTER).code == 0


def test_a_guard_that_is_killed_at_work_is_followed_by_another(provisioned: Story, account: Path) -> None:
    """A namespace that a finalizer holds is told, and goes when somebody has taken the finalizer off."""
    story = provisioned
    core(story).patch_namespace(NAMESPACE, {"metadata": {"finalizers": ["example.org/hold"]}})
    with guarding(story, account, "--timeout", "600") as first:
        eventually(lambda: hard(story)["pods"] == "0" and hard(story, OTHER)["pods"] == "0")
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    with guarding(story, account, "--retention", "1", "--timeout", "1", at=LONG_AFTER) as second:
        eventually(lambda: story.world.namespaces(PROVIDER) == {NAMESPACE})
        eventually(lambda: told(story, "TermNotEnded") != [])
        assert second.metric("gpuprov_term_guard_errors_total") >= 1
        core(story).patch_namespace(NAMESPACE, {"metadata": {"finalizers": None}})
        eventually(lambda: story.world.namespaces(PROVIDER) == set())
        eventually(lambda: ended(second, "delete") == 2)
        assert second.end() == 0
    assert told(story, "NamespaceDeleted") != []


def test_a_term_that_only_the_ledger_extends_is_shouted_about_and_up_saves_it(
    provisioned: Story, account: Path
) -> None:
    story = provisioned
    grant(story, LAST_DAY)
    (story.root / "examples" / "ledger.jsonl").write_text(f"{json.dumps(EXTENDED)}\n", encoding="utf-8")
    ran = story.run("plan", "--provider", PROVIDER, "--json")
    (warning,) = ran.data["warnings"]
    assert f"the cluster's term guard ends {AWARD} at 2026-06-01T00:00+09:00" in warning
    assert warning in ran.err
    story.ok("up", "--yes", "--provider", PROVIDER)
    assert story.run("plan", "--provider", PROVIDER, "--json").data["warnings"] == []
    with guarding(story, account, at=f"{LAST_DAY}T23:59:55+09:00") as guard:
        eventually(lambda: ended(guard) == 1)
        assert guard.end() == 0
    assert (hard(story)["pods"] != "0", hard(story, OTHER)["pods"]) == (True, "0")


def test_what_is_written_wrong_is_told_and_left_alone(provisioned: Story, account: Path) -> None:
    story = provisioned
    core(story).patch_namespace(NAMESPACE, {"metadata": {"annotations": {TERM_END: "30 June"}}})
    with guarding(story, account, "--dry-run", at=LONG_AFTER) as guard:
        eventually(lambda: guard.says("dry run: would close it", "2026-07-01"))
        assert guard.end() == 0
    assert hard(story, OTHER)["pods"] != "0"
    assert told(story, "TermUnknown") == []
    with guarding(story, account, at=LONG_AFTER) as guard:
        eventually(lambda: ended(guard) == 1)
        eventually(lambda: told(story, "TermUnknown") != [])
        assert guard.end() == 0
    assert hard(story)["pods"] != "0"


def test_more_than_its_cap_it_leaves_to_people(provisioned: Story, account: Path) -> None:
    story = provisioned
    with guarding(story, account, "--most-at-once", "1", at=LONG_AFTER) as guard:
        eventually(lambda: told(story, "TermGuardRefused") != [])
        assert guard.metric("gpuprov_term_guard_refused") == 1
        assert guard.end() == 0
    assert hard(story)["pods"] != "0"


DRY = "?dryRun=All"
SPACE = f"/api/v1/namespaces/{NAMESPACE}"
QUOTA_PATH = f"{SPACE}/resourcequotas/{QUOTA}{DRY}"
RBAC_PATH = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings"


NOTHING = {"pods": "0", "requests.nvidia.com/gpu": "0", "requests.amd.com/gpu": "0"}
ALLOWED = [
    ("PATCH", QUOTA_PATH, {"spec": {"hard": NOTHING}}),
    ("DELETE", f"{RBAC_PATH}/{BINDING}{DRY}", None),
    ("DELETE", f"{SPACE}/pods{DRY}", None),
    ("DELETE", f"{SPACE}{DRY}", None),
]
REFUSED = [
    ("PATCH", QUOTA_PATH, {"spec": {"hard": {"requests.nvidia.com/gpu": "400"}}}),
    ("PATCH", QUOTA_PATH, {"spec": {"hard": {"requests.nvidia.com/gpu": "2"}}}),
    ("PATCH", QUOTA_PATH, {"spec": {"hard": {"requests.amd.com/gpu": "1"}}}),
    ("PATCH", QUOTA_PATH, {"spec": {"hard": {"requests.nvidia.com/gpu": None}}}),
    ("PATCH", QUOTA_PATH, {"spec": {"scopes": ["Terminating"]}}),
    ("PATCH", QUOTA_PATH, {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}),
    ("PATCH", QUOTA_PATH, {"metadata": {"annotations": {"a": "b"}}}),
    ("DELETE", QUOTA_PATH, None),
    ("PATCH", f"{SPACE}/resourcequotas/fixed{DRY}", {"spec": {"hard": {"services": "0"}}}),
    ("PATCH", f"{SPACE}{DRY}", {"metadata": {"annotations": {TERM_END: LONG_AFTER}}}),
    ("DELETE", f"/api/v1/namespaces/default{DRY}", None),
    ("DELETE", f"/api/v1/namespaces/{SYSTEM_NAMESPACE}{DRY}", None),
    ("POST", f"{SPACE}/pods{DRY}", {"metadata": {"name": "mine"}}),
    ("POST", f"{RBAC_PATH}{DRY}", {"metadata": {"name": "mine"}}),
    ("GET", f"{SPACE}/secrets", None),
    ("GET", "/api/v1/configmaps", None),
    ("GET", "/api/v1/resourcequotas", None),
    ("DELETE", "/apis/coordination.k8s.io/v1/namespaces/gpuprov-system/leases/gpuprov-watch", None),
]


def test_its_identity_can_end_awards_and_do_nothing_else(provisioned: Story, account: Path) -> None:
    host = provisioned.world.connection(PROVIDER).configuration.host
    pool = urllib3.PoolManager(ca_certs=str(account / "ca.crt"))
    headers = {
        "Authorization": f"Bearer {(account / 'token').read_text(encoding='utf-8')}",
        "Content-Type": "application/merge-patch+json",
    }

    def status(method: str, path: str, body: Any) -> int:
        kind = {"Content-Type": "application/json"} if method == "POST" else {}
        sent = None if body is None else json.dumps(body)
        return int(pool.request(method, f"{host}{path}", body=sent, headers=headers | kind, retries=False).status)

    deleted = core(provisioned).create_namespaced_pod(SYSTEM_NAMESPACE, OTHERS_POD)
    try:
        assert [status(*request) for request in ALLOWED] == [200] * len(ALLOWED)
        answers = {f"{method} {path} {body}": status(method, path, body) for method, path, body in REFUSED}
        assert {request: answer for request, answer in answers.items() if answer not in (403, 422)} == {}
        path = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods{DRY}"
        assert status("DELETE", path, None) == 403  # there is one, so the rule is asked
    finally:
        core(provisioned).delete_namespaced_pod(deleted.metadata.name, SYSTEM_NAMESPACE)
