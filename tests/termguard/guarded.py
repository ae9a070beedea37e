"""A cluster with awards, played over real HTTP: what the term guard reads, and what its requests leave there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from leases import Leases, keeping_leases
from played_api import Asked, Reply, Server, listing, not_found, refusal
from strategies import JULY, cluster, live, tenant

from gpuprov.core.manifests import BINDING, QUOTA, SERVICE_ACCOUNT
from gpuprov.core.termguard import Rules
from gpuprov.kube.target import OwnCluster
from gpuprov.run.clock import machine_now
from gpuprov.run.termguard.guard import TermGuard
from gpuprov.run.termguard.metrics import Metrics
from gpuprov.run.termguard.report import Reporter

WHERE = cluster("samsung-sds", H100=200)
MARGIN, RETENTION = timedelta(hours=2), timedelta(days=3)
KINDS = {
    "resourcequotas": ("ResourceQuota", QUOTA),
    "rolebindings": ("RoleBinding", BINDING),
    "serviceaccounts": ("ServiceAccount", SERVICE_ACCOUNT),
}


@dataclass
class Played:
    """The server's objects by namespace. Pods end when they are told to, but for ``stubborn`` ones, and namespaces go
    when they are deleted, but for ``sticky`` ones.
    """

    leases: Leases
    spaces: dict[str, dict[tuple[str, str], Any]] = field(default_factory=dict)
    pods: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    stubborn: set[str] = field(default_factory=set)
    sticky: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    forbidden: str = ""
    before: Callable[[Asked], None] = lambda asked: None

    def grant(self, award_id: str, end: datetime = JULY, gpus: int = 8, pods: int = 1) -> str:
        """Let there be an award with its access, and pods that hold all of its GPUs."""
        made = tenant(award_id, gpus, WHERE, term_end=end)
        objects = deepcopy(dict(live(made, WHERE).objects))
        objects["ServiceAccount", SERVICE_ACCOUNT] = {"metadata": {"name": SERVICE_ACCOUNT}}
        self.spaces[made.namespace] = objects
        self.pods[made.namespace] = [
            {
                "metadata": {"name": f"pod-{number}", "namespace": made.namespace},
                "spec": {"nodeName": "node", "containers": []},
                "status": {"phase": "Running"},
            }
            for number in range(pods)
        ]
        return made.namespace

    def annotate(self, namespace: str, **annotations: str | None) -> None:
        self.spaces[namespace]["Namespace", namespace]["metadata"]["annotations"] |= annotations

    def hard(self, namespace: str) -> dict[str, str]:
        return self.spaces[namespace]["ResourceQuota", QUOTA]["spec"]["hard"]

    def is_closed(self, namespace: str) -> bool:
        """No access, no quota, no pod: looked at from outside."""
        objects, hard = self.spaces[namespace], self.hard(namespace)
        left = {("RoleBinding", BINDING), ("ServiceAccount", SERVICE_ACCOUNT)} & objects.keys()
        return not left and hard["pods"] == hard["requests.nvidia.com/gpu"] == "0" and not self.pods[namespace]

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.events]

    def __call__(self, asked: Asked) -> Reply:
        self.before(asked)
        if self.forbidden and self.forbidden in asked.path:
            return refusal(403, "Forbidden")
        if "/leases" in asked.path:
            return self.leases(asked)
        return Reply(body={"gitVersion": "v1.36.3"}) if asked.path == "/version" else self._answer(asked)

    def _answer(self, asked: Asked) -> Reply:
        if asked.path.endswith("/events"):
            self.events.append(asked.body)
            return Reply(201, asked.body)
        resource, namespace = self._target(asked.path)
        if namespace is None:
            return self._listed(resource, asked.query)
        if namespace not in self.spaces:
            return not_found(namespace)
        return self._one(asked, resource, namespace)

    def _target(self, path: str) -> tuple[str, str | None]:
        parts = path.split("/")
        if "namespaces" in parts and (rest := parts[parts.index("namespaces") + 1 :]):
            return (rest[1] if len(rest) > 1 else "namespaces"), rest[0]
        return parts[-1], None

    def _listed(self, resource: str, query: dict[str, str]) -> Reply:
        if resource == "namespaces":
            return listing(*(objects["Namespace", name] for name, objects in self.spaces.items()), kind="NamespaceList")
        if resource == "pods":
            return listing(*(pod for pods in self.pods.values() for pod in pods))
        key = KINDS[resource]
        assert query["fieldSelector"] == f"metadata.name={key[1]}"  # what the role allows
        found = [(name, objects[key]) for name, objects in self.spaces.items() if key in objects]
        items = [item | {"metadata": item["metadata"] | {"namespace": name}} for name, item in found]
        return listing(*items, kind=f"{key[0]}List")

    def _one(self, asked: Asked, resource: str, namespace: str) -> Reply:
        objects = self.spaces[namespace]
        if resource == "pods":
            if asked.method == "DELETE" and namespace not in self.stubborn:
                self.pods[namespace] = []
            for pod in self.pods[namespace] if asked.method == "DELETE" else ():
                pod["metadata"]["deletionTimestamp"] = "2026-07-01T00:00:00Z"
            return listing(*self.pods[namespace])
        if resource == "namespaces":
            if asked.method == "DELETE" and namespace in self.sticky:
                objects["Namespace", namespace]["metadata"]["deletionTimestamp"] = "2026-07-04T00:00:00Z"
            elif asked.method == "DELETE":
                del self.spaces[namespace], self.pods[namespace]
            return Reply(body=objects["Namespace", namespace])
        key = KINDS[resource]
        if key not in objects:
            return not_found(key[1], resource)
        if asked.method == "PATCH":
            assert asked.body["spec"].keys() == {"hard"}
            objects[key]["spec"]["hard"] |= asked.body["spec"]["hard"]
        return Reply(body=objects.pop(key) if asked.method == "DELETE" else objects[key])


@dataclass
class World:
    """The cluster, its term guard, and the guard's clock."""

    server: Server
    cluster: Played
    guard: TermGuard
    time: list[datetime]

    def look(self, at: datetime | None = None) -> datetime | None:
        if at is not None:
            self.time[0] = at
        return self.guard.look()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.guard.report.metrics.registry.get_sample_value(f"gpuprov_term_guard_{name}", labels)

    def writes(self) -> list[str]:
        return [asked.path for asked in self.server.asked if asked.method != "GET"]


@contextmanager
def guarded(
    folder, monkeypatch, *, most: int = 3, retention: timedelta | None = RETENTION, dry_run: bool = False
) -> Iterator[World]:
    """Let a term guard look at a cluster without awards, before any term ends."""
    with keeping_leases(folder, monkeypatch) as (server, leases):
        there = Played(leases)
        server.does(there)
        time = [JULY - timedelta(days=30)]
        metrics = Metrics()

        def now() -> datetime:
            return time[0].astimezone(UTC)

        guard = TermGuard(
            cluster=OwnCluster(),
            api=server.api,
            rules=Rules(margin=MARGIN, retention=retention, most=most),
            now=now,
            machine_now=machine_now,
            timeout=30.0,
            dry_run=dry_run,
            report=Reporter(api=server.api, metrics=metrics, now=now, dry_run=dry_run),
        )
        yield World(server, there, guard, time)
