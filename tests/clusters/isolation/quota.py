"""More GPUs than awarded: by number, by time, by the controllers that make pods."""

from isolation.answers import QUOTA, RBAC, VALIDATION, Outcome, policy, refused, works
from isolation.attempt import (
    Act,
    Attempt,
    all_by,
    more_than_awarded,
    role_first,
    try_controller,
    try_delete,
    try_patch,
    try_pod,
    try_post,
)
from isolation.client import STRATEGIC, Json
from isolation.lab import AWARDED
from isolation.tenant import Awardee, container, pod, pod_spec, template
from isolation.wait import until

MORE = AWARDED + 1
GPU = "nvidia.com/gpu"


def _gpus(count: int) -> Json:
    return pod_spec(container({GPU: str(count)}))


def _waiting() -> Json:
    """Describe a pod with a GPU that waits for a server which is not there: kwok ends a Job's pods as they start."""
    return _gpus(1) | {"restartPolicy": "Never", "nodeSelector": {"kubernetes.io/hostname": "none"}}


def _labelled(spec: Json, **more: object) -> Json:
    return {"selector": {"matchLabels": {"app": "attempt"}}, "template": template(spec), **more}


def _sidecar() -> Json:
    helper = container({GPU: "3"}, name="helper", restartPolicy="Always")
    return {"metadata": {"name": "attempt"}, "spec": pod_spec(container({GPU: "3"}), initContainers=[helper])}


def _init() -> Json:
    first = container({GPU: str(MORE)}, name="first")
    return {"metadata": {"name": "attempt"}, "spec": pod_spec(container(), initContainers=[first])}


def _many_small(awardee: Awardee) -> Outcome:
    for number in range(MORE):
        reply = awardee.post(f"{awardee.core}/pods", pod(f"attempt-{number}", gpus=1))
        if not reply.ok:
            until(lambda: awardee.had() == AWARDED)
            return refused(reply)
    return works(reply, f"have {awardee.had()} GPUs")


def _ephemeral(**more: object) -> Act:
    def act(awardee: Awardee) -> Outcome:
        awardee.lab.admin.must(awardee.post(f"{awardee.core}/pods", pod("attempt")))
        debugger = {**container(name="debugger"), **more}
        if "resources" not in more:
            del debugger["resources"]
        path = f"{awardee.core}/pods/attempt/ephemeralcontainers"
        reply = awardee.api.patch(path, {"spec": {"ephemeralContainers": [debugger]}}, STRATEGIC)
        return works(reply, "was added to the pod") if reply.ok else refused(reply)

    return act


def _resize(awardee: Awardee) -> Outcome:
    awardee.lab.admin.must(awardee.post(f"{awardee.core}/pods", pod("attempt")))
    limits = {"cpu": "200", "memory": "64Mi"}
    body = {"spec": {"containers": [{"name": "main", "resources": {"requests": limits, "limits": limits}}]}}
    reply = awardee.api.patch(f"{awardee.core}/pods/attempt/resize", body, STRATEGIC)
    return works(reply, "has 200 cores") if reply.ok else refused(reply)


def _fake_end(awardee: Awardee) -> Outcome:
    """A pod that says it has ended is not charged any more."""
    awardee.lab.admin.must(awardee.post(f"{awardee.core}/pods", pod("attempt", gpus=AWARDED)))
    body = {"status": {"phase": "Succeeded"}}
    reply = awardee.api.patch(f"{awardee.core}/pods/attempt/status", body)
    return works(reply, "is not charged any more") if reply.ok else refused(reply)


ATTEMPTS = (
    Attempt(
        name="a pod with one GPU more than awarded",
        gain="more GPUs",
        act=try_pod(pod("attempt", gpus=MORE)),
        expected=all_by(QUOTA),
    ),
    Attempt(
        name="GPUs in an init container only",
        gain="GPUs that nobody adds up",
        act=try_pod(_init()),
        expected=all_by(QUOTA),
    ),
    Attempt(
        name="3 GPUs in a sidecar and 3 in the container beside it",
        gain="GPUs that nobody adds up",
        act=try_pod(_sidecar()),
        expected=all_by(QUOTA),
    ),
    Attempt(
        name="a pod with GPUs under requests and no limits",
        gain="a request that is not charged",
        act=try_pod(
            {
                "metadata": {"name": "attempt"},
                "spec": pod_spec({**container(), "resources": {"requests": {GPU: str(MORE)}}}),
            }
        ),
        expected=all_by(VALIDATION),
    ),
    Attempt(
        name="GPUs in an ephemeral container",
        gain="GPUs in a pod that was charged before",
        act=_ephemeral(resources={"limits": {GPU: "1"}}),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="many small pods",
        gain="more GPUs in sum",
        act=_many_small,
        expected=all_by(QUOTA),
    ),
    Attempt(
        name="a Job with more pods side by side",
        gain="pods that a controller makes in its own name",
        act=try_controller(
            "batch/v1",
            "jobs",
            {"parallelism": MORE, "completions": MORE, "template": template(_waiting())},
            more_than_awarded,
        ),
        expected=all_by(QUOTA),
    ),
    Attempt(
        name="a CronJob of such Jobs",
        gain="pods that a controller makes in its own name, later",
        act=try_controller(
            "batch/v1",
            "cronjobs",
            {
                "schedule": "* * * * *",
                "jobTemplate": {"spec": {"parallelism": MORE, "template": template(_waiting())}},
            },
            more_than_awarded,
        ),
        expected=all_by(QUOTA),
    ),
    Attempt(
        name="a Deployment with more replicas",
        gain="pods that a controller makes in its own name",
        act=try_controller("apps/v1", "deployments", _labelled(_gpus(1), replicas=MORE), more_than_awarded),
        expected=all_by(QUOTA),
    ),
    Attempt(
        name="a StatefulSet with more replicas",
        gain="pods that a controller makes in its own name",
        act=try_controller(
            "apps/v1",
            "statefulsets",
            _labelled(_gpus(1), replicas=MORE, serviceName="attempt", podManagementPolicy="Parallel"),
            more_than_awarded,
        ),
        expected=all_by(QUOTA),
    ),
    Attempt(
        name="a DaemonSet with 3 GPUs on every server",
        gain="pods on each server, with tolerations that the controller adds",
        act=try_controller("apps/v1", "daemonsets", _labelled(_gpus(3)), more_than_awarded),
        expected=role_first(policy("pods"), QUOTA),
    ),
    Attempt(
        name="a ReplicationController with more replicas",
        gain="pods that a controller makes in its own name",
        act=try_controller(
            "v1",
            "replicationcontrollers",
            {"replicas": MORE, "selector": {"app": "attempt"}, "template": template(_gpus(1))},
            more_than_awarded,
        ),
        expected=role_first(QUOTA, QUOTA),
    ),
    Attempt(
        name="a running pod resized to 200 cores",
        gain="the processors of other awards",
        act=_resize,
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a running pod's phase set to Succeeded",
        gain="a GPU that is held and not charged",
        act=_fake_end,
        expected=all_by(RBAC),
    ),
    Attempt(
        name="the quota raised",
        gain="more GPUs",
        act=try_patch(
            lambda awardee: f"{awardee.core}/resourcequotas/gpu", {"spec": {"hard": {f"requests.{GPU}": "800"}}}
        ),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="what the quota has charged set to 0",
        gain="more GPUs",
        act=try_patch(
            lambda awardee: f"{awardee.core}/resourcequotas/gpu/status", {"status": {"used": {f"requests.{GPU}": "0"}}}
        ),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="the quota deleted",
        gain="no bound at all",
        act=try_delete(lambda awardee: f"{awardee.core}/resourcequotas/gpu"),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a second, larger quota",
        gain="nothing: all quotas of a namespace hold; tried all the same",
        act=try_post(
            lambda awardee: f"{awardee.core}/resourcequotas",
            {"metadata": {"name": "attempt"}, "spec": {"hard": {f"requests.{GPU}": "800"}}},
            "exists",
        ),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="the LimitRange deleted",
        gain="containers without bounds on processors and memory",
        act=try_delete(lambda awardee: f"{awardee.core}/limitranges/defaults"),
        expected=all_by(RBAC),
    ),
)
