"""Commands on clusters that cannot be reached or let nobody in. Nothing is started."""

from pathlib import Path

import pytest
import yaml
from cli_world import MARCH, PROVIDERS, Api, World

READING = [("plan",), ("up", "--yes"), ("expire", "--yes"), ("status",)]


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_without_a_kubeconfig_each_provider_and_the_way_out_are_named(world: World, command: tuple[str, ...]) -> None:
    ran = world.run(*command)
    assert ran.code == 5
    for provider in PROVIDERS:
        (line,) = [line for line in ran.told if f"no usable context '{provider}'" in line]
        assert provider in line.split("no usable context", maxsplit=1)[0]
        assert "set KUBECONFIG to the file that has it" in line


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_a_closed_port_is_told_for_each_provider(closed: World, command: tuple[str, ...]) -> None:
    ran = closed.run(*command, "--json")
    assert ran.code == 5
    assert ran.data["failed"].keys() == set(PROVIDERS)
    for provider, message in ran.data["failed"].items():
        assert message.startswith(f"{provider}: the API server of context '{provider}' does not answer (")
        assert message.endswith("rerun the same command")
        assert message.removeprefix(f"{provider}: ") in ran.err


def test_where_no_cluster_was_read_nothing_is_called_unchanged(closed: World) -> None:
    unknown = "no cluster could be read, so nothing is known of what would change"
    ran = closed.run("plan")
    assert (ran.code, ran.out.splitlines()) == (5, [f"at {MARCH}: {unknown}"])
    assert unknown in closed.run("plan", "--markdown").out.replace("No cluster", "no cluster")
    ran = closed.run("up", "--yes")
    assert (ran.code, ran.out, unknown in ran.err) == (5, "", True)


def test_only_the_providers_asked_for_are_looked_at(closed: World) -> None:
    ran = closed.run("plan", "--provider", "kt-cloud", "--provider", "samsung-sds", "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud", "samsung-sds"})


def test_one_provider_without_context_does_not_stop_the_others(world: World, full: Api) -> None:
    path = Path(world.environment["KUBECONFIG"])
    document = yaml.safe_load(path.read_text())
    document["contexts"] = [context for context in document["contexts"] if context["name"] != "kt-cloud"]
    path.write_text(yaml.safe_dump(document))
    ran = world.run("plan", "--json", "--exit-code")
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud"})
    assert (ran.data["providers"], ran.data["changes"]) == (["elice-cloud", "samsung-sds"], [])
    assert ran.data["unchanged"] > 0
    assert world.run("plan").out.endswith(" unchanged; not read: kt-cloud\n")


def test_an_identity_without_rights_is_told(world: World, full: Api) -> None:
    full.forbidden.add("kt-cloud")
    ran = world.run("status", "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud"})
    assert "may not GET" in ran.data["failed"]["kt-cloud"]
    assert {pool["provider"] for pool in ran.data["pools"]} == {"elice-cloud", "samsung-sds"}
