"""GPUs without asking for any: what NVIDIA's container runtime takes for a wish to see devices."""

from isolation.answers import RBAC, WORKS, Outcome, policy, refused, works
from isolation.attempt import Act, Attempt, all_by, any_pod, chart_by, follow, role_first, try_controller, try_pod
from isolation.client import STRATEGIC, Json
from isolation.tenant import Awardee, container, pod, pod_spec, template

GPU = policy("gpu")
OBJECTS = policy("objects")
PODS = policy("pods")
VISIBLE = "NVIDIA_VISIBLE_DEVICES"
SEES_ALL = "runs on an H100 server uncharged and asks the runtime for all 8 GPUs"
SEES_MORE = "runs on an H100 server with 1 GPU and asks the runtime for all 8"
LOCATIONS = {
    "/var/run/nvidia-container-devices/all": "the path as documented",
    "var/run/nvidia-container-devices/all": "without the first slash, which the kubelet adds",
    "/var//run/./nvidia-container-devices/all": "written otherwise",
    "/run/nvidia-container-devices/all": "where an image has /var/run as a link",
}


def sees_all(live: Json) -> str:
    assert live["spec"]["nodeName"].split("-")[1] == "h100"
    return SEES_ALL


def sees_more(live: Json) -> str:
    assert live["spec"]["nodeName"].split("-")[1] == "h100"
    return SEES_MORE


def with_env(*env: Json, gpus: int = 0) -> Json:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {"metadata": {"name": "attempt"}, "spec": pod_spec(container(limits, env=list(env)))}


def from_object(plural: str, key: str, prefix: str = "") -> Act:
    """Bring a variable by a ConfigMap or a Secret; refused there or at the pod."""

    def act(awardee: Awardee) -> Outcome:
        field, source = ("data", "configMapRef") if plural == "configmaps" else ("stringData", "secretRef")
        first = awardee.post(f"{awardee.core}/{plural}", {"metadata": {"name": "settings"}, field: {key: "all"}})
        if not first.ok:
            return refused(first)
        taken = [{source: {"name": "settings"}, **({"prefix": prefix} if prefix else {})}]
        body = {"metadata": {"name": "attempt"}, "spec": pod_spec(container(envFrom=taken))}
        reply = awardee.post(f"{awardee.core}/pods", body)
        return follow(awardee, reply, sees_all) if reply.ok else refused(reply)

    return act


def mounted(path: str) -> Act:
    """Mount an empty folder where the runtime looks for the list of devices."""
    volume = {"name": "devices", "emptyDir": {}}
    used = container(volumeMounts=[{"name": "devices", "mountPath": path}])
    return try_pod({"metadata": {"name": "attempt"}, "spec": pod_spec(used, volumes=[volume])}, sees_all)


def annotated(key: str, value: str) -> Act:
    body = pod("attempt")
    return try_pod({**body, "metadata": {"name": "attempt", "annotations": {key: value}}}, sees_all)


def annotated_later(awardee: Awardee) -> Outcome:
    """Add the annotation to a pod that runs: its containers are made anew when they end."""
    awardee.lab.admin.must(awardee.post(f"{awardee.core}/pods", pod("attempt")))
    body = {"metadata": {"annotations": {"cdi.k8s.io/gpus": "nvidia.com/gpu=all"}}}
    reply = awardee.api.patch(f"{awardee.core}/pods/attempt", body)
    return works(reply, "is annotated while it runs") if reply.ok else refused(reply)


def ephemeral(awardee: Awardee) -> Outcome:
    awardee.lab.admin.must(awardee.post(f"{awardee.core}/pods", pod("attempt")))
    debugger = container(name="debugger", env=[{"name": VISIBLE, "value": "all"}])
    del debugger["resources"]
    path = f"{awardee.core}/pods/attempt/ephemeralcontainers"
    reply = awardee.api.patch(path, {"spec": {"ephemeralContainers": [debugger]}}, STRATEGIC)
    return works(reply, SEES_ALL) if reply.ok else refused(reply)


def deployment() -> Act:
    spec = pod_spec(container(env=[{"name": VISIBLE, "value": "all"}]))
    body = {"replicas": 1, "selector": {"matchLabels": {"app": "attempt"}}, "template": template(spec)}
    return try_controller("apps/v1", "deployments", body, any_pod(sees_all))


def init_env() -> Json:
    first = container(name="first", env=[{"name": VISIBLE, "value": "all"}])
    return {"metadata": {"name": "attempt"}, "spec": pod_spec(container(), initContainers=[first])}


def referenced() -> Json:
    """The variable's value comes from elsewhere, so that the pod itself does not say `all`."""
    source = {"fieldRef": {"fieldPath": "metadata.name"}}
    return {**with_env({"name": VISIBLE, "valueFrom": source}), "metadata": {"name": "all"}}


ATTEMPTS = (
    Attempt(
        name=f"`{VISIBLE}=all` without a GPU",
        gain="all GPUs of the server",
        act=try_pod(with_env({"name": VISIBLE, "value": "all"}), sees_all),
        expected=chart_by(GPU),
    ),
    Attempt(
        name=f"`{VISIBLE}=all` beside one GPU",
        gain="the other GPUs of the server",
        act=try_pod(with_env({"name": VISIBLE, "value": "all"}, gpus=1), sees_more),
        expected=chart_by(GPU),
    ),
    Attempt(
        name=f"`{VISIBLE}` in an init container",
        gain="all GPUs of the server",
        act=try_pod(init_env(), sees_all),
        expected=chart_by(GPU),
    ),
    Attempt(
        name=f"`{VISIBLE}` from the pod's own name, `all`",
        gain="the same, with no `all` in the variable",
        act=try_pod(referenced(), sees_all),
        expected=chart_by(GPU),
    ),
    Attempt(
        name=f"`{VISIBLE}` in an ephemeral container",
        gain="all GPUs of the server, in a pod that runs already",
        act=ephemeral,
        expected=role_first(RBAC, RBAC),
    ),
    Attempt(
        name=f"`{VISIBLE}` in a Deployment's template",
        gain="the same, in pods that a controller makes in its own name",
        act=deployment(),
        expected=chart_by(GPU),
    ),
    Attempt(
        name="`NVIDIA_DRIVER_CAPABILITIES=all` without a GPU",
        gain="the driver's libraries and control devices",
        act=try_pod(with_env({"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "all"}), sees_all),
        expected=chart_by(GPU),
    ),
    Attempt(
        name=f"a ConfigMap with `{VISIBLE}` and `envFrom`",
        gain="the variable, where the pod does not name it",
        act=from_object("configmaps", VISIBLE),
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name=f"a Secret with `{VISIBLE}` and `envFrom`",
        gain="the variable, where nobody may read it",
        act=from_object("secrets", VISIBLE),
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="`VISIBLE_DEVICES` with `envFrom` and the prefix `NVIDIA_`",
        gain="the variable, put together by the kubelet",
        act=from_object("configmaps", "VISIBLE_DEVICES", "NVIDIA_"),
        expected=chart_by(GPU),
    ),
    Attempt(
        name="`VIDIA_VISIBLE_DEVICES` with `envFrom` and the prefix `N`",
        gain="the same, cut elsewhere",
        act=from_object("secrets", "VIDIA_VISIBLE_DEVICES", "N"),
        expected=chart_by(GPU),
    ),
    *(
        Attempt(
            name=f"a mount at `{path}`",
            gain=f"all GPUs, where the device plugin lists devices as mounts: {how}",
            act=mounted(path),
            expected=chart_by(GPU),
        )
        for path, how in LOCATIONS.items()
    ),
    Attempt(
        name="the annotation `cdi.k8s.io/gpus`",
        gain="all GPUs, by the container runtime's CDI",
        act=annotated("cdi.k8s.io/gpus", "nvidia.com/gpu=all"),
        expected=chart_by(PODS),
    ),
    Attempt(
        name="the annotation `cdi.k8s.io/gpus` on a running pod",
        gain="the same, after admission",
        act=annotated_later,
        expected=chart_by(PODS),
    ),
    Attempt(
        name="the annotation `io.kubernetes.cri-o.Devices`",
        gain="a device node, where CRI-O allows the annotation",
        act=annotated("io.kubernetes.cri-o.Devices", "/dev/nvidia0"),
        expected=chart_by(PODS),
    ),
    Attempt(
        name="`runtimeClassName: nvidia` without a GPU",
        gain="NVIDIA's runtime, which an image's own variables can address",
        act=try_pod(pod("attempt", runtimeClassName="nvidia"), sees_all),
        expected=chart_by(GPU),
    ),
    Attempt(
        name=f"an image that sets `{VISIBLE}=all` itself",
        gain="all GPUs of the server: the API server does not know what is in an image",
        act=try_pod(pod("attempt"), sees_all),
        expected=all_by(WORKS),
        note="The device plugin must not heed the variable (`gpuprov preflight` checks its settings)",
    ),
)
