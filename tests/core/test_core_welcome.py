"""The page for an awardee: what it tells is the award's, and its pod and Job keep to the quota of a single GPU."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity
from strategies import cluster, tenant

from gpuprov.core.cluster import GpuPool, PerGpu
from gpuprov.core.manifests import quota_hard, tenant_manifests
from gpuprov.core.welcome import JOB, PAGES, POD, files, page

NPU = GpuPool(model="ATOM", capacity=64, resource="rebellions.ai/ATOM", node_label={"pool": "atom"})


def containers(of, where):
    made = files(of, where)
    pod, job = yaml.safe_load(made[POD]), yaml.safe_load(made[JOB])
    return [*pod["spec"]["containers"], *job["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize("language", PAGES)
def test_the_page_tells_the_award_its_term_and_whom_to_ask(language):
    where = cluster().model_copy(update={"contact": "gpu-help@example.org"})
    text = files(tenant("HPC-2026-1-001", gpus=24), where)[PAGES[language]]
    facts = ["HPC-2026-1-001", "한빛대학교", "24", "H100", "2026-01-01 00:00+09:00", "2026-07-01 00:00+09:00"]
    assert [fact for fact in [*facts, "gpu-help@example.org", "gpu-hpc-2026-1-001"] if fact not in text] == []


@pytest.mark.parametrize("language", PAGES)
def test_one_document_has_the_pod_and_the_job_too(language):
    of, where = tenant(), cluster()
    text = page(of, where, language)
    assert all(part in text for part in (files(of, where)[name] for name in (PAGES[language], POD, JOB)))


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 64))
def test_what_a_sample_asks_for_fits_into_the_quota_of_one_gpu(cpu, memory, disk):
    per_gpu = PerGpu(cpu=cpu, memory_gib=memory, ephemeral_gib=disk)
    of = tenant(gpus=1, pool=cluster().pools[0].model_copy(update={"per_gpu": per_gpu}))
    hard = quota_hard(of)
    for container in containers(of, cluster()):
        limits = container["resources"]["limits"]
        for name, amount in limits.items():
            key = f"requests.{name}"
            assert 0 < parse_quantity(str(amount)) <= parse_quantity(hard[key]), name
        assert {"nvidia.com/gpu", "cpu", "memory", "ephemeral-storage"} == limits.keys()


def test_samples_ask_for_the_pools_own_resource_and_image():
    of = tenant(pool=NPU.model_copy(update={"sample_image": "registry.example/npu:1"}))
    for container in containers(of, cluster()):
        assert container["resources"]["limits"]["rebellions.ai/ATOM"] == 1
        assert container["image"] == "registry.example/npu:1"
    assert all("nvidia" not in str(container) for container in containers(tenant(pool=NPU), cluster()))


def test_the_config_map_is_what_the_page_says():
    of, where = tenant(), cluster()
    (made,) = [manifest for manifest in tenant_manifests(of, where) if manifest["kind"] == "ConfigMap"]
    assert made["metadata"]["name"] == "welcome"
    assert made["data"] == files(of, where)
