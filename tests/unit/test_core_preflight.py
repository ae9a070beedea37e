"""The preflight's judgement: facts in, findings out. Reading them is tried on a real cluster (tests/sandbox)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from strategies import cluster, tenant_role

from gpuprov.manifests import RULES
from gpuprov.preflight import (
    Facts,
    Finding,
    Result,
    Unread,
    admission,
    clock,
    examine,
    identity,
    names,
    nodes,
    plugin,
    policies,
    rights,
    role,
    version,
)
from gpuprov.preflight.facts import Clock, Reply
from gpuprov.toolchain.pins import KUBERNETES_VERSION

NOON = datetime(2026, 3, 1, 3, tzinfo=UTC)
H100 = {"nvidia.com/gpu.product": "NVIDIA-H100"}


def results(findings: list[Finding]) -> list[str]:
    return [finding.result for finding in findings]


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def node(name="n", gpus=8, labels=None, ready=True, spec=None, **offers) -> dict[str, Any]:
    amounts = {"cpu": "8", "nvidia.com/gpu": str(gpus)} | offers
    return {
        "metadata": {"name": name, "labels": H100 if labels is None else labels},
        "spec": spec or {},
        "status": {
            "allocatable": amounts,
            "capacity": amounts,
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        },
    }


def daemon_set(*containers: dict[str, Any], name="plugin", config=None) -> dict[str, Any]:
    volumes = [{"name": "config", "configMap": {"name": config}}] if config else []
    spec = {"containers": list(containers), "volumes": volumes}
    return {"metadata": {"namespace": "gpu", "name": name}, "spec": {"template": {"spec": spec}}}


def container(image="x/nvidia/k8s-device-plugin:v0.17.4", **fields: Any) -> dict[str, Any]:
    return {"image": image} | fields


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def policy(name: str, version="0.1.0", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {policies.VERSION_LABEL: version}}, "spec": spec}


def binding(name: str, *actions: str, of: str | None = None) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"policyName": of or name, "validationActions": list(actions)}}


ALL_POLICIES = tuple(policy(name) for name in RULES)
ALL_BINDINGS = tuple(binding(name, "Deny") for name in RULES)
FIT = Facts(
    version={"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
    clock=Clock(sent=NOON, received=NOON, date=format_datetime(NOON, usegmt=True)),
    who="gpuprov",
    uid="u-1",
    rights=dict.fromkeys(rights.NEEDED, True),
    nodes=tuple(node(f"n-{number}") for number in range(25)),
    daemon_sets=(
        daemon_set(container(env=env(DEVICE_LIST_STRATEGY="cdi-cri"))),
        daemon_set({"image": "t", "env": env(**{plugin.ACCEPT: "false"})}, name="toolkit"),
    ),
    policies=ALL_POLICIES,
    bindings=ALL_BINDINGS,
    tenant_role=tenant_role(),
    probed_pod=Reply(status=403, message=f"pods is forbidden: pod node label selector {admission.SELECTOR_CONFLICT}"),
    probed_namespace=Reply(status=422, message="metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value"),
)


def judged(facts: Facts, **more: Any) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for one in examine(more.pop("where", cluster(uid="u-1")), facts, peaks=more.pop("peaks", {"H100": 200}), **more):
        found.setdefault(one.check, []).append(one)
    return found


# ---- all together


def test_a_fit_cluster_has_nothing_to_complain_of() -> None:
    found = judged(FIT, known="u-1", chart="0.1.0")
    assert {one.result for lines in found.values() for one in lines} == {Result.OK}
    assert {one.remedy for lines in found.values() for one in lines} == {""}


def test_what_cannot_be_read_is_never_ok() -> None:
    nothing = Unread("forbidden")
    blind = replace(
        FIT,
        uid=nothing,
        rights=nothing,
        nodes=nothing,
        daemon_sets=nothing,
        policies=nothing,
        bindings=nothing,
        tenant_role=nothing,
        api_servers=nothing,
        probed_pod=None,
        probed_namespace=Reply(status=403, message="no"),
    )
    found = judged(blind)
    unseen = [one for check, lines in found.items() if check not in ("version", "clock") for one in lines]
    assert Result.OK not in results(unseen)
    assert all(one.remedy for one in unseen)
    assert {"identity", "rights", "nodes", "admission"} <= {one.check for one in unseen if one.result is Result.FAILED}


def test_each_failing_line_says_what_to_do_and_each_good_one_nothing() -> None:
    bad = replace(FIT, nodes=(node(gpus=1, labels={}),), policies=(), tenant_role=None, rights={}, uid="other")
    for lines in judged(bad).values():
        for one in lines:
            assert bool(one.remedy) == (one.result is not Result.OK), one


# ---- version


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"major": "1", "minor": "29", "gitVersion": "v1.29.9"}, "failed"),
        ({"major": "1", "minor": "30+", "gitVersion": "v1.30.1-eks-1"}, "ok"),
        ({"major": "1", "minor": "36", "gitVersion": "v1.36.3"}, "ok"),
        ({"major": "1", "minor": "37", "gitVersion": "v1.37.0"}, "warning"),
        ({"major": "2", "minor": "0", "gitVersion": "v2.0.0"}, "warning"),
        ({"gitVersion": "v1.29.0"}, "failed"),
        ({"gitVersion": "dev"}, "warning"),
        ({}, "warning"),
    ],
)
def test_versions(said: dict[str, str], result: str) -> None:
    assert only(version.check(said)).result == result


def test_the_newest_tested_version_is_the_sandboxes() -> None:
    assert tuple(int(part) for part in KUBERNETES_VERSION.split(".")[:2]) == version.NEWEST_TESTED


# ---- clock


@given(st.floats(-600, 600), st.floats(0, 20), st.floats(0, 1))
def test_a_skew_is_found_whatever_the_request_took(apart: float, took: float, share: float) -> None:
    """The header tells whole seconds, and when within the request it was written is not known."""
    sent, received = NOON, NOON + timedelta(seconds=took)
    told = sent + timedelta(seconds=took * share + apart)
    one = Clock(sent=sent, received=received, date=format_datetime(told.replace(microsecond=0), usegmt=True))
    server = told.replace(microsecond=0)
    assert abs(clock.skew(one, server).total_seconds() - apart) <= 0.5 + took / 2 + 1e-5
    result = only(clock.check(one)).result
    unsure = 0.5 + took / 2 + 1e-5
    if abs(apart) > clock.FAILED_SECONDS + unsure:
        assert result is Result.FAILED
    if abs(apart) < clock.WARNING_SECONDS - unsure:
        assert result is Result.OK


def test_a_server_that_is_behind_is_said_to_be_behind() -> None:
    late = Clock(sent=NOON, received=NOON, date=format_datetime(NOON - timedelta(minutes=3), usegmt=True))
    line = only(clock.check(late))
    assert (line.result, line.seen) == ("failed", "the server's clock is 180 s behind this machine's")


@pytest.mark.parametrize("date", [None, "", "soon"])
def test_a_server_without_a_date_is_a_warning(date: str | None) -> None:
    assert only(clock.check(Clock(sent=NOON, received=NOON, date=date))).result is Result.WARNING


# ---- identity


@pytest.mark.parametrize(
    ("pinned", "known", "expected"),
    [
        ("u-1", "u-1", ["ok"]),
        ("u-1", None, ["ok"]),
        ("u-1", Unread("no pulumi"), ["ok"]),
        ("u-2", None, ["failed"]),
        ("u-1", "u-2", ["failed"]),
        ("u-2", "u-2", ["failed", "failed"]),
        (None, "u-1", ["warning"]),
        (None, "u-2", ["failed", "warning"]),
    ],
)
def test_identities(pinned: str | None, known: str | Unread | None, expected: list[str]) -> None:
    assert results(identity.check(cluster(uid=pinned), "u-1", known)) == expected


# ---- rights


@given(st.sets(st.sampled_from(rights.NEEDED)))
def test_every_right_that_is_missing_is_named(missing: set[rights.Right]) -> None:
    allowed = {right: right not in missing for right in rights.NEEDED}
    findings = rights.check("gpuprov", allowed)
    said = {
        (verb.strip(), what)
        for one in findings
        if one.result is Result.FAILED
        for verbs, what in [_verbs_and_what(one.seen.removeprefix("gpuprov may not "))]
        for verb in verbs
    }
    assert said == {(right.verb, right.what) for right in missing}
    assert bool(missing) == (Result.OK not in results(findings))


def _verbs_and_what(text: str) -> tuple[list[str], str]:
    *verbs, last = text.split(", ")
    verb, _, what = last.partition(" ")
    return [*verbs, verb], what


def test_a_right_that_was_not_answered_is_missing() -> None:
    assert Result.OK not in results(rights.check("x", {}))


def test_too_many_rights_are_a_warning() -> None:
    enough = dict.fromkeys(rights.NEEDED, True)
    everything = rights.check("root", dict.fromkeys(rights.ASKED, True))
    assert results(everything) == ["ok", "warning"]
    assert "everything" in everything[1].seen
    for right in rights.SURPLUS:
        _, surplus = rights.check("x", enough | {right: True})
        assert (surplus.result, str(right) in surplus.seen) == (Result.WARNING, True)


def test_the_charts_role_gives_every_right_that_is_needed() -> None:
    rules = chart("ClusterRole")["gpuprov-operator"]["rules"]

    def given_by(rule: dict[str, Any], right: rights.Right) -> bool:
        named = right.name in rule["resourceNames"] if "resourceNames" in rule else True
        inside = right.group in rule["apiGroups"] and right.resource in rule["resources"]
        return inside and named and right.verb in rule["verbs"]

    needed = [right for right in rights.NEEDED if not right.resource.startswith("/")]
    assert [str(right) for right in needed if not any(given_by(rule, right) for rule in rules)] == []
    assert [str(right) for right in rights.SURPLUS if any(given_by(rule, right) for rule in rules)] == []


def chart(kind: str) -> dict[str, dict[str, Any]]:
    """Return the chart's objects of one kind by name, as its tests have them on record."""
    path = Path(__file__).parents[1] / "charts" / "golden" / "default.yaml"
    objects = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return {one["metadata"]["name"]: one for one in objects if one and one["kind"] == kind}


def test_a_right_as_the_server_is_asked() -> None:
    token = rights.Right(verb="create", resource="serviceaccounts/token", name="awardee")
    attributes = {"verb": "create", "group": "", "resource": "serviceaccounts", "subresource": "token"}
    assert token.review() == {"resourceAttributes": attributes | {"name": "awardee"}}
    pods = rights.Right(verb="list", resource="pods")
    assert pods.review() == {"resourceAttributes": {"verb": "list", "group": "", "resource": "pods"}}
    served = rights.Right(verb="get", resource="/openapi/v2")
    assert served.review() == {"nonResourceAttributes": {"verb": "get", "path": "/openapi/v2"}}


# ---- nodes and capacity


@given(
    st.lists(st.tuples(st.integers(0, 16), st.sampled_from(["good", "not ready", "cordoned", "node.kubernetes.io/x"]))),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_capacity_counts_ready_schedulable_nodes_exactly(
    servers: list[tuple[int, str]], capacity: int, peak: int
) -> None:
    taint = {"taints": [{"key": "node.kubernetes.io/x", "effect": "NoExecute"}]}
    specs = {"cordoned": {"unschedulable": True}, "node.kubernetes.io/x": taint}
    live = [
        node(f"n-{index}", gpus, ready=how != "not ready", spec=specs.get(how))
        for index, (gpus, how) in enumerate(servers)
    ]
    there = sum(gpus for gpus, how in servers if how == "good")
    line = only(nodes.capacity(cluster(H100=capacity), nodes.read(live), {"H100": peak}))
    if there < capacity or there < peak:
        assert line.result is Result.FAILED
    else:
        assert line.result is (Result.WARNING if there > capacity else Result.OK)
    assert line.seen.startswith(f"H100: {there} nvidia.com/gpu on ")
    assert f"configured {capacity}, awarded at most {peak}" in line.seen
    assert [how for _, how in servers if how != "good"][:1] == [] or "not counted" in line.seen


def test_quantities_of_any_legal_form_are_whole_numbers() -> None:
    line = only(nodes.capacity(cluster(H100=2024), nodes.read([node("a", "2k"), node("b", "24")]), {}))
    assert line.result is Result.OK


def test_only_the_pools_own_nodes_count() -> None:
    other = node("other", labels={"nvidia.com/gpu.product": "NVIDIA-A100"})
    line = only(nodes.capacity(cluster(H100=16), nodes.read([node("a"), other]), {}))
    assert (line.result, "H100: 8 " in line.seen) == (Result.FAILED, True)


def test_a_node_of_two_pools_and_a_taint() -> None:
    both = cluster(H100=8, A100=8)
    same = both.pools[1].model_copy(update={"node_label": both.pools[0].node_label})
    shared = both.model_copy(update={"pools": (both.pools[0], same)})
    taint = {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}
    findings = nodes.check(shared, nodes.read([node(spec=taint)]))
    assert results(findings) == ["ok", "warning", "ok", "warning", "failed"]
    assert "ExtendedResourceToleration" in findings[1].remedy
    assert results(nodes.capacity(cluster(H100=8), nodes.read([node(spec=taint)]), {})) == ["ok"]


# ---- resource names


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("nvidia.com/gpu.shared", None),
        ("nvidia.com/mig-1g.5gb", None),
        ("nvidia.com/mig-2g.24gb", "failed"),
        ("nvidia.com/gpumem", "failed"),
        ("amd.com/gpu", "failed"),
        ("gpu.intel.com/i915", "failed"),
        ("example.com/vGPU", "failed"),
        ("rdma/hca", "warning"),
        ("nvidia.com.example/x", "warning"),
        ("kubernetes.io/batch-cpu", None),
        ("requests.k8s.io/x", None),
        ("hugepages-2Mi", None),
        ("memory", None),
    ],
)
def test_names_of_resources(name: str, result: str | None) -> None:
    findings = names.check(cluster(), nodes.read([node(**{name: "4"})]), (), ())
    line = only(findings)
    assert line.result == (result or "ok")
    assert result is None or name in line.seen


@given(st.sampled_from(["nvidia.com/a", "amd.com/gpu", "x/gpu"]), st.integers(0, 9), st.booleans())
def test_a_name_is_covered_exactly_if_the_stack_names_it(name: str, amount: int, named: bool) -> None:
    where = cluster().model_copy(update={"other_gpu_resources": (name,) if named else ()})
    line = only(names.check(where, nodes.read([node(**{name: str(amount)})]), (), ()))
    assert line.result is (Result.OK if named else Result.FAILED if amount else Result.WARNING)


def device_class(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("classes", "drivers", "expected"),
    [
        ((), (), ["ok"]),
        (("gpu.nvidia.com", "mig.nvidia.com"), ("gpu.nvidia.com",), ["ok"]),
        (("gpu.amd.com",), (), ["failed"]),
        (("gpu.amd.com",), ("gpu.amd.com",), ["failed"]),
        ((), ("gpu.amd.com",), ["failed"]),
        (("nic.example.com",), (), ["warning"]),
        (("gpu.amd.com", "nic.example.com"), ("other.nvidia.com",), ["failed", "warning", "failed"]),
    ],
)
def test_device_classes_and_drivers(classes: tuple[str, ...], drivers: tuple[str, ...], expected: list[str]) -> None:
    slices = tuple({"metadata": {"name": driver}, "spec": {"driver": driver}} for driver in drivers)
    found = names.check(cluster(), (), tuple(device_class(name) for name in classes), slices)
    assert results(found) == expected


def test_a_device_class_with_a_resource_name_of_its_own() -> None:
    found = names.check(cluster(), (), (device_class("gpu.nvidia.com", extendedResourceName="fast.example/gpu"),), ())
    assert (only(found).result, "fast.example/gpu" in only(found).seen) == (Result.FAILED, True)


# ---- device plugin


def judged_plugin(*sets: dict[str, Any], configs: Any = None, servers: Any = ()) -> dict[str, Result]:
    """Return the lines but that about the runtime."""
    found = plugin.check(cluster(), sets, configs or {}, nodes.read(servers))
    return {one.seen: one.result for one in found if "container runtime" not in one.seen}


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
    one = daemon_set(container(), config="c")
    assert strategy(one, configs={"gpu/c": (mounts,)}) == "ok"
    assert strategy(one, configs={"gpu/c": (several,)}) == "ok"
    assert strategy(one, configs={"gpu/c": (mounts, bad)}) == "failed"
    assert (
        strategy(one, configs={"gpu/c": (mounts, {"version": "v1"})}) == "failed"
    )  # some nodes have the default, which is envvar
    assert strategy(one, configs={"gpu/c": ({"version": "v1"}, {"other": "file"})}) == "failed"
    assert strategy(one, configs={"gpu/c": Unread("forbidden")}) == "warning"
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
    one = daemon_set(container(env=env(DEVICE_LIST_STRATEGY="cdi-cri", MIG_STRATEGY="single")), config="c")
    for kind in ("timeSlicing", "mps"):
        found = judged_plugin(one, configs={"gpu/c": ({"sharing": {kind: way}},)})
        assert found["gpu/plugin: GPUs are shared: nvidia.com/gpu x 4"] is Result.FAILED
        assert found["gpu/plugin: MIG strategy single"] is Result.WARNING
    alone = {"resources": [{"name": "nvidia.com/gpu", "replicas": 1}]}
    assert Result.FAILED not in judged_plugin(one, configs={"gpu/c": ({"sharing": {"mps": alone}},)}).values()


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


# ---- admission


def selector(**facts: Any) -> Result:
    nothing = {"probed_pod": None, "policies": (), "bindings": ()}
    (line,) = [one for one in admission.check(replace(FIT, **nothing | facts)) if "PodNodeSelector" in one.seen]
    return line.result


def api_server(*arguments: str) -> dict[str, Any]:
    return {"metadata": {"name": "kube-apiserver"}, "spec": {"containers": [{"command": ["a", *arguments]}]}}


OTHER_SERVER = api_server("--v=2") | {"metadata": {"name": "kube-apiserver-2"}}
CONFLICT = Reply(status=403, message=f"pod node label selector {admission.SELECTOR_CONFLICT}")
NO_RIGHT = Reply(status=403, message='User "x" cannot create resource "pods"')
FORCED = {"model": "h100"}


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        ({}, "warning"),
        ({"probed_pod": CONFLICT}, "ok"),
        ({"probed_pod": Reply(status=201)}, "failed"),
        ({"probed_pod": Reply(status=403, message="exceeded quota: gpu")}, "failed"),
        ({"probed_pod": Reply(status=422, message="ValidatingAdmissionPolicy 'gpuprov-pods' denied")}, "failed"),
        ({"probed_pod": Reply(status=201), "policies": ALL_POLICIES, "bindings": ALL_BINDINGS}, "warning"),
        ({"probed_pod": NO_RIGHT}, "warning"),
        ({"probed_pod": NO_RIGHT, "api_servers": (api_server("--enable-admission-plugins=A,PodNodeSelector"),)}, "ok"),
        ({"api_servers": (api_server("--enable-admission-plugins=NodeRestriction"),)}, "failed"),
        ({"api_servers": (api_server("--v=2"),)}, "failed"),
        ({"api_servers": (api_server("--enable-admission-plugins=PodNodeSelector"), OTHER_SERVER)}, "failed"),
        (
            {"tenant_pods": (({"metadata": {"name": "p"}, "spec": {"nodeSelector": FORCED | {"a": "b"}}}, FORCED),)},
            "ok",
        ),
        ({"tenant_pods": (({"metadata": {"name": "p"}, "spec": {}}, FORCED),)}, "failed"),
        ({"tenant_pods": (({"metadata": {"name": "p"}, "spec": {}}, FORCED),), "probed_pod": CONFLICT}, "ok"),
    ],
)
def test_how_the_selector_of_nodes_is_told(facts: dict[str, Any], result: str) -> None:
    assert selector(**facts) == result


@pytest.mark.parametrize(
    ("probe", "result"),
    [
        (FIT.probed_namespace, "ok"),
        (Reply(status=201), "failed"),
        (Reply(status=409, message="already exists"), "failed"),
        (Reply(status=403, message="cannot create"), "warning"),
        (None, "warning"),
    ],
)
def test_pod_security(probe: Reply | None, result: str) -> None:
    line, _ = admission.check(replace(FIT, probed_namespace=probe))
    assert line.result == result


def test_policies_that_are_absent_or_not_in_force() -> None:
    absent = only(policies.check((), (), "0.1.0"))
    assert (absent.result, "charts/gpu-cluster" in absent.remedy) == (Result.FAILED, True)
    wrong_check = {"typeChecking": {"expressionWarnings": [{"warning": "no such field"}]}}
    there = (
        policy("gpuprov-gpu", failurePolicy="Ignore"),
        policy("gpuprov-pods"),
        policy("gpuprov-objects") | {"status": wrong_check},
        policy("gpuprov-namespaces"),
    )
    bound = (
        binding("gpuprov-gpu", "Warn", "Audit"),
        binding("gpuprov-objects", "Deny", of="other"),
        binding("gpuprov-namespaces", "Deny"),
    )
    said = {one.seen.removeprefix("policy "): one.result for one in policies.check(there, bound, "0.1.0")}
    assert said == {
        "gpuprov-gpu lets pass what it cannot judge (failurePolicy); does not deny (validationActions)": "failed",
        "gpuprov-pods has no binding": "failed",
        "gpuprov-objects does not fit this API server: no such field; has a binding to other": "failed",
        "gpuprov-operator is not there": "failed",
        "chart version 0.1.0": "ok",
    }


def test_versions_of_the_chart() -> None:
    assert policies.check(ALL_POLICIES, ALL_BINDINGS, None)[-1].result is Result.OK
    assert policies.check(ALL_POLICIES, ALL_BINDINGS, "0.2.0")[-1].result is Result.WARNING
    mixed = (policy("gpuprov-gpu", "0.2.0"), *ALL_POLICIES[1:])
    assert policies.check(mixed, ALL_BINDINGS, None)[-1].result is Result.WARNING


def test_the_chart_has_what_is_looked_for() -> None:
    there, bound = chart("ValidatingAdmissionPolicy"), chart("ValidatingAdmissionPolicyBinding")
    assert there.keys() == bound.keys() == set(RULES)
    judged = policies.check(tuple(there.values()), tuple(bound.values()), None)
    assert results([*judged, *role.check(chart("ClusterRole")["gpuprov-tenant"])]) == ["ok", "ok", "ok"]


# ---- the role of awardees


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["get", "patch"]}, "patch resourcequotas"),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}, "* pods"),
        ({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}, "get *"),
        ({"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["update"]}, "update */scale"),
        ({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}, "get in every API group"),
        ({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}, "impersonate users"),
        ({"apiGroups": ["r"], "resources": ["clusterroles"], "verbs": ["bind", "escalate"]}, "bind, escalate clusterr"),
        ({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, "get /metrics"),
        (
            {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
            "create serviceaccounts/tok",
        ),
        ({"apiGroups": ["resource.k8s.io"], "resources": ["resourceclaims"], "verbs": ["create"]}, "create resourcecl"),
    ],
)
def test_what_awardees_must_not_have(rule: dict[str, Any], text: str) -> None:
    wide = dict(tenant_role()) | {"rules": [*tenant_role()["rules"], rule]}
    line = only(role.check(wide))
    assert (line.result, text in line.seen) == (Result.FAILED, True)


def test_a_role_that_takes_its_rules_from_others() -> None:
    assert only(role.check(dict(tenant_role()) | {"aggregationRule": {}})).result is Result.OK
    assert only(role.check(dict(tenant_role()) | {"aggregationRule": {"x": []}})).result is Result.FAILED


def test_reading_is_no_surprise() -> None:
    reading = {
        "apiGroups": [""],
        "resources": ["resourcequotas", "secrets", "nodes"],
        "verbs": ["get", "list", "watch"],
    }
    assert list(role.surprises(reading)) == []
