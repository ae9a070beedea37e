"""Whether a cluster still has exactly what the last `gpuprov setup` left on it, so that Pulumi has nothing to do.

The set-up leaves a record on the cluster once Pulumi has succeeded: what it was made from, and the digest of each
object as the API server returned it to Pulumi. Whatever differs from the record is Pulumi's to judge: a false alarm
costs a run of it, and nothing is overlooked. The record is no protection against an administrator, who may write it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gpuprov.preflight.facts import Live

COLLECTIONS: Mapping[str, str] = {
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "Deployment": "/apis/apps/v1/deployments",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "Role": "/apis/rbac.authorization.k8s.io/v1/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "ServiceAccount": "/api/v1/serviceaccounts",
    "ValidatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}
"""Where the chart's objects are listed, by kind. Objects of other kinds, as of a chart of one's own, are not read: then
there is no record, and Pulumi always looks."""

SELECTOR = "app.kubernetes.io/name=gpu-cluster,app.kubernetes.io/part-of=gpuprov"
"""The labels of all objects of the chart. One that has lost them counts as missing."""

_HOME_KIND = "Namespace"
_OF_THE_PLUGIN = "__"
"""How the fields begin that Pulumi's plugin adds to an object in the state."""

_METADATA = ("name", "namespace", "uid", "labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp")
"""The metadata that somebody could mean to change; the rest is the server's own bookkeeping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the last set-up left: the digest of what it was made from, and that of each object by its name."""

    source: str
    objects: Mapping[str, str]

    def to_text(self) -> str:
        """Return the record as it lies on the cluster."""
        return json.dumps({"source": self.source, "objects": dict(self.objects)}, sort_keys=True)


def read(text: str | None) -> Record | None:
    """Return the record that a cluster has; None where there is none, or one that this version cannot read."""
    try:
        data = json.loads(text or "null")
        return Record(source=str(data["source"]), objects={str(k): str(v) for k, v in data["objects"].items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def recorded(deployment: Mapping[str, Any], source: str) -> Record | None:
    """Return the record of a run of Pulumi that has succeeded, from the stack's state after it.

    None where the state has what cannot be read on the cluster, or says that something is unfinished.
    """
    state = deployment.get("deployment") or {}
    objects: dict[str, str] = {}
    for resource in state.get("resources") or ():
        if not str(resource.get("type", "")).startswith("kubernetes:") or not resource.get("custom"):
            continue
        live = resource.get("outputs") or {}
        if resource.get("delete") or live.get("kind") not in (_HOME_KIND, *COLLECTIONS):
            return None
        objects[name_of(live)] = digest(live)
    if not objects or state.get("pending_operations"):
        return None
    return Record(source=source, objects=objects)


def differences(record: Record | None, source: str, objects: Iterable[Live]) -> tuple[str, ...]:
    """Return a phrase for each thing that Pulumi has to look at; nothing where the cluster is as it was left.

    ``source`` is the digest of what the set-up would be made from now, ``objects`` are those of the chart on the
    cluster.
    """
    if record is None:
        return ("no record of what the last set-up left",)
    return tuple(_differences(record, source, {name_of(live): digest(live) for live in objects}))


def _differences(record: Record, source: str, found: Mapping[str, str]) -> Iterator[str]:
    if record.source != source:
        yield "the chart, its values, the cluster's version or gpuprov have changed since the last set-up"
    for name in sorted({*record.objects, *found}):
        if name not in found:
            yield f"{name} is missing"
        elif name not in record.objects:
            yield f"{name} is not part of it"
        elif found[name] != record.objects[name]:
            yield f"{name} was changed"


def name_of(live: Live) -> str:
    """Return the kind and name of an object, with its namespace where it is in one."""
    metadata = live["metadata"]
    namespace = metadata.get("namespace")
    return f"{live['kind']} {namespace + '/' if namespace else ''}{metadata['name']}"


def digest(live: Live) -> str:
    """Return the digest of what an object says, without its status and the server's bookkeeping."""
    says = {key: value for key, value in live.items() if key not in ("metadata", "status")}
    says = {key: value for key, value in says.items() if not key.startswith(_OF_THE_PLUGIN)}
    metadata = {key: live["metadata"][key] for key in _METADATA if live["metadata"].get(key)}
    text = json.dumps(_plain({**says, "metadata": metadata}), ensure_ascii=False, sort_keys=True)
    return sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """Leave out what is null, and write whole numbers as such: the state has them as the plugin's language does."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
