"""What belongs to the whole cluster."""

from gpuprov.sandbox import A100
from isolation.answers import RBAC, Outcome, refused, works
from isolation.attempt import Attempt, all_by, try_delete, try_patch, try_post
from isolation.client import Json
from isolation.tenant import Awardee

ADMISSION = "/apis/admissionregistration.k8s.io/v1"


def webhook(kind: str) -> Json:
    hook = {
        "name": "attempt.example.com",
        "clientConfig": {"url": "https://example.com/"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return named(kind=kind, apiVersion="admissionregistration.k8s.io/v1", webhooks=[hook])


def created(name: str, gain: str, path: str, body: Json) -> Attempt:
    """Create an object of the whole cluster."""
    return Attempt(name=name, gain=gain, act=try_post(lambda awardee: path, body, "exists"), expected=all_by(RBAC))


def named(**more: object) -> Json:
    return {"metadata": {"name": "attempt"}, **more}


def through_the_node(awardee: Awardee) -> Outcome:
    reply = awardee.api.request("GET", f"/api/v1/nodes/{awardee.lab.node('h100', 0)}/proxy/pods")
    return works(reply, "speaks with the kubelet") if reply.ok else refused(reply)


def _node(awardee: Awardee) -> str:
    return f"/api/v1/nodes/{awardee.lab.node('h100', 0)}"


ATTEMPTS = (
    created(
        "a ValidatingWebhookConfiguration",
        "a say in, and sight of, everybody's objects",
        f"{ADMISSION}/validatingwebhookconfigurations",
        webhook("ValidatingWebhookConfiguration"),
    ),
    created(
        "a MutatingWebhookConfiguration",
        "everybody's pods rewritten",
        f"{ADMISSION}/mutatingwebhookconfigurations",
        webhook("MutatingWebhookConfiguration"),
    ),
    created(
        "a CustomResourceDefinition",
        "objects that nobody counts",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        named(spec={}),
    ),
    created(
        "an APIService",
        "a part of the API answered by oneself, and every namespace's deletion blocked",
        "/apis/apiregistration.k8s.io/v1/apiservices",
        named(spec={}),
    ),
    Attempt(
        name="an admission policy's binding deleted",
        gain="the chart's rules switched off",
        act=try_delete(lambda awardee: f"{ADMISSION}/validatingadmissionpolicybindings/gpuprov-gpu"),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="an admission policy changed",
        gain="the chart's rules switched off",
        act=try_patch(
            lambda awardee: f"{ADMISSION}/validatingadmissionpolicies/gpuprov-gpu",
            {"spec": {"failurePolicy": "Ignore"}},
        ),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="the tenants' ClusterRole widened",
        gain="more rights for all awards",
        act=try_patch(lambda awardee: "/apis/rbac.authorization.k8s.io/v1/clusterroles/gpuprov-tenant", {"rules": []}),
        expected=all_by(RBAC),
    ),
    created(
        "a ClusterRoleBinding to cluster-admin",
        "every right",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        named(roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}),
    ),
    Attempt(
        name="`nodes/proxy`",
        gain="the kubelet, and with it every pod of a server",
        act=through_the_node,
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a server's label changed to the other model",
        gain="the other model's pods on it, or its own there",
        act=try_patch(_node, {"metadata": {"labels": {"nvidia.com/gpu.product": A100}}}),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a server's taint taken off",
        gain="the server that is set apart",
        act=try_patch(lambda awardee: f"/api/v1/nodes/{awardee.lab.reserved}", {"spec": {"taints": []}}),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="more GPUs written into a server's status",
        gain="GPUs that are given out twice",
        act=try_patch(
            lambda awardee: f"{_node(awardee)}/status", {"status": {"allocatable": {"nvidia.com/gpu": "80"}}}
        ),
        expected=all_by(RBAC),
    ),
    created(
        "a PriorityClass",
        "a class of one's own, above all others",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        named(value=1000000),
    ),
    created(
        "a DeviceClass",
        "devices under a name that no quota has",
        "/apis/resource.k8s.io/v1/deviceclasses",
        named(spec={}),
    ),
)
