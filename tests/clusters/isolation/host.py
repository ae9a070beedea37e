"""The server under the pod."""

from isolation.answers import POD_SECURITY
from isolation.attempt import Attempt, all_by, try_pod
from isolation.client import Json
from isolation.tenant import container, pod, pod_spec


def _secured(**security: object) -> Json:
    body = container()
    body["securityContext"] |= security
    return {"metadata": {"name": "attempt"}, "spec": pod_spec(body)}


def _host_path(path: str) -> Json:
    volume = {"name": "host", "hostPath": {"path": path}}
    used = container(volumeMounts=[{"name": "host", "mountPath": "/host"}])
    return {"metadata": {"name": "attempt"}, "spec": pod_spec(used, volumes=[volume])}


def _refused(name: str, gain: str, body: Json) -> Attempt:
    return Attempt(name=name, gain=gain, act=try_pod(body), expected=all_by(POD_SECURITY))


ATTEMPTS = (
    _refused("`hostPath` of /dev", "the device files of all GPUs", _host_path("/dev")),
    _refused("`hostPath` of NVIDIA's MPS pipe", "GPUs that are shared by MPS", _host_path("/run/nvidia/mps")),
    _refused(
        "a privileged container", "all devices of the server", _secured(privileged=True, allowPrivilegeEscalation=True)
    ),
    _refused("the capability SYS_ADMIN", "mounts and devices", _secured(capabilities={"add": ["SYS_ADMIN"]})),
    _refused("`hostPID`", "others' processes, with their GPUs", pod("attempt", hostPID=True)),
    _refused("`hostIPC`", "others' shared memory", pod("attempt", hostIPC=True)),
    _refused("`hostNetwork`", "the network around all policies", pod("attempt", hostNetwork=True)),
    _refused(
        "a `hostPort`",
        "a port of the server",
        {
            "metadata": {"name": "attempt"},
            "spec": pod_spec(container(ports=[{"containerPort": 80, "hostPort": 80}])),
        },
    ),
)
