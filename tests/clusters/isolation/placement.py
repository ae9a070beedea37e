"""Other servers, other awards' turn, and pods that do not go."""

from collections.abc import Callable

from isolation.answers import PENDING, Outcome, policy, refused, works
from isolation.attempt import Act, any_pod, follow, on_a_node, try_controller, try_pod
from isolation.client import MERGE, Json
from isolation.tenant import VICTIM_POD, Awardee, container, pod, pod_spec, template
from isolation.wait import until

PODS = policy("pods")
OBJECTS = policy("objects")
HOSTNAME = "kubernetes.io/hostname"
FINALIZER = "example.com/never"
YEAR = 365 * 24 * 3600
ANY = {"operator": "Exists"}


def pinned(model: str, number: int) -> Act:
    """Name the server oneself: the scheduler, taints and cordons are not asked."""
    return lambda awardee: try_pod(pod("attempt", nodeName=awardee.lab.node(model, number)))(awardee)


def pinned_job(awardee: Awardee) -> Outcome:
    spec = pod_spec(container(), nodeName=awardee.lab.reserved, restartPolicy="Never")
    return try_controller("batch/v1", "jobs", {"template": template(spec)}, any_pod(on_a_node))(awardee)


def to_reserved(*tolerations: Json) -> Act:
    """Tolerate the taint of the server that is set apart, and choose that server."""

    def act(awardee: Awardee) -> Outcome:
        selector = {HOSTNAME: awardee.lab.reserved}
        return try_pod(pod("attempt", tolerations=list(tolerations), nodeSelector=selector))(awardee)

    return act


def tolerate_later(awardee: Awardee) -> Outcome:
    """Wait with a pod that no server takes, then add the toleration: an update may only add some."""
    first = awardee.post(f"{awardee.core}/pods", pod("attempt", nodeSelector={HOSTNAME: awardee.lab.reserved}))
    assert follow(awardee, first, on_a_node).by == PENDING
    live = awardee.look(f"{awardee.core}/pods/attempt")
    tolerations = [*live["spec"].get("tolerations", ()), ANY]
    reply = awardee.api.patch(f"{awardee.core}/pods/attempt", {"spec": {"tolerations": tolerations}})
    if not reply.ok:
        return refused(reply)
    until(lambda: awardee.look(f"{awardee.core}/pods/attempt")["spec"].get("nodeName"))
    return works(reply, on_a_node(awardee.look(f"{awardee.core}/pods/attempt")))


def required(**term: object) -> Json:
    terms = {"nodeSelectorTerms": [term]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def affine(awardee: Awardee) -> Outcome:
    field = {"key": "metadata.name", "operator": "In", "values": [awardee.lab.node("a100", 0)]}
    return try_pod(pod("attempt", affinity=required(matchFields=[field])))(awardee)


def keep_others_off(awardee: Awardee) -> Outcome:
    """A running pod's anti-affinity binds the scheduler for all pods that come later, also other awards'."""
    term = {
        "topologyKey": "topology.kubernetes.io/region",
        "labelSelector": {"matchLabels": {"app": f"next-{awardee.namespace}"}},
        "namespaceSelector": {},
    }
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    reply = awardee.post(f"{awardee.core}/pods", pod("attempt", affinity=affinity))
    if not reply.ok:
        return refused(reply)
    assert follow(awardee, reply, on_a_node).by != PENDING
    other = pod(f"next-{awardee.namespace}")
    other["metadata"]["labels"] = {"app": f"next-{awardee.namespace}"}
    path = f"/api/v1/namespaces/{awardee.victim}/pods"
    awardee.made.append(f"{path}/{other['metadata']['name']}")
    awardee.lab.admin.must(awardee.lab.admin.post(path, other))
    late = until(lambda: _unplaced(awardee.look(awardee.made[-1])))
    return works(reply, f"keeps another award's pod off all servers: {late}")


def _unplaced(live: Json) -> str:
    assert not live["spec"].get("nodeName")
    found = [
        condition["message"]
        for condition in live["status"].get("conditions", ())
        if condition["type"] == "PodScheduled"
    ]
    return "it did not satisfy existing pods anti-affinity rules" if found and "anti-affinity" in found[0] else ""


def never_ends(awardee: Awardee) -> Outcome:
    body = pod("attempt")
    body["spec"]["terminationGracePeriodSeconds"] = YEAR
    reply = awardee.post(f"{awardee.core}/pods", body)
    if not reply.ok:
        return refused(reply)
    follow(awardee, reply, on_a_node)
    gone = awardee.api.delete(f"{awardee.core}/pods/attempt")
    assert gone.body["metadata"]["deletionGracePeriodSeconds"] == YEAR
    return works(reply, "whoever deletes it without a grace period of his own waits for a year")


def holding(path: Callable[[Awardee], str], body: Json, finalizer: str = FINALIZER) -> Act:
    """Make an object with a finalizer of one's own, and ask for its deletion."""

    def act(awardee: Awardee) -> Outcome:
        made = {**body, "metadata": {"name": "attempt", "finalizers": [finalizer]}}
        reply = awardee.post(path(awardee), made)
        if not reply.ok:
            return refused(reply)
        awardee.lab.admin.delete(f"{path(awardee)}/attempt")
        assert awardee.look(f"{path(awardee)}/attempt")["metadata"]["deletionTimestamp"]
        return works(reply, "is still there after its deletion, and so would be the namespace")

    return act


def hold_later(awardee: Awardee) -> Outcome:
    path = f"{awardee.core}/configmaps"
    awardee.lab.admin.must(awardee.post(path, {"metadata": {"name": "attempt"}}))
    reply = awardee.api.patch(f"{path}/attempt", {"metadata": {"finalizers": [FINALIZER]}}, MERGE)
    if not reply.ok:
        return refused(reply)
    awardee.lab.admin.delete(f"{path}/attempt")
    assert awardee.look(f"{path}/attempt")["metadata"]["deletionTimestamp"]
    return works(reply, "is still there after its deletion, and so would be the namespace")


def bind(awardee: Awardee) -> Outcome:
    awardee.lab.admin.must(awardee.post(f"{awardee.core}/pods", pod("attempt", schedulerName="own")))
    target = {"apiVersion": "v1", "kind": "Node", "name": awardee.lab.reserved}
    reply = awardee.api.post(
        f"{awardee.core}/pods/attempt/binding", {"metadata": {"name": "attempt"}, "target": target}
    )
    return works(reply, "is bound") if reply.ok else refused(reply)


def evict(awardee: Awardee) -> Outcome:
    path = f"/api/v1/namespaces/{awardee.victim}/pods/{VICTIM_POD}/eviction"
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": VICTIM_POD, "namespace": awardee.victim},
    }
    reply = awardee.api.post(path, body)
    return works(reply, "was evicted") if reply.ok else refused(reply)


def critical(live: Json) -> str:
    return f"{on_a_node(live)} with priority {live['spec']['priority']}: may push out everybody's pods"
