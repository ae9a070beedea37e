"""The awardee who tries: its credentials, what it made, and the eyes of an administrator on what it got."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gpuprov.core.tenant import Tenant
from gpuprov.sandbox.api import Reply
from isolation.client import MERGE, Client, Json
from isolation.lab import AWARDED, Lab
from isolation.wait import until

VICTIM = "ISO-VICTIM"
VICTIM_POD = "training"
_NOW = "?gracePeriodSeconds=0&propagationPolicy=Background"


@dataclass(slots=True)
class Awardee:
    """One award's people on one cluster. ``api`` has their token alone; ``lab.admin`` only observes and cleans up.

    ``mistake`` is true where the supplier gave them Kubernetes' own role `admin` as well.
    """

    lab: Lab = field(repr=False)
    tenant: Tenant
    api: Client
    victim: str
    mistake: bool = False
    made: list[str] = field(default_factory=list)
    number: int = 0

    @property
    def namespace(self) -> str:
        return self.tenant.namespace

    @property
    def core(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}"

    def group(self, api_group: str) -> str:
        """Return the path of an API group such as ``apps/v1`` in the own namespace."""
        return f"/apis/{api_group}/namespaces/{self.namespace}"

    def post(self, path: str, body: Json, **headers: str) -> Reply:
        """Create an object with the awardee's token, and remember it for the clean-up."""
        reply = self.api.post(path, body, **headers)
        if reply.ok and (name := reply.body.get("metadata", {}).get("name")) and "?" not in path:
            self.made.append(f"{path}/{name}")
        return reply

    def look(self, path: str) -> Json:
        """Read as the administrator."""
        return self.lab.admin.read(path)

    def pods(self) -> list[Json]:
        return self.lab.admin.items(f"{self.core}/pods")

    @property
    def label(self) -> str:
        """A name that no earlier attempt had: events outlive what they tell of."""
        return f"attempt-{self.number}"

    def failures(self) -> list[str]:
        """Return what controllers were told when they made pods for this attempt."""
        events = self.lab.admin.items(f"{self.core}/events?fieldSelector=reason=FailedCreate")
        return [str(event["message"]) for event in events if event["involvedObject"]["name"].startswith(self.label)]

    def had(self) -> int:
        """Count the devices under any name that this award's pods have, as far as these have not ended."""
        return sum(gpus_of(pod) for pod in self.pods() if pod["status"].get("phase") not in ("Succeeded", "Failed"))

    def clean(self) -> None:
        """Remove all that the attempt made, put gpuprov's objects right, and wait until the quota knows."""
        admin = self.lab.admin
        for path in reversed(self.made):
            if admin.read(path).get("metadata", {}).get("finalizers"):
                admin.patch(path, {"metadata": {"finalizers": None}}, MERGE)
            admin.delete(path + _NOW)
        if self.mistake:
            self.lab.write(self.tenant)
        if self.made:
            until(self._emptied)
        self.made.clear()
        self.number += 1

    def _emptied(self) -> bool:
        for pod in self.pods():
            path = f"{self.core}/pods/{pod['metadata']['name']}"
            if pod["metadata"].get("finalizers"):
                self.lab.admin.patch(path, {"metadata": {"finalizers": None}}, MERGE)
            self.lab.admin.delete(path + _NOW)
        used = self.look(f"{self.core}/resourcequotas/gpu")["status"]["used"]
        return not self.pods() and used["pods"] == "0" and used["requests.nvidia.com/gpu"] == "0"


def settle(lab: Lab, tenant: Tenant, victim: str = "", *, mistake: bool = False) -> Awardee:
    """Make an award on the cluster and return its awardee with a token of its own."""
    lab.grant(tenant)
    if mistake:
        lab.bind_mistake(tenant.namespace)
    token = lab.token(tenant.namespace)
    api = Client(lab.layout, token=token)
    return Awardee(lab=lab, tenant=tenant, api=api, victim=victim, mistake=mistake)


def await_policies(awardee: Awardee) -> None:
    """Wait until the API server heeds the policies: it learns of them some time after they are written.

    The probes are dry runs with the awardee's token; each is refused by one policy and by nothing else: of several that
    refuse the server names any.
    """
    held = {"metadata": {"name": "probe", "finalizers": ["example.com/probe"]}}
    device = pod("probe", gpus=1, resource="example.com/probe", nodeSelector=awardee.tenant.pool.node_label)
    probes = {
        "gpu": ("pods", device),
        "pods": ("pods", pod("probe", nodeName="probe")),
        "objects": ("configmaps", held),
    }
    for name, (plural, body) in probes.items():
        until(partial(_heeds, awardee, f"gpuprov-{name}", f"{awardee.core}/{plural}?dryRun=All", body))


def _heeds(awardee: Awardee, policy: str, path: str, body: Json) -> bool:
    return f"'{policy}'" in str(awardee.api.post(path, body).body.get("message"))


def gpus_of(pod: Json) -> int:
    """Add up whatever a pod's containers have of devices."""
    limits = [container.get("resources", {}).get("limits", {}) for container in pod["spec"]["containers"]]
    return sum(int(amount) for limit in limits for name, amount in limit.items() if "/" in name)


def make_victim(lab: Lab) -> str:
    """Make the award that others would like to have, with a pod in it, and return its namespace."""
    tenant = lab.tenant(VICTIM)
    lab.grant(tenant)
    token = Client(lab.layout, token=lab.token(tenant.namespace))
    token.must(token.post(f"/api/v1/namespaces/{tenant.namespace}/pods", pod(VICTIM_POD, gpus=AWARDED)))
    where = f"/api/v1/namespaces/{tenant.namespace}/pods/{VICTIM_POD}"
    until(lambda: lab.admin.read(where)["status"]["phase"] == "Running")
    return tenant.namespace


def pod(name: str, gpus: int = 0, resource: str = "nvidia.com/gpu", **spec: Any) -> Json:
    """Describe a pod that Pod Security's profile `restricted` lets through, with one container."""
    devices = {resource: str(gpus)} if gpus else {}
    return {"metadata": {"name": name}, "spec": pod_spec(container(devices), **spec)}


def pod_spec(*containers: Json, **spec: Any) -> Json:
    """Describe the inside of such a pod."""
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"containers": list(containers), "securityContext": security, "terminationGracePeriodSeconds": 1, **spec}


def container(limits: Json | None = None, name: str = "main", **more: Any) -> Json:
    """Describe one container, with ``limits`` beside a little processor and memory."""
    resources = {"limits": {"cpu": "100m", "memory": "64Mi", **(limits or {})}}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    body = {"name": name, "image": "nothing.invalid/none", "resources": resources, "securityContext": security}
    return body | more


def template(spec: Json) -> Json:
    """Wrap a pod's inside for a controller."""
    return {"metadata": {"labels": {"app": "attempt"}}, "spec": spec}
