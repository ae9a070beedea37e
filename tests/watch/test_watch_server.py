"""The service's pages, over real HTTP."""

import pytest
import urllib3
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from gpuprov.errors import InputError
from gpuprov.run.server import serving

ANYWHERE = ("127.0.0.1", 0)


def get(url, method="GET"):
    answer = urllib3.request(method, url, timeout=20, retries=False)
    return answer.status, answer.data.decode()


@pytest.fixture
def wrong():
    return {"alive": [], "ready": []}


@pytest.fixture
def url(wrong):
    registry = CollectorRegistry()
    Counter("looks", "Looks", registry=registry).inc(3)
    with serving(ANYWHERE, registry, lambda: wrong["alive"], lambda: wrong["ready"]) as address:
        yield address


def test_it_says_whether_it_lives_and_is_ready(url, wrong):
    assert get(f"{url}/healthz") == get(f"{url}/readyz") == (200, "ok\n")
    wrong["ready"] += ["kt-cloud: not read yet", "samsung-sds: not read yet"]
    assert get(f"{url}/readyz") == (503, "kt-cloud: not read yet\nsamsung-sds: not read yet\n")
    assert get(f"{url}/healthz?verbose") == (200, "ok\n")
    wrong["alive"].append("kt-cloud: no round has ended")
    assert get(f"{url}/healthz")[0] == 503


def test_prometheus_can_read_its_metrics(url):
    status, text = get(f"{url}/metrics")
    samples = {
        sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
    }
    assert (status, samples["looks_total"]) == (200, 3)


def test_nothing_else_is_there_and_nothing_can_be_written(url):
    assert get(f"{url}/") == (404, "there are /healthz, /readyz, /metrics\n")
    assert get(f"{url}/metrics", "POST")[0] == 501


def test_an_address_that_is_taken_is_told(url):
    port = int(url.rpartition(":")[2])
    refused = pytest.raises(
        InputError, match=rf"--listen '127.0.0.1:{port}': cannot listen there .*; name another address"
    )
    with refused, serving(("127.0.0.1", port), CollectorRegistry(), list, list):
        pass


def test_the_address_is_free_again_afterwards(url):
    with serving(ANYWHERE, CollectorRegistry(), list, list) as address:
        port = int(address.rpartition(":")[2])
    with serving(("127.0.0.1", port), CollectorRegistry(), list, list):
        pass
