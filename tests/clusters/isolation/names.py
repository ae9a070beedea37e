"""GPUs under other names than the award's: other makers', slices, shared ones, and devices by claim."""

from collections.abc import Callable

from isolation.answers import FIXED, PENDING, VALIDATION, Outcome, pending, policy, refused
from isolation.attempt import Act, Attempt, all_by, chart_by, follow, on_a_node, role_first, try_pod
from isolation.client import Json
from isolation.lab import LISTED_CLASS, UNLISTED_CLASS, UNLISTED_MIG, UNLISTED_WHOLE
from isolation.tenant import Awardee, container, gpus_of, pod, pod_spec

GPU = policy("gpu")
OBJECTS = policy("objects")
CLAIMS = "resourceclaims"
IMPLICIT = "deviceclass.resource.kubernetes.io"


def holds(resource: str) -> Callable[[Json], str]:
    return lambda live: f"{on_a_node(live)}, holds {gpus_of(live)} {resource}; nothing is charged"


def other_name(resource: str, gain: str, expected: dict[str, str]) -> Attempt:
    """Ask for 7 devices under another resource name."""
    act = try_pod(pod("attempt", gpus=7, resource=resource), holds(resource))
    return Attempt(name=f"7 `{resource}`", gain=gain, act=act, expected=expected)


def request(device_class: str, **more: object) -> Json:
    exactly = {"deviceClassName": device_class, "count": 8, **more}
    return {"devices": {"requests": [{"name": "gpus", "exactly": exactly}]}}


def claimed(device_class: str, **more: object) -> Act:
    """Make a claim by hand and a pod that uses it."""

    def act(awardee: Awardee) -> Outcome:
        path = f"{awardee.group('resource.k8s.io/v1')}/{CLAIMS}"
        made = awardee.post(path, {"metadata": {"name": "attempt"}, "spec": request(device_class, **more)})
        if not made.ok:
            return refused(made)
        claims = [{"name": "gpus", "resourceClaimName": "attempt"}]
        reply = awardee.post(f"{awardee.core}/pods", pod_of(claims))
        return follow(awardee, reply, _allocated(awardee)) if reply.ok else refused(reply)

    return act


def from_template(device_class: str) -> Act:
    """Make a template of claims and a pod that uses it."""

    def act(awardee: Awardee) -> Outcome:
        path = f"{awardee.group('resource.k8s.io/v1')}/resourceclaimtemplates"
        made = awardee.post(path, {"metadata": {"name": "attempt"}, "spec": {"spec": request(device_class)}})
        if not made.ok:
            return refused(made)
        reply = awardee.post(f"{awardee.core}/pods", pod_of([{"name": "gpus", "resourceClaimTemplateName": "attempt"}]))
        return follow(awardee, reply, _allocated(awardee)) if reply.ok else refused(reply)

    return act


def pod_of(claims: list[Json]) -> Json:
    used = container()
    used["resources"]["claims"] = [{"name": "gpus"}]
    return {"metadata": {"name": "attempt"}, "spec": pod_spec(used, resourceClaims=claims)}


def _allocated(awardee: Awardee) -> Callable[[Json], str]:
    def seen(live: Json) -> str:
        claims = awardee.lab.admin.items(f"{awardee.group('resource.k8s.io/v1')}/{CLAIMS}")
        count = sum(len(claim["status"]["allocation"]["devices"]["results"]) for claim in claims)
        return f"{on_a_node(live)}, {count} devices are allocated to it"

    return seen


def named_claim(awardee: Awardee) -> Outcome:
    """Name a claim that is not there. The scheduler says nothing of such a pod: a later one shows that it waits."""
    claims = [{"name": "gpus", "resourceClaimName": "later"}]
    reply = awardee.post(f"{awardee.core}/pods", pod_of(claims))
    if not reply.ok:
        return refused(reply)
    later = awardee.post(f"{awardee.core}/pods", pod("next"))
    follow(awardee, later, on_a_node)
    assert not awardee.look(f"{awardee.core}/pods/attempt")["spec"].get("nodeName")
    return pending(reply, "a pod made later runs, and no quota lets the claim be")


ATTEMPTS = (
    other_name("nvidia.com/gpu.shared", "time-shared GPUs", chart_by(GPU, FIXED)),
    other_name("nvidia.com/mig-1g.10gb", "slices of a GPU", chart_by(GPU, FIXED)),
    other_name(UNLISTED_MIG, "slices of a model that no quota knows yet", chart_by(GPU)),
    other_name(UNLISTED_WHOLE, "whole GPUs that the device plugin was told to call otherwise", chart_by(GPU)),
    other_name("amd.com/gpu", "another maker's GPUs", chart_by(GPU)),
    other_name("NVIDIA.com/gpu", "the same GPUs under a name that is written otherwise", all_by(VALIDATION)),
    other_name("requests.nvidia.com/gpu", "GPUs under the quota's own key", all_by(VALIDATION)),
    other_name(f"{IMPLICIT}/{LISTED_CLASS}", "devices of a class that quotas know", chart_by(GPU, FIXED)),
    other_name(f"{IMPLICIT}/{UNLISTED_CLASS}", "devices of a class that no quota knows", chart_by(GPU, PENDING)),
    Attempt(
        name="a ResourceClaim by hand",
        gain="devices by dynamic allocation, which no count of `nvidia.com/gpu` sees",
        act=claimed(LISTED_CLASS),
        expected=role_first(OBJECTS, FIXED),
    ),
    Attempt(
        name="a ResourceClaim with administrator's access",
        gain="devices that are others' already",
        act=claimed(LISTED_CLASS, adminAccess=True),
        expected=role_first(VALIDATION, VALIDATION),
    ),
    Attempt(
        name="a ResourceClaimTemplate",
        gain="devices by dynamic allocation, a claim for each pod",
        act=from_template(LISTED_CLASS),
        expected=role_first(OBJECTS, FIXED),
    ),
    Attempt(
        name="a pod that names a claim",
        gain="a claim that somebody else makes, or makes later",
        act=named_claim,
        expected=chart_by(GPU, PENDING),
    ),
)
