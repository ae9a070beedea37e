"""What bounds the namespace, and what leads out of it."""

from gpuprov.core.manifests import NODE_SELECTOR, WELCOME
from gpuprov.sandbox import A100
from isolation.answers import FIXED, RBAC, Outcome, policy, refused, works
from isolation.attempt import Attempt, all_by, chart_by, role_first, try_delete, try_patch, try_post
from isolation.client import Json
from isolation.tenant import Awardee

OBJECTS = policy("objects")
NETWORK = "networking.k8s.io/v1"
_OPEN = {"podSelector": {}, "ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"]}


def own(awardee: Awardee) -> str:
    return awardee.core


def page(awardee: Awardee) -> str:
    return f"{awardee.core}/configmaps/{WELCOME}"


def service(**spec: object) -> Json:
    return {"metadata": {"name": "attempt"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "attempt"}, **spec}}


def labels(**values: str | None) -> Json:
    return {"metadata": {"labels": values}}


def namespace(name: str, ours: bool) -> Json:
    marks = {"app.kubernetes.io/managed-by": "gpuprov", "gpuprov.dev/award": name} if ours else {}
    return {"metadata": {"name": name, "labels": marks}}


def slice_of_another(awardee: Awardee) -> Outcome:
    """A service of one's own whose address is another award's."""
    body = {
        "metadata": {"name": "attempt", "labels": {"kubernetes.io/service-name": "attempt"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"]}],
        "ports": [{"port": 80}],
    }
    reply = awardee.post(f"{awardee.group('discovery.k8s.io/v1')}/endpointslices", body)
    return works(reply, "leads to any address") if reply.ok else refused(reply)


ATTEMPTS = (
    Attempt(
        name="the network policy deleted",
        gain="connections to and from everywhere",
        act=try_delete(lambda awardee: f"{awardee.group(NETWORK)}/networkpolicies/isolation"),
        expected=role_first(OBJECTS),
    ),
    Attempt(
        name="the network policy opened",
        gain="connections to and from everywhere",
        act=try_patch(lambda awardee: f"{awardee.group(NETWORK)}/networkpolicies/isolation", {"spec": _OPEN}),
        expected=role_first(OBJECTS),
    ),
    Attempt(
        name="a network policy of one's own that allows everything",
        gain="connections to and from everywhere: policies add up",
        act=try_post(
            lambda awardee: f"{awardee.group(NETWORK)}/networkpolicies",
            {"metadata": {"name": "attempt"}, "spec": _OPEN},
            "exists",
        ),
        expected=role_first(OBJECTS),
    ),
    Attempt(
        name="Pod Security turned off by the namespace's labels",
        gain="privileged pods",
        act=try_patch(own, labels(**{"pod-security.kubernetes.io/enforce": "privileged"})),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="gpuprov's labels taken off the namespace",
        gain="a namespace that admission rules and gpuprov do not see",
        act=try_patch(own, labels(**{"app.kubernetes.io/managed-by": None})),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="the namespace's node selector changed",
        gain="the other model",
        act=try_patch(own, {"metadata": {"annotations": {NODE_SELECTOR: f"nvidia.com/gpu.product={A100}"}}}),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="the own namespace deleted",
        gain="a namespace made anew, without bounds",
        act=try_delete(own),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="the award's page rewritten",
        gain="a page that promises others more than the award has",
        act=try_patch(page, {"data": {"README.md": "64 H100, for ever"}}),
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="the award's page deleted",
        gain="an award that says nothing of its end",
        act=try_delete(page),
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="a second namespace",
        gain="a namespace without a quota",
        act=try_post(lambda awardee: "/api/v1/namespaces", namespace("attempt", ours=False), "exists"),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a second namespace with gpuprov's labels",
        gain="a namespace that gpuprov takes for its own",
        act=try_post(lambda awardee: "/api/v1/namespaces", namespace("gpu-attempt", ours=True), "exists"),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a Service of type NodePort",
        gain="a port on every server",
        act=try_post(lambda awardee: f"{awardee.core}/services", service(type="NodePort"), "exists"),
        expected=all_by(FIXED),
    ),
    Attempt(
        name="a Service of type LoadBalancer",
        gain="a public address",
        act=try_post(lambda awardee: f"{awardee.core}/services", service(type="LoadBalancer"), "exists"),
        expected=all_by(FIXED),
    ),
    Attempt(
        name="a Service with `externalIPs`",
        gain="others' traffic to that address",
        act=try_post(
            lambda awardee: f"{awardee.core}/services", service(externalIPs=["192.0.2.1"]), "takes 192.0.2.1 over"
        ),
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="an EndpointSlice with another award's address",
        gain="a way to its pods through whoever trusts the service",
        act=slice_of_another,
        expected=role_first(RBAC, RBAC),
    ),
    Attempt(
        name="a PersistentVolume of a server's folder",
        gain="the server's files, without `hostPath` in a pod",
        act=try_post(
            lambda awardee: "/api/v1/persistentvolumes",
            {
                "metadata": {"name": "attempt"},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "hostPath": {"path": "/dev"},
                },
            },
            "exists",
        ),
        expected=all_by(RBAC),
    ),
)
