"""The chart on a real cluster: installed, each of its rules once kept and once broken, upgraded, uninstalled.

The API server runs without PodNodeSelector and PodSecurity, and with privileged containers, as providers' do or may do:
what is refused here is refused by the chart's rules alone.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from chart_cluster import CHART, RBAC, Answer, Person, award, folder, helm, pod
from chart_rules import CORE, DRY, ELSEWHERE, KEY, NAMESPACE, OBJECTS, PODS, RULES, SPACES, THERE, Ask, Rule, env, named
from sandbox_fixtures import ALPHA, admin_kubeconfig, eventually, programs, while_up

from gpuprov.core.manifests import ADMISSION_POLICIES as NAMES
from gpuprov.preflight.policies import lacking, problems
from gpuprov.sandbox import Sandbox, controlplane

pytestmark = pytest.mark.sandbox

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
WHERE_THE_CHART_WRITES = (
    POLICIES,
    BINDINGS,
    f"/apis/{RBAC}/v1/clusterroles",
    f"/apis/{RBAC}/v1/clusterrolebindings",
    f"/apis/{RBAC}/v1/namespaces/gpuprov-system/roles",
    f"/apis/{RBAC}/v1/namespaces/gpuprov-system/rolebindings",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    "/apis/apps/v1/namespaces/gpuprov-system/daemonsets",
    "/api/v1/namespaces/gpuprov-system/secrets",
)
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
PLUGIN = "/apis/apps/v1/namespaces/gpuprov-system/daemonsets/gpuprov-device-plugin"
ACCOUNT = {"metadata": {"name": "awardee"}}


class People(NamedTuple):
    """``admin`` breaks the glass; ``staff`` has all rights and is held by the rules."""

    kubeconfig: Path
    admin: Person
    staff: Person
    gpuprov: Person
    awardee: Person

    def ask(self, request: Ask) -> Answer:
        """Ask for something that is not done."""
        person: Person = getattr(self, request.who)
        return person(request.method, request.path + DRY, request.body)

    def policies(self) -> list[dict[str, Any]]:
        return self.all(POLICIES)

    def all(self, path: str) -> list[dict[str, Any]]:
        return list(self.admin("GET", path).body["items"])


API_SERVER = controlplane.api_server


def bare_api_server(layout: controlplane.Layout) -> list[str]:
    kept = [argument for argument in API_SERVER(layout) if "admission-plugins" not in argument]
    plugins = ["--enable-admission-plugins=NodeRestriction", "--disable-admission-plugins=PodSecurity"]
    return [*kept, *plugins]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    made = Sandbox(tmp_path_factory.mktemp("chart") / "root", programs(), (ALPHA,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controlplane, "api_server", bare_api_server)
        with while_up(made):
            found = everybody(admin_kubeconfig(made))
            furnish(found)
            await_rules(found)
            yield found


def everybody(kubeconfig: Path) -> People:
    """Install the chart, and let everybody in."""
    notes = helm(kubeconfig, "install", "gpuprov", str(CHART), "--create-namespace")
    assert "Group gpuprov-operators" in notes
    assert "WARNING" not in notes
    gpuprov = Person(kubeconfig, "gpuprov", "gpuprov-operators")
    awardee = Person(kubeconfig, "kim", "gpuprov:hpc-2026-1-001")
    people = People(kubeconfig, Person(kubeconfig), Person(kubeconfig, "staff"), gpuprov, awardee)
    subject = {"kind": "User", "name": "staff", "apiGroup": RBAC}
    role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": RBAC}
    binding = {"metadata": {"name": "staff"}, "roleRef": role, "subjects": [subject]}
    assert people.admin("POST", f"/apis/{RBAC}/v1/clusterrolebindings", binding).ok
    return people


def furnish(people: People) -> None:
    """Make an award as gpuprov does, put something in it, and make a namespace that is somebody else's."""
    for person in (people.gpuprov, people.staff):
        eventually(partial(allowed, person))  # the server reads new bindings a moment later
    make_award(people, OBJECTS)
    assert people.staff("POST", SPACES, {"metadata": {"name": ELSEWHERE}}).ok
    assert people.gpuprov("POST", f"{CORE}/serviceaccounts", ACCOUNT).ok
    for namespace in (NAMESPACE, ELSEWHERE):
        eventually(lambda name=namespace: people.admin("GET", f"{SPACES}/{name}/serviceaccounts/default").ok)
        assert people.staff("POST", f"{SPACES}/{namespace}/pods", pod(0) | {"metadata": {"name": "there"}}).ok
    assert people.admin("POST", f"{SPACES}/{ELSEWHERE}/serviceaccounts", ACCOUNT).ok
    runtime = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
    assert people.admin("POST", "/apis/node.k8s.io/v1/runtimeclasses", runtime).ok


def await_rules(people: People) -> None:
    """Wait until every policy refuses: the API server reads new ones once a second, and their parameters after that."""
    first = {rule.policy: rule for rule in reversed(RULES.values())}
    for rule in first.values():
        eventually(partial(refuses, people, rule))


def refuses(people: People, rule: Rule) -> bool:
    return f"ValidatingAdmissionPolicy '{rule.policy}'" in people.ask(rule.refused).text


def allowed(person: Person) -> bool:
    return person("GET", SPACES).ok


def make_award(people: People, objects: list[dict[str, Any]]) -> None:
    for manifest in objects:
        answer = people.gpuprov("APPLY", f"{folder(manifest)}/{manifest['metadata']['name']}", manifest)
        assert answer.ok, answer


def test_the_server_understands_every_expression(people: People) -> None:
    """Its type check knows which fields an object has; the controller manager runs it a moment later."""
    eventually(lambda: all("typeChecking" in policy.get("status", {}) for policy in people.policies()))
    assert len(people.policies()) == 5
    for policy in people.policies():
        assert policy["status"]["typeChecking"] == {}, json.dumps(policy["status"], indent=1)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_lets_through_what_is_right_and_refuses_what_is_not(people: People, name: str) -> None:
    rule = RULES[name]
    allowed = people.ask(rule.allowed)
    assert allowed.ok, allowed
    refused = people.ask(rule.refused)
    assert refused.status == 403, refused
    assert f"ValidatingAdmissionPolicy '{rule.policy}'" in refused.text
    assert rule.says in refused.text


def test_gpuprov_finds_all_of_it_in_force_and_any_change_by_hand(people: People) -> None:
    """The server adds to what was installed; gpuprov knows what."""
    assert lacking(tuple(people.policies()), tuple(people.all(BINDINGS))) == ()
    expression = {"spec": {"validations": [{"expression": "true"}]}}
    for policy in people.policies():
        name = policy["metadata"]["name"]
        looser = people.admin("PATCH", f"{POLICIES}/{name}{DRY}", expression).body
        assert problems(name, (looser,), tuple(people.all(BINDINGS))) == ["was changed after it was installed"]


def test_the_lock_is_gpuprovs_and_no_other_lease_is(people: People) -> None:
    lock, other = (f"{LEASES.format('gpuprov-system')}/{name}" for name in ("gpuprov", "other"))
    held = {"spec": {"holderIdentity": "one", "leaseDurationSeconds": 60}}
    assert people.admin("POST", LEASES.format("gpuprov-system"), named(name="other")).ok
    assert people.gpuprov("POST", LEASES.format("gpuprov-system"), named(name="gpuprov") | held).ok
    mine = people.gpuprov("GET", lock).body
    assert people.gpuprov("PUT", lock, mine | {"spec": held["spec"] | {"holderIdentity": "two"}}).ok
    assert people.gpuprov("PUT", lock, mine).status == 409  # somebody else has it now
    assert people.gpuprov("PATCH", lock, held).ok
    for refused in (
        people.gpuprov("GET", other),
        people.gpuprov("PATCH", other, held),
        people.gpuprov("DELETE", lock),
        people.gpuprov("GET", LEASES.format("gpuprov-system")),
        *(people.gpuprov("POST", LEASES.format(name), named()) for name in ("default", "kube-system", NAMESPACE)),
        people.awardee("GET", lock),
        people.awardee("PATCH", lock, held),
    ):
        assert (refused.status, "cannot" in refused.text) == (403, True), refused
    for path in (lock, other):
        assert people.admin("DELETE", path).ok


def test_every_policy_is_shown(people: People) -> None:
    assert {rule.policy for rule in RULES.values()} == {policy["metadata"]["name"] for policy in people.policies()}


def test_who_breaks_the_glass_is_held_by_nothing(people: People) -> None:
    for name, rule in RULES.items():
        answer = people.ask(rule.refused._replace(who="admin"))
        assert "ValidatingAdmissionPolicy" not in answer.text, name


def test_rights_alone_hold_back_what_needs_no_rule(people: People) -> None:
    """The account's token is the only one, and the tenants' role the only one to bind."""
    binding = OBJECTS[-1] | {"metadata": {"name": "more"}, "roleRef": OBJECTS[-1]["roleRef"] | {"name": "edit"}}
    for request in (
        Ask("gpuprov", "POST", f"{CORE}/serviceaccounts/default/token", {"spec": {}}),
        Ask("gpuprov", "POST", folder(OBJECTS[-1]), binding),
        Ask("gpuprov", "GET", f"{CORE}/secrets"),
        Ask("gpuprov", "PATCH", f"/apis/{RBAC}/v1/clusterroles/gpuprov-tenant", {"rules": []}),
        Ask("awardee", "PATCH", f"{CORE}/resourcequotas/gpu", {"spec": {"hard": {}}}),
        Ask("awardee", "PATCH", f"{THERE}/ephemeralcontainers", {"spec": {}}),
    ):
        answer = people.ask(request)
        assert answer.status == 403, request
        assert "cannot" in answer.text or "attempting to grant" in answer.text, answer


def test_without_a_quota_no_pod_starts_and_yet_the_namespace_can_go(people: People) -> None:
    """Its Job's pods have a finalizer, which the controller takes off by an update."""
    namespace, objects = award("HPC-2026-1-002")
    make_award(people, objects)
    core = f"{SPACES}/{namespace}"
    eventually(lambda: people.admin("GET", f"{core}/serviceaccounts/default").ok)
    awardee = Person(people.kubeconfig, "lee", "gpuprov:hpc-2026-1-002")
    template = {"spec": pod(1, restartPolicy="Never")["spec"]}
    assert awardee("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", named() | {"spec": {"template": template}}).ok
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert awardee("POST", f"{core}/persistentvolumeclaims", named() | {"spec": claim}).ok
    eventually(lambda: awardee("GET", f"{core}/pods").body["items"])
    assert people.gpuprov("DELETE", f"{core}/resourcequotas/gpu").ok
    eventually(lambda: "no params found" in awardee("POST", f"{core}/pods{DRY}", pod(0)).text)
    assert "gpuprov-gpu" in awardee("POST", f"{core}/pods{DRY}", pod(0)).text
    assert people.gpuprov("DELETE", core).ok
    eventually(lambda: people.admin("GET", core).status == 404)


def test_a_quota_at_nothing_says_so(people: People) -> None:
    namespace, objects = award("HPC-2026-1-003")
    make_award(people, objects)
    quota = f"{SPACES}/{namespace}/resourcequotas/gpu"
    assert people.gpuprov("PATCH", quota, {"spec": {"hard": {"requests.nvidia.com/gpu": "0"}}}).ok
    eventually(lambda: people.admin("GET", f"{SPACES}/{namespace}/serviceaccounts/default").ok)
    awardee = Person(people.kubeconfig, "lee", "gpuprov:hpc-2026-1-003")
    message = "this award has no nvidia.com/gpu; it has no GPU at this moment"
    eventually(lambda: message in awardee("POST", f"{SPACES}/{namespace}/pods{DRY}", pod(1)).text)
    assert awardee("POST", f"{SPACES}/{namespace}/pods{DRY}", pod(0)).ok
    assert people.gpuprov("DELETE", f"{SPACES}/{namespace}").ok


def test_what_was_there_before_the_chart_can_still_be_changed(people: People) -> None:
    """Controllers must take off finalizers of pods that would be refused today."""
    old = pod(0, schedulerName="none", tolerations=[{"operator": "Exists"}], hostNetwork=True)
    old |= {"metadata": {"name": "old", "annotations": {"cdi.k8s.io/a": "b"}, "finalizers": ["example.com/stay"]}}
    assert people.admin("POST", PODS, old).ok
    assert people.awardee("PATCH", f"{PODS}/old", {"metadata": {"labels": {"a": "b"}}}).ok
    assert people.awardee("DELETE", f"{PODS}/old").ok
    assert people.awardee("PATCH", f"{PODS}/old", {"metadata": {"finalizers": None}}).ok
    eventually(lambda: people.admin("GET", f"{PODS}/old").status == 404)


def test_a_deployment_can_be_deleted_in_the_foreground(people: People) -> None:
    """The server adds a finalizer of its own for that."""
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    labels = {"labels": {"a": "b"}}
    spec = {"selector": {"matchLabels": labels["labels"]}, "template": {"metadata": labels, "spec": pod(1)["spec"]}}
    assert people.awardee("POST", path, named() | {"spec": spec}).ok
    eventually(lambda: people.admin("GET", f"{path}/one").body["status"].get("readyReplicas"))
    assert people.awardee("DELETE", f"{path}/one?propagationPolicy=Foreground").ok
    eventually(lambda: people.admin("GET", f"{path}/one").status == 404)


def test_the_device_plugin_goes_to_every_gpu_node(people: People) -> None:
    for more in ("deviceListStrategy=volume-mounts", "deviceListStrategy=cdi-cri,devicePlugin.migStrategy=single"):
        helm(
            people.kubeconfig,
            "upgrade",
            "gpuprov",
            str(CHART),
            "--set",
            f"devicePlugin.enabled=true,devicePlugin.{more}",
        )
        eventually(lambda: people.admin("GET", PLUGIN).body["status"].get("updatedNumberScheduled") == 3)
        eventually(lambda: people.admin("GET", PLUGIN).body["status"].get("numberReady") == 3)


def test_an_upgrade_can_try_the_rules_out_and_take_them_away(people: People) -> None:
    wrong = Ask("awardee", "POST", PODS, pod(container=env(KEY, "all")))

    def upgrade(*arguments: str) -> str:
        return helm(people.kubeconfig, "upgrade", "gpuprov", str(CHART), *arguments)

    assert "refuse nothing" in upgrade("--set", "admission.actions={Warn,Audit}")
    eventually(lambda: people.ask(wrong).ok)
    assert "NVIDIA_VISIBLE_DEVICES" in people.ask(wrong).warning
    tried = lacking(tuple(people.policies()), tuple(people.all(BINDINGS)))
    assert tried == tuple(f"policy {name} does not deny (validationActions)" for name in NAMES)
    assert "WARNING: the admission policies are off" in upgrade("--set", "admission.enabled=false")
    eventually(lambda: not people.ask(wrong).warning)
    assert people.policies() == []
    assert "WARNING" not in upgrade("--reset-values")
    eventually(lambda: people.ask(wrong).status == 403)


def test_uninstalling_leaves_nothing(people: People) -> None:
    helm(people.kubeconfig, "uninstall", "gpuprov", "--wait")
    for path in WHERE_THE_CHART_WRITES:
        names = [resource["metadata"]["name"] for resource in people.admin("GET", path).body["items"]]
        assert [name for name in names if "gpuprov" in name and not name.startswith("gpuprov-sandbox")] == [], path
