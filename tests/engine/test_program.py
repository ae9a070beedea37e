"""What the Pulumi program declares, seen by a monitor that keeps every request."""

import asyncio
import json
import time
from datetime import datetime
from importlib.metadata import version
from types import SimpleNamespace

import pulumi
import pytest
from pulumi.runtime import mocks, rpc, settings
from strategies import SEOUL

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.outputs import Origin, summary
from gpuprov.core.tenant import Tenant
from gpuprov.engine.program import declare

SDS = ProviderCluster(
    provider="samsung-sds",
    context="sds-admin",
    pools=(
        GpuPool(
            model="H100", capacity=200, resource="nvidia.com/gpu", node_label={"nvidia.com/gpu.product": "NVIDIA-H100"}
        ),
    ),
)
OBJECTS = {
    "kubernetes:core/v1:Namespace",
    "kubernetes:core/v1:Namespace$kubernetes:core/v1:ResourceQuota",
    "kubernetes:core/v1:ResourceQuota",
    "kubernetes:core/v1:LimitRange",
    "kubernetes:core/v1:ConfigMap",
    "kubernetes:networking.k8s.io/v1:NetworkPolicy",
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
}
"""The objects of a tenant by type token; the quota that is the same for all is in the namespace's URN."""

NAMESPACE, FIXED, QUOTA, LIMITS, POLICY, WELCOME, BINDING = (
    next(token for token in OBJECTS if token.removeprefix("kubernetes:") == kind)
    for kind in (
        "core/v1:Namespace",
        "core/v1:Namespace$kubernetes:core/v1:ResourceQuota",
        "core/v1:ResourceQuota",
        "core/v1:LimitRange",
        "networking.k8s.io/v1:NetworkPolicy",
        "core/v1:ConfigMap",
        "rbac.authorization.k8s.io/v1:RoleBinding",
    )
)
TENANT, PROVIDER = "gpuprov:index:AwardTenant", "pulumi:providers:kubernetes"


def tenant(award_id, gpus=8):
    return Tenant(
        award_id=award_id,
        organization="한빛대학교",
        provider="samsung-sds",
        pool=SDS.pools[0],
        gpus=gpus,
        term_start=datetime(2026, 1, 1, tzinfo=SEOUL),
        term_end=datetime(2026, 7, 1, tzinfo=SEOUL),
    )


class Nothing(mocks.Mocks):
    """Every resource becomes what it was asked to be."""

    def new_resource(self, args):
        return f"{args.name}-id", args.inputs

    def call(self, args):
        raise AssertionError(f"the program called {args.token}")


class Monitor(mocks.MockMonitor):
    """Keeps the requests in the order in which they came."""

    def __init__(self, seconds=0.0):
        super().__init__(Nothing())
        self.requests = []
        self.steps = []
        self.seconds = seconds

    def RegisterResource(self, request):  # noqa: N802 (gRPC)
        self.steps.append(("asked", request.type, request.name))
        time.sleep(self.seconds)
        answer = super().RegisterResource(request)
        self.steps.append(("done", request.type, request.name))
        self.requests.append(
            SimpleNamespace(
                type=request.type,
                name=request.name,
                urn=answer.urn,
                parent=request.parent,
                provider=request.provider,
                custom=request.custom,
                depends_on=set(request.dependencies),
                deleted_with=request.deletedWith,
                retained=request.retainOnDelete,
                version=request.version,
                inputs=rpc.deserialize_properties(request.object),
            )
        )
        return answer


ORIGIN = Origin(providers=("kt-cloud", "samsung-sds"), ledger={"events": 3, "sha256": "abc"})
ABOUT = {"providers": ["kt-cloud", "samsung-sds"], "ledger": {"events": 3, "sha256": "abc"}}
"""What the outputs remember of what a run was decided from."""


def kind_of(urn):
    """Return the types of a resource and of its parents within a tenant."""
    return urn.split("::")[2].removeprefix("pulumi:pulumi:Stack$").removeprefix(f"{TENANT}$")


def declared(tenants, monitor=None, **how):
    """Run the program; return the requested resources by (type, name), and the outputs."""
    monitor = monitor or Monitor()
    settings.reset_options()
    mocks.set_mocks(Nothing(), project="gpuprov", stack="samsung-sds", preview=False, monitor=monitor)
    outputs = {}

    async def program():
        await declare(SDS, tenants, "uid-1", ORIGIN, **how)
        outputs.update(settings.get_root_resource().outputs)

    pulumi.runtime.test(lambda: asyncio.ensure_future(program()))()
    asked = [request for request in monitor.requests if request.type != "pulumi:pulumi:Stack"]
    found = {(kind_of(request.urn), request.name): request for request in asked}
    assert len(found) == len(asked), "two resources with one URN"
    return found, outputs


@pytest.fixture(scope="module")
def two():
    return declared([tenant("HPC-1"), tenant("과제-2", 16)])


def test_each_award_is_a_component_with_seven_objects(two):
    asked, _ = two
    expected = {(PROVIDER, "samsung-sds")}
    for name in ("HPC-1", "과제-2"):
        expected |= {(TENANT, name), *((kind, name) for kind in OBJECTS)}
    assert asked.keys() == expected


def test_objects_belong_to_their_component(two):
    asked, _ = two
    for name in ("HPC-1", "과제-2"):
        assert not asked[TENANT, name].custom
        assert "pulumi:pulumi:Stack" in asked[TENANT, name].parent
        for kind in OBJECTS:
            inside = asked[NAMESPACE if kind == FIXED else TENANT, name]
            assert asked[kind, name].parent == inside.urn
            assert asked[kind, name].custom


def test_urns_are_those_of_the_award(two):
    asked, _ = two
    start = "urn:pulumi:samsung-sds::gpuprov::"
    assert asked[TENANT, "HPC-1"].urn.startswith(start)
    assert asked[TENANT, "HPC-1"].urn.endswith(f"{TENANT}::HPC-1")
    assert asked[QUOTA, "HPC-1"].urn == f"{start}{TENANT}${QUOTA}::HPC-1"


def test_every_object_is_written_by_our_one_provider(two):
    asked, _ = two
    provider = asked[PROVIDER, "samsung-sds"]
    assert provider.version == version("pulumi-kubernetes")
    for (kind, _), request in asked.items():
        if kind in OBJECTS:
            assert request.provider == f"{provider.urn}::samsung-sds-id"


def what(manifest):
    """Return kind and name of an object; a component has neither."""
    return manifest.get("kind"), manifest.get("metadata", {}).get("name")


def test_objects_are_their_manifests_with_notes_for_the_provider(two):
    asked, _ = two
    desired_tenant = tenant("과제-2", 16)
    for manifest in tenant_manifests(desired_tenant, SDS):
        inputs = next(
            request.inputs
            for (_, of), request in asked.items()
            if of == desired_tenant.award_id and what(request.inputs) == what(manifest)
        )
        annotations = dict(inputs["metadata"]["annotations"])
        assert annotations.pop("pulumi.com/patchFieldManager") == "gpuprov"
        assert annotations.pop("pulumi.com/patchForce") == "true"
        awaited = annotations.pop("pulumi.com/skipAwait", None) is None
        assert awaited is (manifest["kind"] == "Namespace")  # a namespace that is going is not free
        assert annotations == manifest["metadata"].get("annotations", {})
        bare = {**inputs, "metadata": {k: v for k, v in inputs["metadata"].items() if k != "annotations"}}
        metadata = {k: v for k, v in manifest["metadata"].items() if k != "annotations"}
        assert bare == {**manifest, "metadata": metadata}


def test_access_comes_after_quota_limits_and_isolation(two):
    asked, _ = two
    for name in ("HPC-1", "과제-2"):
        order = [kind for kind, of in asked if of == name and kind in OBJECTS]
        assert (order[0], order[-1]) == (NAMESPACE, BINDING)
        home = asked[NAMESPACE, name].urn
        assert all(asked[kind, name].depends_on == {home} for kind in OBJECTS - {NAMESPACE})
        assert asked[NAMESPACE, name].depends_on == set()


def test_nothing_of_a_tenant_is_asked_for_before_what_comes_first_is_done():
    """Requests answered late, in threads: a binding that overtook its quota would be access without a limit."""
    monitor = Monitor(seconds=0.01)
    declared([tenant(f"HPC-{number}") for number in range(8)], monitor=monitor)
    for number in range(8):
        steps = [(what, kind) for what, kind, name in monitor.steps if name == f"HPC-{number}"]
        kinds = [TENANT, NAMESPACE, WELCOME, QUOTA, QUOTA, LIMITS, POLICY, BINDING]  # types alone: two are quotas
        assert steps == [(what, kind) for kind in kinds for what in ("asked", "done")]


def test_what_is_in_a_namespace_goes_with_it(two):
    asked, _ = two
    for name in ("HPC-1", "과제-2"):
        for kind in OBJECTS - {NAMESPACE}:
            assert asked[kind, name].deleted_with == asked[NAMESPACE, name].urn
        assert asked[NAMESPACE, name].deleted_with == ""


def test_the_provider_knows_the_context_and_no_credentials(two, monkeypatch, tmp_path):
    asked, _ = two
    assert asked[PROVIDER, "samsung-sds"].inputs == {
        "context": "sds-admin",
        "clusterIdentifier": "samsung-sds",
        "enableServerSideApply": "true",
        "kubeClientSettings": '{"qps":500,"burst":500}',
        "suppressHelmHookWarnings": "true",
    }
    path = tmp_path / "kubeconfig"
    path.write_text("users: [{name: me, user: {token: not-a-real-one}}]\n", encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    again, outputs = declared([tenant("HPC-1")])
    text = json.dumps([[request.inputs for request in again.values()], outputs], default=str)
    assert "HPC-1" in text
    assert "kubeconfig" not in text.lower()
    assert "not-a-real-one" not in text


def test_pulumi_deletes_nothing_of_a_tenant_whatever_it_is_not_told_of(two):
    asked, _ = two
    for (kind, name), resource in asked.items():
        assert resource.retained is (kind in OBJECTS), (kind, name)


def test_outputs_say_what_each_award_has(two):
    _, outputs = two
    term = {"start": "2026-01-01T00:00:00+09:00", "end": "2026-07-01T00:00:00+09:00"}
    assert outputs["clusterUid"] == "uid-1"
    assert outputs["tenants"] == {
        "HPC-1": {"namespace": "gpu-hpc-1", "model": "H100", "quota": {"requests.nvidia.com/gpu": 8}, "term": term},
        "과제-2": {
            "namespace": "gpu-2-x0d55aade0fda4c9c",
            "model": "H100",
            "quota": {"requests.nvidia.com/gpu": 16},
            "term": term,
        },
    }
    assert json.loads(json.dumps(outputs["tenants"])) == outputs["tenants"]


def test_without_tenants_there_are_only_outputs():
    asked, outputs = declared([])
    assert asked == {}
    assert outputs == {"clusterUid": "uid-1", "context": "sds-admin", "shards": 1, "tenants": {}} | ABOUT


def test_a_run_on_some_awards_leaves_out_the_others():
    recorded = {"HPC-1": {"namespace": "gpu-hpc-1"}, "HPC-9": {"namespace": "gpu-hpc-9"}}
    asked, outputs = declared(
        [tenant("HPC-1"), tenant("HPC-2"), tenant("HPC-3")], only={"HPC-2", "HPC-9"}, recorded=recorded
    )
    assert {name for kind, name in asked if kind == TENANT or kind in OBJECTS} == {"HPC-2"}
    assert (PROVIDER, "samsung-sds") in asked
    assert len(asked) == 2 + len(OBJECTS)  # the provider, the component and its objects
    assert outputs == {"clusterUid": "uid-1", "context": "sds-admin", "shards": 1, "tenants": recorded} | ABOUT


def test_a_run_on_no_award_keeps_the_provider():
    asked, outputs = declared([tenant("HPC-1")], only=())
    assert {kind for kind, _ in asked} == {PROVIDER}
    assert outputs["tenants"] == summary([tenant("HPC-1")])


def test_what_was_told_may_be_nothing():
    _, outputs = declared([tenant("HPC-1")], only={"HPC-1"}, recorded={})
    assert outputs["tenants"] == {}


def test_declaring_twice_asks_for_the_same():
    tenants = [tenant("HPC-1"), tenant("HPC-2")]
    first, _ = declared(tenants)
    second, _ = declared(tenants[::-1])
    assert first == second
