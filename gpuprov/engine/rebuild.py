"""Makes the state of a stack anew from what its cluster has, as Pulumi's engine and plugin would have written it.

The program of a stack runs as always, but what it registers is written down here instead of being sent to the engine.
What was declared of an award follows from the annotations of its namespace alone (`ObservedTenant.as_written`). Of an
object that somebody has changed since, the state says what is there now, as it would after `pulumi refresh`; one that
is not there is not in the state. So the cluster is only read, and what differs from list and ledger is left to the next
run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import resource_pb2

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import MANAGER, Manifest, tenant_manifests
from gpuprov.core.observed import Live, ObservedTenant
from gpuprov.core.plan import differences
from gpuprov.engine.component import award_objects, kubernetes_provider
from gpuprov.engine.deployment import EMPTY, STACK_TYPE, Deployment, Part, Resource, resources_of, with_resources
from gpuprov.engine.registry import Registered, Registry

_OF_THE_SERVER = frozenset({"status"})
_METADATA_OF_THE_SERVER = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""What an API server adds to an object, which nobody has declared."""


def rebuilt(
    before: Deployment | None,
    project: str,
    stack: str,
    *,
    cluster: ProviderCluster,
    tenants: Mapping[str, ObservedTenant],
    said: Mapping[str, Any],
) -> Deployment:
    """Return the deployment of a stack that has these tenants, by award, and these outputs.

    ``before`` is the state as it was, None where it is lost or damaged: what it has beside awards is kept.
    """
    part = Part(stack, project, () if before is None else resources_of(before))
    root: Resource = part.root or {"urn": part.root_urn, "custom": False, "type": STACK_TYPE}
    recorder = _Recorder(part)
    if tenants or (part.others and part.provider):
        provider = kubernetes_provider(recorder, cluster)
        for award_id, tenant in sorted(tenants.items()):
            recorder.live = tenant.objects
            award_objects(recorder, provider, award_id, _manifests(tenant, cluster))
    plugin, objects = recorder.resources[:1], recorder.resources[1:]
    made = with_resources(before or EMPTY, [{**root, "outputs": dict(said)}, *plugin, *part.others, *objects])
    return {**made, "deployment": {**made["deployment"], "pending_operations": []}}


def _manifests(tenant: ObservedTenant, cluster: ProviderCluster) -> Sequence[Manifest]:
    """Return what was declared of a tenant; of one that does not tell, what is there without what the server added."""
    written = tenant.as_written(cluster)
    if written is not None:
        return tenant_manifests(written, cluster)
    home = ("Namespace", tenant.namespace)
    inside = [live for key, live in sorted(tenant.objects.items()) if key != home]
    return [_without_the_servers(live) for live in (tenant.objects[home], *inside)]


def _without_the_servers(live: Live) -> Manifest:
    said = {key: value for key, value in live.items() if key not in _OF_THE_SERVER}
    metadata = {key: value for key, value in live["metadata"].items() if key not in _METADATA_OF_THE_SERVER}
    if live["kind"] == "Namespace":
        said.pop("spec", None)  # it has only the server's own finalizer
    return {"apiVersion": "v1", **said, "metadata": metadata}


class _Recorder(Registry):
    """Writes down what a program registers as resources of a state, as far as it is there: ``live`` are the objects of
    the award that is being registered, by kind and name.
    """

    def __init__(self, part: Part) -> None:
        super().__init__(None, part.root_urn)
        self.part = part
        self.live: Mapping[tuple[str, str], Live] = {}
        self.resources: list[Resource] = []

    def register(self, request: resource_pb2.RegisterResourceRequest) -> Registered:
        """Write a resource down, and return its reference."""
        inputs = _whole(MessageToDict(request.object))
        resource: dict[str, Any] = {
            "urn": self._urn(request),
            "custom": request.custom,
            "type": request.type,
            "parent": request.parent,
        }
        if request.type.startswith("pulumi:providers:"):
            resource |= self._plugin(inputs, request.version)
        elif request.custom:
            live = self.live.get((inputs["kind"], inputs["metadata"]["name"]))
            if live is None:
                return Registered(urn=resource["urn"], id="")
            resource |= _object(request, inputs, live)
        self.resources.append(resource)
        return Registered(urn=resource["urn"], id=resource.get("id", ""))

    def _urn(self, request: resource_pb2.RegisterResourceRequest) -> str:
        """Return the name of a resource: the types of all that it is in, but for the stack, are part of it."""
        outer = request.parent.removeprefix(self.part.prefix).rpartition("::")[0]
        types = request.type if request.parent == self.part.root_urn else f"{outer}${request.type}"
        return f"{self.part.prefix}{types}::{request.name}"

    def _plugin(self, settings: Mapping[str, Any], version: str) -> dict[str, Any]:
        known = dict(settings) | {"version": version}
        return {
            "id": (self.part.provider or {}).get("id") or str(uuid4()),
            "inputs": {"__internal": {}, **known},
            "outputs": known,
            "propertyDependencies": {name: [] for name in settings},
        }


def _object(request: resource_pb2.RegisterResourceRequest, inputs: Mapping[str, Any], live: Live) -> dict[str, Any]:
    """Return what the state has of an object that is there, as the plugin keeps it."""
    metadata = live["metadata"]
    kept = inputs if not any(differences(inputs, live)) else _as_it_is(inputs, live)
    dependencies = list(request.dependencies)
    outputs = {
        **live,
        "apiVersion": inputs["apiVersion"],
        "kind": inputs["kind"],
        "__inputs": kept,
        "__initialApiVersion": inputs["apiVersion"],
        "__fieldManager": MANAGER,
    }
    resource: dict[str, Any] = {
        "id": "/".join(filter(None, [metadata.get("namespace"), metadata["name"]])),
        "inputs": kept,
        "outputs": outputs,
        "provider": request.provider,
        "propertyDependencies": dict.fromkeys(inputs, dependencies),
        "retainOnDelete": request.retainOnDelete,
    }
    if dependencies:
        resource |= {"dependencies": dependencies, "deletedWith": request.deletedWith}
    return resource


def _as_it_is(declared: Mapping[str, Any], live: Live) -> dict[str, Any]:
    """Return what was declared with the values that are there now, and without what is not, as a refresh does."""
    return {
        key: _as_it_is(value, live[key]) if isinstance(value, Mapping) and isinstance(live[key], Mapping) else live[key]
        for key, value in declared.items()
        if key in live
    }


def _whole(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """Write whole numbers as such: the protocol knows only one kind of number."""
    if isinstance(value, Mapping):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
