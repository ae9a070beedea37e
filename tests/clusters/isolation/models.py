"""One cluster with two GPU models: ways to the other model's servers."""

from collections.abc import Callable

from gpuprov.sandbox import A100, H100
from isolation.answers import NODE_SELECTOR, OWN_MODEL, PENDING, WORKS, Outcome, own_model, policy, refused
from isolation.attempt import Act, Attempt, follow
from isolation.client import Json
from isolation.lab import LABEL
from isolation.placement import HOSTNAME, required
from isolation.tenant import Awardee, pod

BOTH, PLUGIN, CHART, NEITHER = SETTINGS = ("plugin+chart", "plugin", "chart", "neither")
"""With and without the API server's admission plugin PodNodeSelector, and the chart's admission policies."""

PODS = policy("pods")
Part = Callable[[Awardee], Json]


def own(awardee: Awardee) -> str:
    """Return the value of the label that tells the award's own nodes."""
    return awardee.tenant.pool.node_label[LABEL]


def other(awardee: Awardee) -> str:
    return A100 if own(awardee) == H100 else H100


def server(awardee: Awardee) -> str:
    """Return the name of a server of the other model."""
    return awardee.lab.node("a100" if own(awardee) == H100 else "h100", 0)


def landing(part: Part, gpus: int = 1) -> Act:
    """Create a pod with what ``part`` says, and see on which model's server it comes to be."""

    def act(awardee: Awardee) -> Outcome:
        reply = awardee.post(f"{awardee.core}/pods", pod("attempt", gpus=gpus, **part(awardee)))
        if not reply.ok:
            return refused(reply)
        held = f"holds {gpus} of its GPUs" if gpus else "holds no GPU"
        outcome = follow(awardee, reply, lambda live: f"runs on a server of the other model, {held}")
        return outcome if outcome.by != WORKS or _is_other(awardee) else own_model(reply)

    return act


def _is_other(awardee: Awardee) -> bool:
    node = awardee.look(f"{awardee.core}/pods/attempt")["spec"]["nodeName"]
    return bool(awardee.look(f"/api/v1/nodes/{node}")["metadata"]["labels"][LABEL] == other(awardee))


def _affine(awardee: Awardee) -> Json:
    return {"affinity": required(matchExpressions=[{"key": LABEL, "operator": "In", "values": [other(awardee)]}])}


def _ways(both: str, plugin: str, chart: str, neither: str) -> dict[str, str]:
    return {BOTH: both, PLUGIN: plugin, CHART: chart, NEITHER: neither}


ATTEMPTS = (
    Attempt(
        name="a pod that selects its own model",
        gain="nothing: what an award is for",
        act=landing(lambda awardee: {"nodeSelector": {LABEL: own(awardee)}}),
        expected=_ways(OWN_MODEL, OWN_MODEL, OWN_MODEL, OWN_MODEL),
    ),
    Attempt(
        name="a pod that selects the other model",
        gain="the other model",
        act=landing(lambda awardee: {"nodeSelector": {LABEL: other(awardee)}}),
        expected=_ways(NODE_SELECTOR, NODE_SELECTOR, PODS, WORKS),
    ),
    Attempt(
        name="node affinity for the other model",
        gain="the other model",
        act=landing(_affine),
        expected=_ways(PENDING, PENDING, PODS, WORKS),
    ),
    Attempt(
        name="the own model selected, with node affinity for the other",
        gain="the other model, if affinity were the stronger",
        act=landing(lambda awardee: _affine(awardee) | {"nodeSelector": {LABEL: own(awardee)}}),
        expected=_ways(PENDING, PENDING, PENDING, PENDING),
    ),
    Attempt(
        name="the name of a server of the other model selected",
        gain="the other model",
        act=landing(lambda awardee: {"nodeSelector": {HOSTNAME: server(awardee)}}),
        expected=_ways(PENDING, PENDING, PODS, WORKS),
    ),
    Attempt(
        name="`nodeName` of a server of the other model",
        gain="the other model, around the scheduler",
        act=landing(lambda awardee: {"nodeName": server(awardee), "nodeSelector": {LABEL: own(awardee)}}),
        expected=_ways(PODS, WORKS, PODS, WORKS),
        note="A real kubelet refuses a pod whose node selector does not fit; kwok's does not look",
    ),
    Attempt(
        name="a pod without a GPU that selects the other model",
        gain="processors and memory of the other model's servers",
        act=landing(lambda awardee: {"nodeSelector": {LABEL: other(awardee)}}, gpus=0),
        expected=_ways(NODE_SELECTOR, NODE_SELECTOR, WORKS, WORKS),
        note="Without the plugin the chart holds pods with GPUs to their model, and no others",
    ),
)
