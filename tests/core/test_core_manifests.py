"""One tenant's objects: a golden file, and the rules that a quota must not break."""

import json
import os
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity
from strategies import AWARD_IDS, MARCH, award, cluster, desired, live, tenant

from gpuprov.core.cluster import DEVICE_CLASSES, OTHER_GPU_RESOURCES, ContainerDefaults, GpuPool, PerGpu
from gpuprov.core.manifests import fixed_hard, gib, labels, quota_hard, tenant_manifests
from gpuprov.core.observed import ObservedTenant
from gpuprov.core.outputs import Origin
from gpuprov.core.tenant import Tenant
from gpuprov.run.job import Job

GOLDEN = Path(__file__).parent / "golden"
MIXED = cluster("elice-cloud", H100=400, A100=80)
RENAMED = MIXED.model_copy(
    update={
        "pools": (
            MIXED.pools[0],
            GpuPool(model="A100", capacity=80, resource="nvidia.com/a100", node_label={"pool": "a100"}),
        )
    }
)


def printed(amount, suffixes, step):
    """Write an amount as the API server prints it: the largest suffix that leaves a whole number."""
    forms = [f"{amount // step**power}{suffix}" for power, suffix in enumerate(suffixes) if amount % step**power == 0]
    return forms[-1] if amount else "0"


def both_quotas(of, where):
    """Return what limits a tenant: the two quotas have no name in common."""
    own, fixed = quota_hard(of), fixed_hard(of.pool, where)
    assert not own.keys() & fixed.keys()
    return own | fixed


def decimal(amount):
    return printed(amount, ["", "k", "M", "G", "T", "P", "E"], 1000)


def binary(amount):
    return printed(amount, ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"], 1024)


def test_the_objects_are_those_of_the_golden_file():
    made = tenant_manifests(tenant("HPC-2026-1-001"), cluster())
    text = json.dumps(made, ensure_ascii=False, indent=2) + "\n"
    path = GOLDEN / "tenant.json"
    if os.environ.get("GPUPROV_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "set GPUPROV_UPDATE_GOLDEN=1 if this is meant"


@given(st.integers(0, 2**30) | st.integers(0, 40).map(lambda power: 1 << power) | st.integers(0, 5000))
@example(1023)
@example(1024)
@example(1536)
@example(1024**3)
def test_gib_prints_the_same_amount_as_the_api_server(count):
    assert parse_quantity(gib(count)) == Decimal(count) * 1024**3
    assert gib(count) == binary(count * 1024**3)


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (1, "1Gi"), (1600, "1600Gi"), (2048, "2Ti"), (1048576, "1Pi")])
def test_gib_in_plain_numbers(count, text):
    assert gib(count) == text


@given(st.integers(1, 400), st.integers(1, 128), st.integers(1, 2048), st.integers(0, 4096), st.integers(1, 4096))
def test_what_comes_with_the_gpus_is_in_proportion(gpus, cpu, memory, storage, disk):
    per_gpu = PerGpu(cpu=cpu, memory_gib=memory, storage_gib=storage, ephemeral_gib=disk)
    where = cluster()
    pool = where.pools[0].model_copy(update={"per_gpu": per_gpu})
    hard = {name: parse_quantity(text) for name, text in quota_hard(tenant(gpus=gpus, pool=pool)).items()}
    assert hard["requests.nvidia.com/gpu"] == gpus
    assert hard["requests.cpu"] == hard["limits.cpu"] == cpu * gpus
    assert hard["requests.memory"] == hard["limits.memory"] == memory * gpus * 1024**3
    assert hard["requests.storage"] == storage * gpus * 1024**3
    assert hard["requests.ephemeral-storage"] == hard["limits.ephemeral-storage"] == disk * gpus * 1024**3
    assert hard["count/pods"] == 8 * hard["pods"]


def test_every_quantity_is_as_the_api_server_prints_it():
    wrong = {
        (gpus, name, text)
        for gpus in [1, 3, 8, 40, 80, 125, 1000]
        for name, text in both_quotas(tenant(gpus=gpus), cluster()).items()
        if not re.search("memory|storage", name) and text != decimal(int(parse_quantity(text)))
    }
    assert wrong == set()


@pytest.mark.parametrize(("where", "model"), [(MIXED, "H100"), (MIXED, "A100"), (RENAMED, "H100"), (RENAMED, "A100")])
def test_every_other_name_of_a_gpu_is_set_to_nothing(where, model):
    desired_tenant = tenant(gpus=8, where=where, model=model)
    hard = both_quotas(desired_tenant, where)
    granted = {name: text for name, text in hard.items() if name.startswith("requests.nvidia.com/") and text != "0"}
    assert granted == {f"requests.{desired_tenant.pool.resource}": "8"}
    others = {*OTHER_GPU_RESOURCES, *(pool.resource for pool in where.pools)} - {desired_tenant.pool.resource}
    assert {f"requests.{name}" for name in others} <= hard.keys()
    for device_class in DEVICE_CLASSES:
        assert hard[f"{device_class}.deviceclass.resource.k8s.io/devices"] == "0"
        assert hard[f"requests.deviceclass.resource.kubernetes.io/{device_class}"] == "0"
    assert hard["count/resourceclaims.resource.k8s.io"] == hard["count/resourceclaimtemplates.resource.k8s.io"] == "0"


def test_names_and_classes_of_the_configuration_are_set_to_nothing_too():
    where = MIXED.model_copy(update={"other_gpu_resources": ("amd.com/gpu",), "device_classes": ("gpu.example",)})
    hard = both_quotas(tenant(where=where), where)
    assert (hard["requests.amd.com/gpu"], hard["requests.nvidia.com/gpu"]) == ("0", "8")
    assert hard["gpu.example.deviceclass.resource.k8s.io/devices"] == "0"
    assert "requests.nvidia.com/mig-1g.10gb" not in hard


def test_an_extended_resource_stands_only_where_it_is_enforced():
    for name in both_quotas(tenant(where=RENAMED, model="A100"), RENAMED):
        domain, slash, _ = name.removeprefix("requests.").partition("/")
        if slash and domain.endswith((".com", ".io")) and not name.startswith("count/"):
            enforced = name.startswith("requests.") or name.endswith(".deviceclass.resource.k8s.io/devices")
            assert enforced, name
        assert not name.startswith("limits.") or name in ("limits.cpu", "limits.memory", "limits.ephemeral-storage")


def test_the_page_comes_before_quotas_and_quotas_and_limits_before_access():
    kinds = [manifest["kind"] for manifest in tenant_manifests(tenant(), cluster())]
    assert kinds == [
        "Namespace",
        "ConfigMap",
        "ResourceQuota",
        "ResourceQuota",
        "LimitRange",
        "NetworkPolicy",
        "RoleBinding",
    ]


@pytest.mark.parametrize("where", [MIXED, RENAMED])
def test_the_quota_of_the_award_has_nothing_that_is_the_same_for_all(where):
    smaller, larger = tenant(gpus=1, where=where, model="A100"), tenant("HPC-2", gpus=80, where=where, model="A100")
    own = quota_hard(smaller), quota_hard(larger)
    assert own[0].keys() == own[1].keys()
    assert all(text != own[1][name] for name, text in own[0].items())
    assert "0" not in own[0].values()
    assert fixed_hard(smaller.pool, where) == fixed_hard(larger.pool, where)


def test_names_are_closed_before_gpus_are_granted():
    _, _, fixed, own, *_ = tenant_manifests(tenant(), cluster())
    assert [fixed["metadata"]["name"], own["metadata"]["name"]] == ["fixed", "gpu"]


def test_containers_that_declare_nothing_get_the_defaults_of_the_cluster():
    where = cluster().model_copy(update={"container_defaults": ContainerDefaults(cpu=2, memory_gib=1024)})
    limits = next(manifest for manifest in tenant_manifests(tenant(), where) if manifest["kind"] == "LimitRange")
    (container,) = limits["spec"]["limits"]
    amounts = {"cpu": "2", "memory": "1Ti", "ephemeral-storage": "50Gi"}
    assert container["default"] == container["defaultRequest"] == amounts


def test_the_namespace_forces_the_nodes_of_the_awarded_model():
    namespace, *_ = tenant_manifests(tenant(where=RENAMED, model="A100"), RENAMED)
    annotations = namespace["metadata"]["annotations"]
    assert annotations["scheduler.alpha.kubernetes.io/node-selector"] == "pool=a100"
    assert annotations["gpuprov.dev/gpu-model"] == "A100"
    assert annotations["gpuprov.dev/term-end"] == "2026-07-01T00:00:00+09:00"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def strings(value):
    if isinstance(value, dict):
        yield from value
        for nested in value.values():
            yield from strings(nested)
    elif isinstance(value, list | tuple):
        for nested in value:
            yield from strings(nested)
    else:
        yield str(value)


def test_nothing_about_persons_reaches_the_cluster():
    listed = award(contact="김연구", email="kim@example.org", organization_type="대학")
    (desired_tenant,) = desired([listed], [cluster()]).tenants
    found = list(strings(list(tenant_manifests(desired_tenant, cluster()))))
    assert "한빛대학교" in found
    assert not [text for text in found if re.search(r"김연구|example\.org|대학$|e-?mail|contact", text, re.IGNORECASE)]
    assert not {"contact", "email", "organization_type"} & set(Tenant.model_fields)


@given(AWARD_IDS)
def test_every_object_is_in_the_tenants_namespace_and_carries_our_labels(award_id):
    desired_tenant = tenant(award_id)
    namespace, *inside = tenant_manifests(desired_tenant, cluster())
    assert namespace["metadata"]["name"] == desired_tenant.namespace
    assert {item["metadata"]["namespace"] for item in inside} == {desired_tenant.namespace}
    for item in (namespace, *inside):
        assert labels(desired_tenant).items() <= item["metadata"]["labels"].items()
        assert all(
            re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", v) for v in labels(desired_tenant).values()
        )
    assert json.loads(json.dumps(namespace)) == namespace
    assert (
        ObservedTenant(namespace=desired_tenant.namespace, objects=live(desired_tenant, cluster()).objects).award_id
        == award_id
    )


def test_a_tenant_that_crossed_a_process_boundary_gives_the_same_objects():
    where = RENAMED
    job = Job(
        root=Path("project"),
        project="gpuprov",
        at=MARCH,
        cluster=where,
        cluster_uid="uid",
        origin=Origin(providers=("kt-cloud",), ledger={"events": 0, "sha256": ""}),
        tenants=(tenant(where=where, model="A100"),),
        recorded={},
        changed=("HPC-1",),
    )
    again = Job.model_validate_json(job.model_dump_json(by_alias=True))
    assert again.cluster == where
    assert tenant_manifests(again.tenants[0], again.cluster) == tenant_manifests(job.tenants[0], where)
