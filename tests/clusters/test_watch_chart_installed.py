"""charts/watch on a real cluster whose namespace enforces Pod Security's "restricted": installed, and gone again."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm import run_helm
from sandbox_fixtures import BETA, admin_kubeconfig, api_of, created, eventually, programs, while_up

from gpuprov.sandbox import Sandbox
from gpuprov.sandbox.api import Api

pytestmark = pytest.mark.sandbox

CHART = Path(__file__).parents[2] / "charts" / "watch"
REPLICAS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["replicas"]
NAMESPACE = "gpuprov-watch"
PODS = "/api/v1/namespaces/{}/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
BUDGETS = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"
COLLECTIONS = (
    PODS,
    DEPLOYMENTS,
    BUDGETS,
    "/apis/apps/v1/namespaces/{}/replicasets",
    "/api/v1/namespaces/{}/services",
    "/api/v1/namespaces/{}/secrets",
    "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
)
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path_factory.mktemp("management") / "root", programs(), (BETA,))
    with while_up(made):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        created(api_of(made, "beta"), "/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})
        yield made


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    return api_of(sandbox, "beta")


@pytest.fixture
def installed(sandbox: Sandbox, api: Api) -> Iterator[None]:
    helm(sandbox, "install", "watch", str(CHART), "--set", "project.repository=https://git.example.org/gpus.git")
    yield
    helm(sandbox, "uninstall", "watch")
    for collection in COLLECTIONS:
        eventually(partial(is_empty, api, collection))


def helm(sandbox: Sandbox, *arguments: str) -> None:
    ran = run_helm(admin_kubeconfig(sandbox), *arguments, "--namespace", NAMESPACE, context="beta")
    assert ran.returncode == 0, ran.stderr


def listed(api: Api, collection: str) -> list[dict[str, Any]]:
    reply = api.request("GET", collection.format(NAMESPACE))
    assert reply.ok, reply
    return list(reply.body["items"])


def is_empty(api: Api, collection: str) -> bool:
    return not listed(api, collection)


def test_its_pods_are_admitted_and_counted_by_its_disruption_budget(api: Api, installed: None) -> None:
    eventually(lambda: len(listed(api, PODS)) == REPLICAS)
    eventually(lambda: listed(api, BUDGETS)[0].get("status", {}).get("expectedPods") == REPLICAS)


def test_there_a_pod_that_is_less_confined_is_refused(api: Api, installed: None) -> None:
    (deployment,) = listed(api, DEPLOYMENTS)
    spec = deployment["spec"]["template"]["spec"]
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    reply = api.request("POST", PODS.format(NAMESPACE), {"metadata": {"name": "loose"}, "spec": spec})
    assert (reply.status, "violates PodSecurity" in reply.body["message"]) == (403, True)


@pytest.mark.parametrize(("verb", "resource"), [("get", "secrets"), ("list", "pods"), ("create", "pods")])
def test_its_service_account_may_do_nothing_there(api: Api, installed: None, verb: str, resource: str) -> None:
    asked = {"namespace": NAMESPACE, "verb": verb, "resource": resource}
    user = f"system:serviceaccount:{NAMESPACE}:watch"
    reply = api.request("POST", REVIEWS, {"spec": {"user": user, "resourceAttributes": asked}})
    assert reply.body["status"]["allowed"] is False
