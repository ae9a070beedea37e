"""The preflight on NVIDIA's device plugin: how it hands GPUs out, and whether they are shared or cut up."""

from typing import Any

import pytest
from preflight_facts import H100, container, daemon_set, env, node
from strategies import cluster

from gpuprov.preflight import Result, Unread, nodes, plugin


def judged_plugin(*sets: dict[str, Any], configs: Any = None, servers: Any = ()) -> dict[str, Result]:
    """Return the lines but that about the runtime."""
    found = plugin.check(cluster(), sets, configs or {}, nodes.read(servers))
    return {finding.seen: finding.result for finding in found if "container runtime" not in finding.seen}


def strategy(*sets: dict[str, Any], configs: Any = None) -> Result:
    (result,) = [result for seen, result in judged_plugin(*sets, configs=configs).items() if "device list" in seen]
    return result


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({}, "failed"),
        ({"env": env(DEVICE_LIST_STRATEGY="envvar")}, "failed"),
        ({"env": env(DEVICE_LIST_STRATEGY="volume-mounts")}, "ok"),
        ({"env": env(DEVICE_LIST_STRATEGY="cdi-annotations,cdi-cri")}, "ok"),
        ({"env": env(DEVICE_LIST_STRATEGY="envvar,cdi-annotations")}, "warning"),
        ({"args": ["--device-list-strategy=volume-mounts"]}, "ok"),
        ({"args": ["--device-list-strategy", "envvar"], "env": env(DEVICE_LIST_STRATEGY="volume-mounts")}, "failed"),
        ({"command": ["sh", "-c"], "args": ["nvidia-device-plugin --device-list-strategy=cdi-cri"]}, "ok"),
        ({"env": [{"name": "DEVICE_LIST_STRATEGY", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}, "warning"),
    ],
)
def test_device_list_strategies(fields: dict[str, Any], result: str) -> None:
    assert strategy(daemon_set(container(**fields))) == result


def test_the_strategy_of_a_configuration_counts_where_nothing_else_is_given() -> None:
    """A label of the node chooses the configuration, so one that leaves the default to it is enough to fail."""
    mounts = {"flags": {"plugin": {"deviceListStrategy": "volume-mounts"}}}
    several = {"flags": {"plugin": {"deviceListStrategy": ["cdi-cri", "cdi-annotations"]}}}
    bad = {"flags": {"plugin": {"deviceListStrategy": "envvar"}}}
    manifest = daemon_set(container(), config="c")
    assert strategy(manifest, configs={"gpu/c": (mounts,)}) == "ok"
    assert strategy(manifest, configs={"gpu/c": (several,)}) == "ok"
    assert strategy(manifest, configs={"gpu/c": (mounts, bad)}) == "failed"
    assert (
        strategy(manifest, configs={"gpu/c": (mounts, {"version": "v1"})}) == "failed"
    )  # some nodes have the default, which is envvar
    assert strategy(manifest, configs={"gpu/c": ({"version": "v1"}, {"other": "file"})}) == "failed"
    assert strategy(manifest, configs={"gpu/c": Unread("forbidden")}) == "warning"
    given_by_variable = daemon_set(container(env=env(DEVICE_LIST_STRATEGY="cdi-cri")), config="c")
    assert strategy(given_by_variable, configs={"gpu/c": (bad,)}) == "ok"


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (container(), 1),
        (container(image="x/k8s-device-plugin@sha256:0"), 1),
        (container(image="mirror/other:1", command=["nvidia-device-plugin"]), 1),
        (container(command=["gpu-feature-discovery"]), 0),
        (container(args=["/usr/bin/mps-control-daemon"]), 0),
        (container(image="x/dcgm-exporter:4"), 0),
        (container(image="k8s-device-plugin.example/other:1"), 0),
    ],
)
def test_the_plugin_is_found_by_its_image_or_program(one: dict[str, Any], found: int) -> None:
    assert len(plugin.plugins([daemon_set(one)])) == found


def test_shares_and_slices() -> None:
    way = {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}
    manifest = daemon_set(container(env=env(DEVICE_LIST_STRATEGY="cdi-cri", MIG_STRATEGY="single")), config="c")
    for kind in ("timeSlicing", "mps"):
        found = judged_plugin(manifest, configs={"gpu/c": ({"sharing": {kind: way}},)})
        assert found["gpu/plugin: GPUs are shared: nvidia.com/gpu x 4"] is Result.FAILED
        assert found["gpu/plugin: MIG strategy single"] is Result.WARNING
    alone = {"resources": [{"name": "nvidia.com/gpu", "replicas": 1}]}
    assert Result.FAILED not in judged_plugin(manifest, configs={"gpu/c": ({"sharing": {"mps": alone}},)}).values()


@pytest.mark.parametrize(
    ("labels", "offers", "told"),
    [
        ({}, {}, ""),
        ({"nvidia.com/gpu.replicas": "1", "nvidia.com/gpu.sharing-strategy": "none"}, {}, ""),
        ({"nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.sharing-strategy": "time-slicing"}, {}, "share their GPUs"),
        ({"nvidia.com/gpu.sharing-strategy": "mps"}, {}, "share their GPUs"),
        ({}, {"nvidia.com/gpu.shared": "16"}, "share their GPUs"),
        ({}, {"nvidia.com/mig-1g.10gb": "7"}, "cut their GPUs up"),
        ({"nvidia.com/gpu.product": "NVIDIA-H100-MIG-1g.10gb"}, {}, "cut their GPUs up"),
    ],
)
def test_what_nodes_say_of_shares(labels: dict[str, str], offers: dict[str, str], told: str) -> None:
    found = judged_plugin(servers=[node(labels=H100 | labels, **offers)])
    bad = [seen for seen, result in found.items() if result is Result.FAILED]
    assert [told in seen for seen in bad] == ([True] if told else [])


@pytest.mark.parametrize(("value", "result"), [("false", "ok"), ("False", "ok"), ("true", "failed"), (None, "warning")])
def test_the_runtime_is_seen_only_where_the_gpu_operator_sets_it(value: str | None, result: str) -> None:
    toolkit = {"image": "t", "env": env(**{plugin.ACCEPT: value})} if value else {"image": "t"}
    *_, line = plugin.check(cluster(), (daemon_set(toolkit),), {}, ())
    assert line.result == result
    assert result == "ok" or plugin.ACCEPT.lower().replace("_", "-") in line.remedy.lower().replace("_", "-")


def test_a_cluster_without_nvidias_devices_is_not_asked_for_their_plugin() -> None:
    (pool,) = cluster().pools
    npus = cluster().model_copy(update={"pools": (pool.model_copy(update={"resource": "rebellions.ai/ATOM"}),)})
    (line,) = plugin.check(npus, (), {}, ())
    assert line.result is Result.OK
    both = npus.model_copy(update={"pools": (*npus.pools, pool)})
    assert plugin.check(both, (), {}, ()) == plugin.check(cluster(), (), {}, ())
