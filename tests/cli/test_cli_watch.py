"""`gpuprov watch` as it is started and ended, without clusters."""

import signal

import pytest
from cli_world import PROVIDERS, World
from sandbox_fixtures import eventually
from service import watching


@pytest.mark.parametrize("listen", ["9464", "localhost:", ":9464", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1"])
def test_an_address_that_is_none_is_told(world: World, listen: str) -> None:
    ran = world.run("watch", "--listen", listen)
    assert ran.code == 1
    assert ran.told[-1] == f"error: --listen '{listen}': is not an address; write it as 127.0.0.1:9464"


def test_a_provider_that_is_none_is_told(world: World) -> None:
    ran = world.run("watch", "--provider", "kt-clod")
    assert (ran.code, "did you mean kt-cloud" in ran.err) == (1, True), ran


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_where_no_cluster_answers_it_goes_on_trying_and_ends_when_it_is_told_to(
    closed: World, how: signal.Signals
) -> None:
    with watching(closed) as service:
        eventually(lambda: service.metric("gpuprov_list_valid") == 1)
        assert service.page("/healthz") == (200, "ok\n")
        for provider in PROVIDERS:
            eventually(lambda provider=provider: f"{provider}: " in service.page("/readyz")[1])
        assert service.page("/readyz")[0] == 503
        assert service.end(how) == 0
        assert not service.says("Traceback")
