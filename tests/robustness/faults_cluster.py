"""What goes wrong on the supplier's side: servers that die or stop, and what keeps a namespace from going."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any

import psutil
import urllib3
from faults import Fault, kind
from observer import connect
from sandbox_fixtures import eventually
from script import TEARDOWNS
from world import NAME, World

from gpuprov.core.naming import namespace

_HOLD = "example.org/hold"
_FINALIZER, _DEAD_SERVICE, _DEAD_NODES = TEARDOWNS


@kind
class ApiServerKilled(Fault):
    """It dies, and is started again some seconds later, as a kubelet does with its pod."""

    name = "API server killed"

    def inject(self) -> str:
        self.world.cluster.processes()["kube-apiserver"].kill()
        return "kube-apiserver"

    def heal(self) -> str:
        self.world.sandbox.start(NAME)
        return ""


class _Paused(Fault):
    """A program of the cluster is stopped, and goes on later where it was."""

    program = ""

    def inject(self) -> str:
        self.world.cluster.processes()[self.program].suspend()
        return self.program

    def heal(self) -> str:
        with suppress(psutil.NoSuchProcess):
            self.world.cluster.processes()[self.program].resume()
        return ""


@kind
class EtcdPaused(_Paused):
    name = "etcd paused"
    program = "etcd"


@kind
class NodesDead(_Paused):
    """Nothing answers for the nodes: pods that are told to end do not, and hold their GPUs."""

    name = _DEAD_NODES
    program = "kwok"
    when = "before"

    def prepare(self) -> None:
        self.lasting = self.dice.random() < 0.6


@kind
class StuckFinalizer(Fault):
    """A namespace that is to go has a finalizer that nobody removes for a while."""

    name = _FINALIZER
    when = "before"

    def prepare(self) -> None:
        self.lasting = self.dice.random() < 0.6

    def inject(self) -> str:
        granted, desired = self.world.observer.granted(), self.world.desired(self.script)
        words = self.operations[0].words
        going = [namespace(words[1])] if words[0] == "forfeit" else sorted(granted.keys() - desired.keys())
        victims = [name for name in going if name in granted]
        self.victim = self.dice.choice(victims) if victims else ""
        return self.victim and _finalized(self.world, self.victim, [_HOLD])

    def heal(self) -> str:
        if self.victim:
            eventually(lambda: _finalized(self.world, self.victim, []))
        return ""


def _finalized(world: World, name: str, finalizers: list[str]) -> str:
    """Let a namespace have these finalizers; return its name, empty where the server does not do it."""
    headers = {"Content-Type": "application/merge-patch+json"}
    body = json.dumps({"metadata": {"finalizers": finalizers}}).encode()
    path = f"/api/v1/namespaces/{name}"
    with connect(world.layout) as pool, suppress(urllib3.exceptions.HTTPError):
        answer = pool.request("PATCH", path, body=body, headers=headers, timeout=10)
        gone = answer.status == 404 and not finalizers
        return name if answer.status == 200 or gone else ""
    return ""


class _Object(Fault):
    """An object of an administrator's that does harm while it is there."""

    path = ""

    def body(self) -> dict[str, Any]:
        raise NotImplementedError

    def inject(self) -> str:
        self.made = self.body()
        reply = self.world.api.request("POST", self.path, self.made)
        return self.made["metadata"]["name"] if reply.ok else ""

    def heal(self) -> str:
        name = self.made["metadata"]["name"]
        eventually(lambda: self._gone(f"{self.path}/{name}"))
        return ""

    def _gone(self, path: str) -> bool:
        try:
            return self.world.api.request("DELETE", path).status in (200, 404)
        except urllib3.exceptions.HTTPError:
            return False


@kind
class DeadApiService(_Object):
    """An API of which nobody answers any more: the namespace controller cannot say that a namespace is empty."""

    name = _DEAD_SERVICE
    when = "before"
    path = "/apis/apiregistration.k8s.io/v1/apiservices"

    def prepare(self) -> None:
        self.lasting = self.dice.random() < 0.6

    def body(self) -> dict[str, Any]:
        service = {"namespace": "robustness", "name": "nobody", "port": 443}
        spec = {"group": "broken.example.org", "version": "v1", "service": service, "insecureSkipTLSVerify": True}
        priorities = {"groupPriorityMinimum": 100, "versionPriority": 100}
        return {"metadata": {"name": "v1.broken.example.org"}, "spec": spec | priorities}


_ASKED = ["namespaces", "resourcequotas", "pods", "serviceaccounts", "rolebindings", "limitranges", "configmaps"]


@kind
class WebhookTimeout(_Object):
    """An admission webhook that must be asked, accepts connections and never answers."""

    name = "webhook times out"
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

    def body(self) -> dict[str, Any]:
        self._nobody = socket.create_server(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{self._nobody.getsockname()[1]}/"
        rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": _ASKED}
        hook = {
            "name": "silent.example.org",
            "clientConfig": {"url": url},
            "rules": [rule],
            "timeoutSeconds": self.dice.choice((1, 2, 3)),
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        return {"metadata": {"name": "silent.example.org"}, "webhooks": [hook]}

    def heal(self) -> str:
        super().heal()
        self._nobody.close()
        return ""
