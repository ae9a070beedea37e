"""The chart's rules, each with a request that it lets through and one that it refuses."""

from typing import Any, NamedTuple

from chart_cluster import LABEL, RBAC, award, pod

NAMESPACE, OBJECTS = award("HPC-2026-1-001")
CORE = f"/api/v1/namespaces/{NAMESPACE}"
PODS = f"{CORE}/pods"
THERE = f"{PODS}/there"
"""A pod that is there already."""

DRY = "?dryRun=All"
KEY = "NVIDIA_VISIBLE_DEVICES"


class Ask(NamedTuple):
    """One request. Nothing is kept: the server only says what it would have done."""

    who: str
    method: str
    path: str
    body: dict[str, Any] | None = None


class Rule(NamedTuple):
    """What a policy lets through, and what it refuses, with words such as ``says``."""

    policy: str
    allowed: Ask
    refused: Ask
    says: str


def made(good: dict[str, Any], bad: dict[str, Any], says: str, policy: str = "gpuprov-pods") -> Rule:
    """A rule for pods, as the awardee meets it."""
    return Rule(policy, Ask("awardee", "POST", PODS, good), Ask("awardee", "POST", PODS, bad), says)


def gpu(good: dict[str, Any], bad: dict[str, Any], says: str) -> Rule:
    return made(good, bad, says, "gpuprov-gpu")


def changed(who: str, good: dict[str, Any], bad: dict[str, Any], says: str, *, part: str = "") -> Rule:
    """A rule for a pod that is there, or for a part of it."""
    path, policy = f"{THERE}{part}", "gpuprov-gpu" if says == KEY else "gpuprov-pods"
    return Rule(policy, Ask(who, "PATCH", path, good), Ask(who, "PATCH", path, bad), says)


def written(kind: str, good: dict[str, Any], bad: dict[str, Any], says: str) -> Rule:
    """A rule for other objects that awardees write."""
    path = f"{CORE}/{kind}"
    return Rule("gpuprov-objects", Ask("awardee", "POST", path, good), Ask("awardee", "POST", path, bad), says)


def ours(
    method: str, path: str, body: dict[str, Any] | None, says: str = "gpuprov alone", policy: str = "gpuprov-objects"
) -> Rule:
    """What gpuprov may do and staff with all rights may not."""
    return Rule(policy, Ask("gpuprov", method, path, body), Ask("staff", method, path, body), says)


def kept_in(good: str, bad: str, method: str, body: dict[str, Any] | None, says: str = "namespaces of awards") -> Rule:
    """What gpuprov may do in an award's namespace and not elsewhere."""
    return Rule("gpuprov-operator", Ask("gpuprov", method, good, body), Ask("gpuprov", method, bad, body), says)


def asks(resource: str) -> dict[str, Any]:
    return {"resources": {"limits": {resource: "1"}}}


def env(name: str, value: str) -> dict[str, Any]:
    return {"env": [{"name": name, "value": value}]}


def named(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "one", **metadata}}


def labelled(**labels: str) -> dict[str, Any]:
    return {"metadata": {"labels": labels}}


def tolerates(**toleration: str) -> dict[str, Any]:
    return pod(tolerations=[toleration])


def mounted(path: str) -> dict[str, Any]:
    mount = {"volumeMounts": [{"name": "a", "mountPath": path}]}
    return pod(container=mount, volumes=[{"name": "a", "emptyDir": {}}])


def apart(**namespaces: Any) -> dict[str, Any]:
    """Return a pod that shares its node with no other."""
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}, **namespaces}
    return pod(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})


def prefixed(prefix: str) -> dict[str, Any]:
    return pod(container={"envFrom": [{"prefix": prefix, "configMapRef": {"name": "there"}}]})


def beside(container: dict[str, Any]) -> dict[str, Any]:
    """Return a pod with an init container."""
    return pod(initContainers=[{"name": "first", "image": "nothing.invalid/none", **container}])


def joined(container: dict[str, Any]) -> dict[str, Any]:
    """Return the change that brings an ephemeral container."""
    return {"spec": {"ephemeralContainers": [{"name": "debug", "image": "nothing.invalid/none", **container}]}}


def more_tolerations(key: str) -> dict[str, Any]:
    """Return the change that adds a toleration to those that the server gave the pod."""
    given = [
        {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for taint in ("not-ready", "unreachable")
    ]
    return {"spec": {"tolerations": [*given, {"key": key, "operator": "Exists"}]}}


def award_label(value: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app.kubernetes.io/managed-by": value}}}


ALL = "all"
POST, PATCH, DELETE = "POST", "PATCH", "DELETE"
ON_HOST = {"volumes": [{"name": "a", "hostPath": {"path": "/dev"}}]}
EMPTY = {"volumes": [{"name": "a", "emptyDir": {}}]}
CLAIM = {"resourceClaims": [{"name": "a", "resourceClaimName": "a"}]}
DEVICES = "NVIDIA_DRIVER_CAPABILITIES"
HOST_PORT = {"ports": [{"containerPort": 80, "hostPort": 80}]}
PRIVILEGED = {"securityContext": {"privileged": True}}
H200 = {"nvidia.com/gpu.product": "NVIDIA-H200"}
TOKEN = named(annotations={"kubernetes.io/service-account.name": "default"})
TOKEN_TYPE = {"type": "kubernetes.io/service-account-token"}
PORTS = {"ports": [{"port": 80}]}
CDI = {"cdi.k8s.io/a": "nvidia.com/gpu=all"}
MORE = {"spec": {"hard": {"requests.nvidia.com/gpu": "16"}}}
BINDING = OBJECTS[-1] | {"metadata": {"name": "another", "labels": {}}}
LIMITS = next(body for body in OBJECTS if body["kind"] == "LimitRange") | {"metadata": {"name": "another"}}
BINDINGS = f"/apis/{RBAC}/v1/namespaces/{{}}/rolebindings"
CLAIMS = "/apis/resource.k8s.io/v1/namespaces/{}/resourceclaims"
PAGE = f"{CORE}/configmaps/welcome"
NETWORK = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/isolation"
TOKEN_OF = "/api/v1/namespaces/{}/serviceaccounts/awardee/token"
TOKEN_REQUEST = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
SPACES = "/api/v1/namespaces"
NEW = OBJECTS[0] | {"metadata": OBJECTS[0]["metadata"] | {"name": "gpu-new"}}
FOREIGN = {"metadata": {"name": "gpu-new"}}
ELSEWHERE = "gpu-operator"
"""A namespace that is not gpuprov's, whatever its name."""

RULES = {
    "a name that is not awarded": gpu(pod(), pod(container=asks("nvidia.com/mig-1g.5gb")), "no nvidia.com/mig-1g.5gb"),
    "a name that no quota has": gpu(pod(), pod(container=asks("nvidia.com/h100")), "it has nvidia.com/gpu"),
    "such a name in an init container": gpu(beside({}), beside(asks("amd.com/gpu")), "no amd.com/gpu"),
    "all devices": gpu(pod(container=env(KEY, "none")), pod(container=env(KEY, ALL)), KEY),
    "all devices in an init container": gpu(beside(env(KEY, "void")), beside(env(KEY, "0")), KEY),
    "all devices in an ephemeral container": changed(
        "staff", joined(env(KEY, "")), joined(env(KEY, ALL)), KEY, part="/ephemeralcontainers"
    ),
    "slices": gpu(pod(), pod(container=env("NVIDIA_MIG_CONFIG_DEVICES", ALL)), "MIG_CONFIG"),
    "capabilities without a GPU": gpu(
        pod(1, container=env(DEVICES, ALL)), pod(0, container=env(DEVICES, ALL)), "a container that asks for GPUs"
    ),
    "a prefix": gpu(prefixed("MY_"), prefixed("NVIDIA_"), "prefix"),
    "a mount": gpu(mounted("/data"), mounted("/var/run/nvidia-container-devices/all"), "nvidia-container-devices"),
    "NVIDIA's runtime": gpu(
        pod(1, runtimeClassName="nvidia"), pod(0, runtimeClassName="nvidia"), "for pods that ask for GPUs"
    ),
    "a claim of a pod": gpu(pod(), pod(**CLAIM), "resourceClaims"),
    "nodeName": made(pod(), pod(nodeName="alpha-h100-00"), "nodeName"),
    "every taint": made(tolerates(key="nvidia.com/gpu", operator="Exists"), tolerates(operator="Exists"), "everything"),
    "a foreign taint": made(pod(), tolerates(key="maintenance", operator="Exists"), "toleration of maintenance"),
    "a foreign taint later": changed(
        "awardee", more_tolerations("nvidia.com/gpu"), more_tolerations("maintenance"), "toleration of maintenance"
    ),
    "hostPath": made(pod(**EMPTY), pod(**ON_HOST), "hostPath"),
    "hostNetwork": made(pod(hostNetwork=False), pod(hostNetwork=True), "hostNetwork"),
    "hostPID": made(pod(), pod(hostPID=True), "hostPID"),
    "hostIPC": made(pod(), pod(hostIPC=True), "hostIPC"),
    "hostPort": made(pod(container={"ports": [{"containerPort": 80}]}), pod(container=HOST_PORT), "hostPort"),
    "privileged": made(pod(), pod(container=PRIVILEGED), "privileged"),
    "privileged in an ephemeral container": changed(
        "staff", joined({}), joined(PRIVILEGED), "privileged", part="/ephemeralcontainers"
    ),
    "priority": made(
        pod(priorityClassName="gpuprov-batch"), pod(priorityClassName="system-node-critical"), "gpuprov-interactive"
    ),
    "grace": made(pod(terminationGracePeriodSeconds=300), pod(terminationGracePeriodSeconds=301), "at most 300"),
    "others' pods": made(apart(), apart(namespaceSelector={}), "own namespace"),
    "others' pods by name": made(apart(namespaces=[NAMESPACE]), apart(namespaces=["default"]), "own namespace"),
    "the model": made(
        pod(nodeSelector=LABEL | {"a": "b"}), pod(nodeSelector=H200), f"gpu.product: {next(iter(LABEL.values()))}"
    ),
    "the model, not named": made(pod(0, nodeSelector={}), pod(1, nodeSelector={}), "one GPU model"),
    "an annotation": made(pod() | named(annotations={"a": "b"}), pod() | named(annotations=CDI), "cdi"),
    "an annotation later": changed(
        "awardee", {"metadata": {"annotations": {"a": "b"}}}, {"metadata": {"annotations": CDI}}, "cdi"
    ),
    "a finalizer": written("configmaps", named(), named(finalizers=["example.com/stay"]), "example.com/stay"),
    "a finalizer of another kind": written(
        "configmaps", named(), named(finalizers=["kubernetes.io/pvc-protection"]), "kubernetes.io/pvc-protection"
    ),
    "a key": written("configmaps", named() | {"data": {"A": "b"}}, named() | {"data": {KEY: ALL}}, KEY),
    "a key in a secret": written("secrets", named(), named() | {"stringData": {KEY: ALL}}, KEY),
    "a token without an end": written("secrets", named(), TOKEN | TOKEN_TYPE, "token without an end"),
    "external IPs": written(
        "services", named() | {"spec": PORTS}, named() | {"spec": PORTS | {"externalIPs": ["192.0.2.1"]}}, "externalIPs"
    ),
    "more in the quota": ours(PATCH, f"{CORE}/resourcequotas/gpu", MORE),
    "no quota": ours(DELETE, f"{CORE}/resourcequotas/gpu", None),
    "another page": ours(PATCH, PAGE, {"data": {"README.md": "64 H100"}}),
    "no page": Rule(
        "gpuprov-objects",
        Ask("awardee", DELETE, f"{CORE}/configmaps/kube-root-ca.crt"),
        Ask("awardee", DELETE, PAGE),
        "gpuprov alone",
    ),
    "other limits": ours(POST, f"{CORE}/limitranges", LIMITS),
    "no isolation": ours(DELETE, NETWORK, None),
    "access for others": ours(POST, BINDINGS.format(NAMESPACE), BINDING),
    "a token of an award": ours(POST, TOKEN_OF.format(NAMESPACE), TOKEN_REQUEST, "end with the term"),
    "a claim": Rule(
        "gpuprov-objects",
        Ask("staff", POST, CLAIMS.format("default"), named() | {"spec": {"devices": {}}}),
        Ask("staff", POST, CLAIMS.format(NAMESPACE), named() | {"spec": {"devices": {}}}),
        "resource claims",
    ),
    "a new award": ours(POST, SPACES, NEW, policy="gpuprov-namespaces"),
    "a label on an award's namespace": ours(PATCH, CORE, labelled(team="a"), policy="gpuprov-namespaces"),
    "no label on an award's namespace": Rule(
        "gpuprov-namespaces",
        Ask("staff", PATCH, f"{SPACES}/{ELSEWHERE}", labelled(team="a")),
        Ask("staff", PATCH, CORE, {"metadata": {"labels": None}}),
        "gpuprov alone",
    ),
    "an award's label elsewhere": Rule(
        "gpuprov-namespaces",
        Ask("staff", PATCH, f"{SPACES}/{ELSEWHERE}", award_label("somebody")),
        Ask("staff", PATCH, f"{SPACES}/{ELSEWHERE}", award_label("gpuprov")),
        "labels that tell them",
    ),
    "the end of an award": ours(DELETE, CORE, None, policy="gpuprov-namespaces"),
    "a quota elsewhere": kept_in(f"{CORE}/resourcequotas", "/api/v1/namespaces/default/resourcequotas", POST, named()),
    "a page elsewhere": kept_in(f"{CORE}/configmaps", "/api/v1/namespaces/default/configmaps", POST, named()),
    "pods elsewhere": kept_in(THERE, f"{SPACES}/{ELSEWHERE}/pods/there", DELETE, None),
    "access elsewhere": kept_in(BINDINGS.format(NAMESPACE), BINDINGS.format("kube-system"), POST, BINDING),
    "a token from elsewhere": kept_in(TOKEN_OF.format(NAMESPACE), TOKEN_OF.format(ELSEWHERE), POST, TOKEN_REQUEST),
    "a namespace that is not gpuprov's": Rule(
        "gpuprov-operator", Ask("gpuprov", POST, SPACES, NEW), Ask("gpuprov", POST, SPACES, FOREIGN), "labelled"
    ),
    "taking over a namespace": kept_in(CORE, f"{SPACES}/{ELSEWHERE}", PATCH, award_label("gpuprov"), "no award's"),
    "deleting a foreign namespace": kept_in(CORE, f"{SPACES}/{ELSEWHERE}", DELETE, None, "no award's"),
}
