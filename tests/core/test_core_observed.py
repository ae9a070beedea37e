"""What an observed tenant says of itself."""

from datetime import datetime

import pytest
from plans import SDS, edited, only
from strategies import JANUARY, JULY, cluster, live, tenant

from gpuprov.core.observed import ObservedTenant


def quota(hard=None, used=None):
    status = {} if used is None else {"status": {"used": used}}
    return ObservedTenant(namespace="gpu-a", objects={("ResourceQuota", "gpu"): {"spec": {"hard": hard}, **status}})


@pytest.mark.parametrize(("text", "gpus"), [("0", 0), ("8", 8), (8, 8), ("999", 999), ("2k", 2000), ("1001", 1001)])
def test_quantities_of_gpus_are_read_as_the_api_server_prints_them(text, gpus):
    assert quota({"requests.nvidia.com/gpu": text}).hard("nvidia.com/gpu") == gpus
    assert quota({}, {"requests.nvidia.com/gpu": text}).used("nvidia.com/gpu") == gpus


@pytest.mark.parametrize(("text", "gpus"), [("1Ki", 1024), ("1M", 1_000_000), ("1e3", 1000)])
def test_other_forms_that_kubernetes_keeps(text, gpus):
    assert quota({"requests.nvidia.com/gpu": text}).hard("nvidia.com/gpu") == gpus


def _closed(quota):
    quota["spec"]["hard"] = {"requests.nvidia.com/gpu": "0"}


@pytest.mark.parametrize(
    ("used", "edit", "held"),
    [
        (0, None, 8),
        (5, None, 8),
        (12, None, 12),  # a reduction touches no running pod
        (0, _closed, 8),  # a teardown has begun: what the award had is not free before the namespace is gone
        (12, _closed, 12),
    ],
)
def test_what_a_tenant_holds_until_it_is_gone(used, edit, held):
    observed = live(tenant(gpus=8, where=SDS), SDS, used=used)
    if edit:
        observed = edited(observed, "ResourceQuota", edit)
    assert observed.held("nvidia.com/gpu") == held
    assert only([], observed).before == held


def test_a_namespace_of_which_little_is_known():
    for bare in (
        ObservedTenant(namespace="gpu-a", objects={}),
        ObservedTenant(namespace="gpu-a", objects={("Namespace", "gpu-a"): {"metadata": {"name": "gpu-a"}}}),
        quota(),
    ):
        assert (bare.award_id, bare.terminating, bare.term_end) == ("gpu-a", False, None)
        assert bare.hard("nvidia.com/gpu") == bare.used("nvidia.com/gpu") == bare.held("nvidia.com/gpu") == 0
        assert bare.pool(SDS) is None
        assert bare.pools(SDS) == SDS.pools
        assert bare.pool(cluster("kt-cloud", H200=400)).model == "H200"


def test_a_namespace_tells_its_award_end_and_pool():
    observed = live(tenant("HPC-1", 12, SDS, "A100", term_start=JANUARY), SDS)
    assert (observed.award_id, observed.term_end, observed.pool(SDS)) == ("HPC-1", JULY, SDS.pools[1])
    assert observed.term_end == datetime.fromisoformat("2026-06-30T15:00:00+00:00")
    assert not observed.terminating
    going = edited(
        observed, "Namespace", lambda namespace: namespace["metadata"].update(deletionTimestamp="2026-03-01T00:00:00Z")
    )
    assert going.terminating
