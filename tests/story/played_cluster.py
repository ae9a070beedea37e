"""A cluster with its pods and its Lease, and Pulumi's state, in memory: what commands act on where none is real.

Everything calls ``pause`` where in reality another process can act in between. What must never happen is looked for at
every write, and kept in ``broken``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol

from strategies import live

from gpuprov.core import outputs
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import BINDING, QUOTA, tenant_manifests
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.plan import differences
from gpuprov.errors import ClusterError
from gpuprov.kube.lease import Turn
from gpuprov.kube.reclaim import Release
from gpuprov.run.job import StackDone

GPU = "nvidia.com/gpu"
UID = "uid-1"
ROUNDS = 2
"""How often a command looks whether pods have ended, or namespaces gone, before it gives up on them."""


class Player(Protocol):
    """Whoever acts at the moment."""

    name: str
    shown: frozenset[str]
    """The namespaces that the plan names as reclaims that this operator was shown last."""
    fresh: bool
    """False from the answer to a question until everything is looked at again."""

    def pause(self, what: str, until: Callable[[], bool] | None = None) -> None:
        """Let the others act, until ``until`` holds where it is given."""

    def reads(self) -> None:
        """Note that it looks at the cluster."""

    def log(self, line: str) -> None:
        """Keep a line for the history."""


@dataclass
class Pod:
    """A pod on a node. A stubborn one does not end when it is told to."""

    gpus: int
    stubborn: bool
    ending: bool = False


@dataclass
class Space:
    """A namespace with its objects and pods. With a finalizer (``sticky``) it does not go."""

    objects: dict[tuple[str, str], dict[str, Any]]
    pods: list[Pod] = field(default_factory=list)
    terminating: bool = False
    sticky: bool = False

    @property
    def hard(self) -> int:
        quota = self.objects.get(("ResourceQuota", QUOTA), {"spec": {"hard": {}}})
        return int(quota["spec"]["hard"].get(f"requests.{GPU}", "0"))

    @property
    def by_pods(self) -> int:
        return sum(pod.gpus for pod in self.pods)

    def seen(self, name: str) -> ObservedTenant:
        """Return it as a reading shows it. A quota charges no pod that terminates."""
        objects = deepcopy(self.objects)
        if self.terminating:
            objects["Namespace", name]["metadata"]["deletionTimestamp"] = "2026-03-01T03:00:00Z"
        if quota := objects.get(("ResourceQuota", QUOTA)):
            charged = sum(pod.gpus for pod in self.pods if not pod.ending)
            quota["status"] = {"hard": quota["spec"]["hard"], "used": {f"requests.{GPU}": str(charged)}}
        return ObservedTenant(namespace=name, objects=objects)


@dataclass
class State:
    """What Pulumi knows of one stack: its outputs, and of each award the manifests that it wrote."""

    outputs: dict[str, Any] | None = None
    written: dict[str, dict[tuple[str, str], Any]] = field(default_factory=dict)
    lock: str = ""


class PlayedCluster:
    """The cluster. ``me`` tells who acts; ``lease`` is the number of turns, ``holder`` who has it."""

    def __init__(self, where: ProviderCluster, me: Callable[[], Player]) -> None:
        self.where = where
        self.me = me
        self.spaces: dict[str, Space] = {}
        self.lease = 0
        self.holder = ""
        self.before = ""
        self.broken: list[str] = []

    # what reads

    def observe(self, cluster: ProviderCluster) -> ObservedCluster:
        self.me().reads()
        turn, actor = self.lease - bool(self.holder), self.before
        self.me().pause("has read the Lease")
        names = list(self.spaces)
        self.me().pause("has listed the namespaces")
        found = tuple(self.spaces[name].seen(name) for name in names if name in self.spaces)
        self.me().pause("has observed the cluster")
        return ObservedCluster(provider=cluster.provider, uid=UID, tenants=found, turn=turn, actor=actor)

    def read_back(self, cluster: ProviderCluster, namespaces: Any, api: Any = None) -> dict[str, ObservedTenant]:
        self.me().pause("reads back")
        return {name: self.spaces[name].seen(name) for name in namespaces if name in self.spaces}

    def find(self, cluster: ProviderCluster, namespaces: Any) -> list[ObservedTenant]:
        return list(self.read_back(cluster, namespaces).values())

    def pods_on(self, cluster: ProviderCluster, namespaces: Any, api: Any = None) -> dict[str, dict[str, int]]:
        self.me().pause("reads the pods")
        names = self.spaces if namespaces is None else namespaces
        return {name: {GPU: gpus} for name in names if (gpus := self.by_pods(name))}

    def by_pods(self, name: str) -> int:
        return self.spaces[name].by_pods if name in self.spaces else 0

    def acts(self, what: str) -> None:
        """Insist that who acts has looked again since it asked a question."""
        if not self.me().fresh:
            self.broken.append(f"{self.me().name} {what} on what it had seen before it asked")

    # the Lease

    @contextmanager
    def take_turn(
        self, cluster: ProviderCluster, purpose: str, *, patience: float, progress: Any = None, api: Any = None
    ) -> Iterator[Turn]:
        me = self.me()
        self.acts("asks for the turn")
        me.pause("asks for the turn")
        if self.holder and not patience:
            raise ClusterError(cluster.provider, f"{self.holder} is at work on this cluster")
        if self.holder:
            me.pause("waits for the turn", until=lambda: not self.holder)
        previous, self.before = self.before, f"{me.name} ({purpose})"
        self.lease, self.holder = self.lease + 1, me.name
        me.log(f"{me.name} has turn {self.lease}")
        turn = Turn(provider=cluster.provider, number=self.lease, previous=previous)
        try:
            me.pause("has the turn")
            yield turn
        finally:
            self.holder = ""
            if turn.idle:
                self.lease, self.before = self.lease - 1, previous

    # what takes back: the methods of a Teardown

    def lower(self, hard: Mapping[str, Mapping[str, str]]) -> None:
        for name, limits in hard.items():
            if quota := self._quota(name):
                quota["spec"]["hard"] |= limits
            self.me().pause(f"has lowered {name}")

    def release(self, namespaces: Any) -> list[Release]:
        for name in namespaces:
            self._allowed(name, "took back")
            if name in self.spaces:
                self.spaces[name].objects.pop(("RoleBinding", BINDING), None)
            if quota := self._quota(name):
                quota["spec"]["hard"] |= {"pods": "0", f"requests.{GPU}": "0"}
            self.me().pause(f"has closed {name}")
        for name in namespaces:
            for pod in self._pods(name):
                pod.ending = True
        self._wait(lambda: any(self._pods(name) for name in namespaces), "waits for pods")
        return [self._released(name) for name in namespaces]

    def _released(self, name: str) -> Release:
        held = self.by_pods(name)
        return Release(namespace=name, seconds=0.0, stuck=("a pod has not ended",) if held else (), held=held)

    def delete(self, namespaces: Any) -> None:
        for name in namespaces:
            self._allowed(name, "deleted")
            if name in self.spaces:
                self.spaces[name].terminating = True
            self.me().pause(f"has deleted {name}")

    def prove_gone(self, namespaces: Any) -> dict[str, str]:
        self._wait(lambda: any(name in self.spaces for name in namespaces), "waits for namespaces to go")
        return {name: "a finalizer" for name in namespaces if name in self.spaces}

    def settle(self, namespaces: Any) -> dict[str, str]:
        def going() -> list[str]:
            return [name for name in namespaces if name in self.spaces and self.spaces[name].terminating]

        self._wait(lambda: bool(going()), "waits for namespaces to be made again")
        return dict.fromkeys(going(), "a finalizer")

    def _wait(self, going: Callable[[], bool], what: str) -> None:
        for _ in range(ROUNDS):
            self.go_on()
            if not going():
                return
            self.me().pause(what)

    def go_on(self) -> None:
        """Let the cluster's own controllers work: pods that were told to end do, and empty namespaces go."""
        for name, space in list(self.spaces.items()):
            space.pods = [pod for pod in space.pods if pod.stubborn or not pod.ending]
            if space.terminating and not space.pods and not space.sticky:
                del self.spaces[name]

    def _allowed(self, name: str, did: str) -> None:
        if name in self.spaces and name not in self.me().shown:
            self.broken.append(f"{self.me().name} {did} {name}, and no plan that it was shown last names that")

    def _quota(self, name: str) -> dict[str, Any] | None:
        return self.spaces[name].objects.get(("ResourceQuota", QUOTA)) if name in self.spaces else None

    def _pods(self, name: str) -> list[Pod]:
        return self.spaces[name].pods if name in self.spaces else []

    # what grants

    def held(self) -> int:
        """GPUs that are granted or, where that is more, held by pods."""
        return sum(max(space.hard, space.by_pods) for space in self.spaces.values())

    def write(self, name: str, manifests: Mapping[tuple[str, str], Any]) -> None:
        """Write objects of a tenant, the namespace first. Raises ClusterError where it is being deleted."""
        for key, manifest in manifests.items():
            if key[0] == "Namespace":
                space = self.spaces.setdefault(name, Space(objects={}))
            elif name not in self.spaces:
                raise ClusterError(self.where.provider, f"namespaces {name!r} not found")
            else:
                space = self.spaces[name]
            if space.terminating:
                raise ClusterError(self.where.provider, f"{name} is being terminated")
            before = space.hard
            space.objects[key] = deepcopy(manifest)
            if key[0] == "ResourceQuota":
                self._granted(name, before, space.hard)
            if key[0] in {"Namespace", "ResourceQuota"}:
                self.me().pause(f"has written {key[0]} of {name}" + f" ({space.hard})" * (key[0] == "ResourceQuota"))

    def _granted(self, name: str, before: int, after: int) -> None:
        capacity = int(self.where.pools[0].steps[0].gpus)
        if after > before and self.held() > capacity:
            self.broken.append(f"{self.me().name} granted {name} {after} GPUs: {self.held()} are held of {capacity}")

    def up(self, state: State, tenants: Any, *, changed: Any, refresh: bool, recorded: dict[str, Any]) -> None:
        """Do what Pulumi does: write what differs from what it believes, forget what is declared no more."""
        me = self.me()
        wanted = {tenant.award_id: tenant for tenant in tenants if changed is None or tenant.award_id in changed}
        believed = deepcopy(state.written)
        for award_id in list(believed):
            if changed is None or award_id in changed:
                if refresh:
                    believed[award_id] = self._refreshed(believed[award_id])
                if award_id not in wanted:
                    del believed[award_id]
        for award_id, tenant in sorted(wanted.items(), key=self._shrinks):
            should = live(tenant, self.where).objects
            plain = {
                (manifest["kind"], manifest["metadata"]["name"]): manifest
                for manifest in tenant_manifests(tenant, self.where)
            }
            known = believed.get(award_id, {})
            self.write(tenant.namespace, {key: should[key] for key in should if known.get(key) != plain[key]})
            believed[award_id] = plain
        me.pause("saves the state")
        state.written, state.outputs = believed, recorded

    def _shrinks(self, wanted: tuple[str, Any]) -> int:
        """Order what is written: Pulumi does it side by side, so what grows may well be first."""
        space = self.spaces.get(wanted[1].namespace)
        return (space.hard if space else 0) - int(wanted[1].gpus)

    def _refreshed(self, known: Mapping[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
        name = next(key[1] for key in known if key[0] == "Namespace")
        objects = self.spaces[name].objects if name in self.spaces else {}
        return {
            key: manifest
            for key, manifest in known.items()
            if key in objects and not any(differences(manifest, objects[key]))
        }


def said(cluster: ProviderCluster, origin: outputs.Origin, tenants: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a program exports, as `gpuprov.engine.program` does."""
    return {
        outputs.UID: UID,
        outputs.CONTEXT: cluster.context,
        outputs.SHARDS: cluster.shards,
        outputs.PROVIDERS: list(origin.providers),
        outputs.LEDGER: origin.ledger,
        outputs.TENANTS: dict(tenants),
    }


def failed(stack: str, error: object) -> StackDone:
    """Return how a run ends that Pulumi stopped."""
    return StackDone(stack=stack, error=f"{stack}: {error}")
