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
from story import gpu_pod
from world import NAME, POD

from gpuprov.core.naming import namespace

_HOLD = "example.org/hold"
_FINALIZER, _DEAD_SERVICE = TEARDOWNS


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


@kind
class EtcdPaused(Fault):
    name = "etcd paused"

    def inject(self) -> str:
        self.world.cluster.processes()["etcd"].suspend()
        return "etcd"

    def heal(self) -> str:
        with suppress(psutil.NoSuchProcess):
            self.world.cluster.processes()["etcd"].resume()
        return ""


@kind
class StuckFinalizer(Fault):
    """A namespace that is to go, or a pod there, has a finalizer that nobody removes for a while."""

    name = _FINALIZER
    when = "before"

    def inject(self) -> str:
        self.lasting = self.dice.random() < 0.6
        granted, desired = self.world.observer.granted(), self.world.desired(self.script)
        words = self.operations[0].words
        going = [namespace(words[1])] if words[0] == "forfeit" else sorted(granted.keys() - desired.keys())
        victims = [name for name in going if granted.get(name)]
        if not victims:
            return ""
        victim = self.dice.choice(victims)
        if self.dice.random() < 0.4:
            return "namespace" if _patch(self.world, f"/api/v1/namespaces/{victim}", [_HOLD]) else ""
        pods = f"/api/v1/namespaces/{victim}/pods"
        if victim in {pod["namespace"] for pod in self.world.observer.pods()}:
            return "pod" if _patch(self.world, f"{pods}/{POD}", [_HOLD]) else ""
        body = gpu_pod(POD, granted[victim])
        body["metadata"]["finalizers"] = [_HOLD]
        return "pod" if self.world.api.request("POST", pods, body).ok else ""

    def heal(self) -> str:
        found = [item for path in ("namespaces", "pods") for item in _items(self.world, f"/api/v1/{path}")]
        for item in found:
            if _HOLD in (item["metadata"].get("finalizers") or ()):
                where = item["metadata"].get("namespace")
                place = f"namespaces/{where}/pods" if where else "namespaces"
                _patch(self.world, f"/api/v1/{place}/{item['metadata']['name']}", [])
        return ""


def _items(world, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def read() -> bool:
        answer = world.api.get(path)
        found[:] = (answer or {}).get("items", [])
        return answer is not None

    eventually(read)
    return found


def _patch(world, path: str, finalizers: list[str]) -> bool:
    headers = {"Content-Type": "application/merge-patch+json"}
    body = json.dumps({"metadata": {"finalizers": finalizers}}).encode()
    with connect(world.layout) as pool:
        return pool.request("PATCH", path, body=body, headers=headers, timeout=10).status == 200


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

    def body(self) -> dict[str, Any]:
        self.lasting = self.dice.random() < 0.5
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
