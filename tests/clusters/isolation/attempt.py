"""What one attempt is, and the ways in which most of them are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gpuprov.sandbox.api import Reply
from isolation.answers import RBAC, WORKS, Outcome, pending, pods_refused, refused, works
from isolation.client import MERGE, Json
from isolation.lab import AWARDED
from isolation.tenant import Awardee
from isolation.wait import until

CHART, BARE, CHART_ADMIN, BARE_ADMIN = SETTINGS = ("chart", "bare", "chart+admin", "bare+admin")
"""With the chart and without its admission policies; as the tenant, and as a tenant who was given `admin` too."""

Act = Callable[[Awardee], Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A way around. ``expected`` says for each setting who refuses it, or that it works."""

    name: str
    gain: str
    act: Act
    expected: Mapping[str, str]
    note: str = ""


def all_by(by: str) -> dict[str, str]:
    """Expect the same in every setting."""
    return dict.fromkeys(SETTINGS, by)


def chart_by(by: str, without: str = WORKS) -> dict[str, str]:
    """Expect the chart to refuse what the awardee's role and Kubernetes' own `admin` both allow."""
    return {CHART: by, BARE: without, CHART_ADMIN: by, BARE_ADMIN: without}


def role_first(chart_admin: str, bare_admin: str = WORKS) -> dict[str, str]:
    """Expect the awardee's role to refuse; say what happens where `admin` was given too."""
    return {CHART: RBAC, BARE: RBAC, CHART_ADMIN: chart_admin, BARE_ADMIN: bare_admin}


def on_a_node(live: Json) -> str:
    """Say on which kind of node a pod runs; nothing where it runs on none."""
    return f"runs on {_kind(live['spec']['nodeName'])}" if live["spec"].get("nodeName") else ""


def _kind(node: str) -> str:
    return "the server set apart" if node.endswith("h100-02") else f"an {node.split('-')[1].upper()} server"


def try_pod(body: Json, seen: Callable[[Json], str] = on_a_node) -> Act:
    """Create a pod; where it comes to a node, ``seen`` says what that gained."""

    def act(awardee: Awardee) -> Outcome:
        reply = awardee.post(f"{awardee.core}/pods", body)
        return refused(reply) if not reply.ok else follow(awardee, reply, seen)

    return act


def follow(awardee: Awardee, reply: Reply, seen: Callable[[Json], str]) -> Outcome:
    """Wait for what the scheduler does with a pod that was taken."""
    path = f"{awardee.core}/pods/{reply.body['metadata']['name']}"
    live = until(lambda: _decided(awardee.look(path)))
    if not live["spec"].get("nodeName"):
        (why,) = [
            condition["message"] for condition in live["status"]["conditions"] if condition["type"] == "PodScheduled"
        ]
        return pending(reply, why)
    until(lambda: awardee.look(path)["status"]["phase"] == "Running")
    return works(reply, seen(awardee.look(path)))


def _decided(live: Json) -> Json:
    conditions = live.get("status", {}).get("conditions") or ()
    waits = any(condition["type"] == "PodScheduled" and condition["status"] == "False" for condition in conditions)
    return live if live["spec"].get("nodeName") or waits else {}


def try_controller(api_group: str, plural: str, spec: Json, gained: Callable[[Awardee], str]) -> Act:
    """Create an object whose controller makes pods; wait until these gain something or the controller is refused."""

    def act(awardee: Awardee) -> Outcome:
        path = awardee.group(api_group) if "/" in api_group else awardee.core
        reply = awardee.post(f"{path}/{plural}", {"metadata": {"name": awardee.label}, "spec": spec})
        if not reply.ok:
            return refused(reply)
        if "schedule" in spec:
            _let_a_minute_pass(awardee, f"{path}/{plural}/{awardee.label}")
        until(lambda: awardee.failures() or gained(awardee))
        if seen := gained(awardee):
            return works(reply, seen)
        return pods_refused(reply, awardee.failures()[0])

    return act


def _let_a_minute_pass(awardee: Awardee, path: str) -> None:
    """Let a CronJob's controller find that the next run is due, instead of waiting for the clock."""
    before = (datetime.now(UTC) - timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    awardee.lab.admin.must(awardee.lab.admin.patch(f"{path}/status", {"status": {"lastScheduleTime": before}}, MERGE))


def more_than_awarded(awardee: Awardee) -> str:
    """Say how many GPUs an award's pods have, waiting or running, where it is more than was awarded."""
    had = awardee.had()
    return f"its pods have {had} GPUs" if had > AWARDED else ""


def any_pod(seen: Callable[[Json], str]) -> Callable[[Awardee], str]:
    """Let ``seen`` tell of the first pod that came to a node."""

    def gained(awardee: Awardee) -> str:
        placed = [pod for pod in awardee.pods() if pod["spec"].get("nodeName")]
        return seen(placed[0]) if placed else ""

    return gained


def try_post(path: Callable[[Awardee], str], body: Callable[[Awardee], Json] | Json, seen: str) -> Act:
    """Create any object; ``seen`` says what its existence gives."""

    def act(awardee: Awardee) -> Outcome:
        made = body(awardee) if callable(body) else body
        reply = awardee.post(path(awardee), made)
        return works(reply, seen) if reply.ok else refused(reply)

    return act


def try_patch(path: Callable[[Awardee], str], body: Json, content: str = MERGE) -> Act:
    """Change an object that must not change; the tests fail where that works."""

    def act(awardee: Awardee) -> Outcome:
        reply = awardee.api.patch(path(awardee), body, content)
        return works(reply, "was changed") if reply.ok else refused(reply)

    return act


def try_delete(path: Callable[[Awardee], str]) -> Act:
    """Delete an object that must stay."""

    def act(awardee: Awardee) -> Outcome:
        reply = awardee.api.delete(path(awardee))
        return works(reply, "was deleted") if reply.ok else refused(reply)

    return act
