"""`gpuprov preflight` on a real cluster: one that is fit, and then one thing after another that is not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_cluster import CHART, LABEL, award, helm, pod
from preflight_cluster import (
    MARCH,
    RBAC,
    Project,
    changed,
    everything,
    identity,
    line,
    node,
    plugin,
    selector_line,
    there,
)
from projects import said_besides
from sandbox_fixtures import ALPHA, admin_kubeconfig, api_of, created, eventually, programs, while_up

from gpuprov.preflight.admission import SELECTOR_CONFLICT
from gpuprov.sandbox import Sandbox
from gpuprov.sandbox.api import Api

pytestmark = pytest.mark.sandbox

SYSTEM = "gpuprov-system"
OPERATOR = {"kind": "ServiceAccount", "name": "gpuprov", "namespace": SYSTEM}
PLUGINS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with while_up(Sandbox(tmp_path_factory.mktemp("preflight") / "root", programs(), (ALPHA,))) as made:
        yield made


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Iterator[Api]:
    with api_of(sandbox, "alpha") as client:
        yield client


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Project:
    made = Project(tmp_path / "project", sandbox)
    (status,) = sandbox.status()
    made.stack["uid"] = status.uid
    return made


@pytest.fixture(scope="module")
def chart(sandbox: Sandbox) -> None:
    """Install the chart as a cluster's administrator does, for a service account as gpuprov's identity."""
    subjects = ("--set-json", f"operator.subjects={json.dumps([OPERATOR])}")
    helm(admin_kubeconfig(sandbox), "upgrade", "--install", "gpuprov", str(CHART), "--create-namespace", *subjects)


@pytest.fixture(scope="module")
def operator(sandbox: Sandbox, api: Api, chart: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of gpuprov's own identity."""
    return identity(sandbox, api, SYSTEM, "gpuprov", tmp_path_factory.mktemp("operator"))


# ---- before and after the chart


def test_a_bare_cluster_lacks_what_the_chart_brings(sandbox: Sandbox, project: Project) -> None:
    """Runs before the chart is installed: the other tests ask for it."""
    found = project.preflight(admin_kubeconfig(sandbox))
    assert found.code == 1
    policies, role = found.of("admission", "failed")
    assert policies["seen"].startswith("none of the policies gpuprov-gpu")
    assert role["seen"] == "the role gpuprov-tenant is not there"
    assert all("installs charts/gpu-cluster" in finding["remedy"] for finding in (policies, role))
    assert len(found.bad) == 2
    (warned,) = found.of("rights", "warning")
    assert warned["seen"] == "sandbox-admin may do everything on this cluster, as cluster-admin"


def test_a_fit_cluster_passes_with_gpuprovs_own_identity(project: Project, operator: Path) -> None:
    found = project.preflight(operator)
    assert (found.code, found.bad, found.failed) == (0, [], {})
    seen = {finding["seen"] for finding in found.findings if finding["result"] == "ok"}
    assert "H100: 16 nvidia.com/gpu on 2 nodes; configured 16, awarded at most 8" in seen
    assert "A100: 8 nvidia.com/gpu on 1 node; configured 8, awarded at most 0" in seen
    assert "the 5 policies of the chart are bound and deny" in seen
    assert "Pod Security admission is active" in seen
    assert found.of("rights") == found.of("rights", "ok")
    warned = [finding["seen"] for finding in found.findings if finding["result"] == "warning"]
    assert len(warned) == 3, warned  # PodNodeSelector without a tenant, no device plugin, and the runtime
    assert all(finding["remedy"] for finding in found.findings if finding["result"] != "ok")


def test_nothing_is_left_behind(project: Project, operator: Path, api: Api) -> None:
    before = everything(api)
    project.preflight(operator)
    assert everything(api) == before


def test_the_table_has_a_line_for_each_finding(project: Project, operator: Path) -> None:
    done = project.run(operator)
    assert (done.code, said_besides(done.err)) == (0, "")
    summary, _, table = done.out.partition("\n\n")
    assert [line.split()[:2] for line in summary.splitlines()] == [["provider", "result"], ["alpha", "fit,"]]
    assert table.splitlines()[0].split() == ["provider", "check", "result", "seen", "what", "to", "do"]
    assert sum(row.startswith("alpha ") for row in table.splitlines()) == len(project.preflight(operator).findings)


# ---- the nodes


def test_a_resource_that_no_quota_covers(project: Project, operator: Path, api: Api) -> None:
    with there(api, "/api/v1/nodes", node("odd", "none", nvidia__vgpu="4")):
        bad = node("odd-2", "none", **{"nvidia.com__mig-2g.24gb": "4", "rdma__hca": "1"})
        with there(api, "/api/v1/nodes", bad):
            found = project.preflight(operator)
    uncovered = {finding["seen"]: finding["remedy"] for finding in found.of("resource names", "failed")}
    assert found.code == 1
    assert set(uncovered) == {
        "nvidia.com/mig-2g.24gb: nodes offer 4, and no quota covers it",
        "nvidia/vgpu: nodes offer 4, and no quota covers it",
    }
    assert all("otherGpuResources" in remedy for remedy in uncovered.values())
    (other,) = found.of("resource names", "warning")
    assert other["seen"].startswith("rdma/hca: ")
    (stray,) = found.of("nodes", "warning")
    assert stray["seen"].startswith("2 nodes with GPUs in no pool: odd (none), odd-2 (none)")


def test_a_device_class_that_no_quota_covers(project: Project, operator: Path, api: Api) -> None:
    selector = {"cel": {"expression": "device.driver == 'gpu.example.com'"}}
    classes = "/apis/resource.k8s.io/v1/deviceclasses"
    with there(api, classes, {"metadata": {"name": "gpu.example.com"}, "spec": {"selectors": [selector]}}):
        found = project.preflight(operator)
        project.stack["deviceClasses"] = ["gpu.nvidia.com", "gpu.example.com"]
        mended = project.preflight(operator)
    assert found.code == 1
    (line,) = found.of("resource names", "failed")
    assert line["seen"] == "device class gpu.example.com: no quota covers it"
    assert "deviceClasses" in line["remedy"]
    assert mended.bad == []


def test_fewer_gpus_than_configured_and_awarded(project: Project, operator: Path, api: Api) -> None:
    def cordon(live: dict[str, Any]) -> None:
        live["spec"]["unschedulable"] = True

    with changed(api, "/api/v1/nodes/alpha-h100-00", cordon):
        found = project.preflight(operator, awards=line("HPC-1", "H100", 16))
    assert found.code == 1
    bad = found.only("failed")
    assert bad["seen"] == (
        "H100: 8 nvidia.com/gpu on 1 node; configured 16, awarded at most 16; not counted: alpha-h100-00 (cordoned)"
    )
    step = "from now on with a step `{gpus: 8, from: 2026-03-01T09:00+09:00}`"
    advice = f"bring the nodes back, or set the pool's capacity to 8 {step} and take awards from it"
    assert bad["remedy"].startswith(advice)


def test_a_capacity_lower_than_the_nodes_is_a_warning(project: Project, operator: Path) -> None:
    project.stack["pools"][0]["capacity"] = 8
    found = project.preflight(operator)
    assert found.code == 0
    (line,) = found.of("capacity", "warning")
    step = "from now on with a step `{gpus: 16, from: 2026-03-01T09:00+09:00}`"
    assert line["remedy"] == f"set the pool's capacity to 16 {step}, if all of them are for awards"


def test_a_label_that_no_node_has(project: Project, operator: Path) -> None:
    project.stack["pools"][1]["nodeLabel"] = {"nvidia.com/gpu.product": "NVIDIA-A100-PCIe-80GB"}
    found = project.preflight(operator)
    assert found.code == 1
    (line,) = found.of("nodes", "failed")
    assert line["seen"] == "A100: no node has the label nvidia.com/gpu.product=NVIDIA-A100-PCIe-80GB"
    assert "NVIDIA-A100-SXM4-80GB" in line["remedy"]
    assert "alpha-a100-00 (NVIDIA-A100-SXM4-80GB)" in found.of("nodes", "warning")[0]["seen"]


# ---- the device plugin


@pytest.mark.parametrize(
    ("environment", "result"),
    [
        ({}, "failed"),
        ({"DEVICE_LIST_STRATEGY": "envvar"}, "failed"),
        ({"DEVICE_LIST_STRATEGY": "volume-mounts"}, "ok"),
    ],
)
def test_the_device_list_strategy(
    project: Project, operator: Path, api: Api, environment: dict[str, str], result: str
) -> None:
    with there(api, PLUGINS, plugin(**environment)):
        found = project.preflight(operator)
    (line,) = [finding for finding in found.of("device plugin") if "device list strategy" in finding["seen"]]
    assert (line["result"], found.code) == (result, 1 if result == "failed" else 0)
    if result == "failed":
        assert "volume-mounts or cdi-cri" in line["remedy"]


def test_shares_in_the_plugins_configuration(project: Project, sandbox: Sandbox, operator: Path, api: Api) -> None:
    """gpuprov's own identity reads no ConfigMaps, and says so; an administrator's does."""
    shares = {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}}
    config = {"version": "v1", "flags": {"plugin": {"deviceListStrategy": "cdi-cri"}}, "sharing": shares}
    data = {"config.yaml": yaml.safe_dump(config)}
    daemon_set = plugin(CONFIG_FILE="/config/config.yaml")
    daemon_set["spec"]["template"]["spec"]["volumes"] = [{"name": "config", "configMap": {"name": "plugin-config"}}]
    maps = "/api/v1/namespaces/kube-system/configmaps"
    with there(api, maps, {"metadata": {"name": "plugin-config"}, "data": data}), there(api, PLUGINS, daemon_set):
        as_admin, as_operator = project.preflight(admin_kubeconfig(sandbox)), project.preflight(operator)
    assert as_admin.only("failed")["seen"] == ("kube-system/nvidia-device-plugin: GPUs are shared: nvidia.com/gpu x 4")
    assert any("device list strategy cdi-cri" in finding["seen"] for finding in as_admin.of("device plugin", "ok"))
    assert as_operator.code == 0
    assert any(
        "is set where it was not read" in finding["seen"] for finding in as_operator.of("device plugin", "warning")
    )


# ---- identities


def test_an_identity_without_rights(project: Project, sandbox: Sandbox, api: Api, tmp_path: Path, chart: None) -> None:
    found = project.preflight(identity(sandbox, api, "default", "nobody", tmp_path))
    assert (found.code, found.failed) == (1, {})
    rights = found.of("rights", "failed")
    who = "system:serviceaccount:default:nobody"
    assert f"{who} may not get, list, watch, create, patch, delete namespaces" in {
        finding["seen"] for finding in rights
    }
    assert f"{who} may not bind clusterroles.rbac.authorization.k8s.io gpuprov-tenant" in {
        finding["seen"].replace("get, bind", "bind") for finding in rights
    }
    assert all("operator.subjects" in finding["remedy"] for finding in rights)
    assert found.of("nodes", "failed")[0]["seen"].startswith("the nodes cannot be seen: nodes is forbidden")


def test_an_identity_that_lacks_one_verb_and_has_too_many(
    project: Project, sandbox: Sandbox, operator: Path, api: Api, tmp_path: Path
) -> None:
    def less_and_more(role: dict[str, Any]) -> None:
        for rule in role["rules"]:
            if "pods" in rule["resources"]:
                rule["verbs"].remove("deletecollection")
        role["rules"].append({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]})

    with changed(api, f"{RBAC}/clusterroles/gpuprov-operator", less_and_more):
        eventually(lambda: project.preflight(operator).code == 1)
        found = project.preflight(operator)
    eventually(lambda: project.preflight(operator).code == 0)
    who = f"system:serviceaccount:{SYSTEM}:gpuprov"
    assert found.bad == [f"rights: {who} may not deletecollection pods"]
    assert found.only("failed")["remedy"].endswith("another role must grant it in the whole cluster")
    assert found.of("rights", "warning")[0]["seen"] == f"{who} may also impersonate users"


def test_an_identity_that_the_server_does_not_know(project: Project, operator: Path, tmp_path: Path) -> None:
    document = yaml.safe_load(operator.read_text())
    document["users"][0]["user"]["token"] = "nonsense"
    (tmp_path / "stale").write_text(yaml.safe_dump(document))
    found = project.preflight(tmp_path / "stale")
    assert (found.code, found.findings) == (5, [])
    assert "the server does not know the identity of context 'alpha'" in found.failed["alpha"]


def test_another_cluster_and_none_that_is_pinned(project: Project, operator: Path) -> None:
    uid = project.stack.pop("uid")
    unpinned = project.preflight(operator)
    assert unpinned.of("identity", "warning")[0]["remedy"].endswith(f"write `uid: {uid}` into Pulumi.alpha.yaml")
    project.stack["uid"] = "0b1d0a52-0000-4000-8000-000000000000"
    wrong = project.preflight(operator)
    assert wrong.code == 1
    assert wrong.only("failed")["seen"].endswith("the stack pins 0b1d0a52-0000-4000-8000-000000000000")


# ---- admission


def test_a_policy_that_only_warns_and_a_role_that_gives_too_much(project: Project, operator: Path, api: Api) -> None:
    def warn(binding: dict[str, Any]) -> None:
        binding["spec"]["validationActions"] = ["Warn"]

    def widen(role: dict[str, Any]) -> None:
        role["rules"].append({"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["patch"]})

    with (
        changed(api, f"{ADMISSION}/validatingadmissionpolicybindings/gpuprov-gpu", warn),
        changed(api, f"{RBAC}/clusterroles/gpuprov-tenant", widen),
    ):
        found = project.preflight(operator)
    assert found.code == 1
    assert found.bad == [
        "admission: policy gpuprov-gpu does not deny (validationActions)",
        "admission: the role gpuprov-tenant lets awardees patch resourcequotas",
    ]


def allow(policy: dict[str, Any]) -> None:
    policy["spec"]["validations"] = [{"expression": "true"}]


def never(policy: dict[str, Any]) -> None:
    policy["spec"]["matchConditions"].append({"name": "never", "expression": "false"})


def leave_out(policy: dict[str, Any]) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["resourcequotas"]}
    policy["spec"]["matchConstraints"]["excludeResourceRules"] = [rule]


def narrow(policy: dict[str, Any]) -> None:
    policy["spec"]["matchConstraints"]["namespaceSelector"] = {"matchLabels": {"team": "a"}}


def bind_less(binding: dict[str, Any]) -> None:
    binding["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {"team": "a"}}}


def test_rules_that_were_changed_by_hand_are_found_and_nothing_is_granted(
    project: Project, operator: Path, api: Api
) -> None:
    """By the preflight and by the guard, in the same words."""
    assert project.refused(operator) == []
    policies = f"{ADMISSION}/validatingadmissionpolicies/gpuprov"
    with (
        changed(api, f"{policies}-gpu", allow),
        changed(api, f"{policies}-pods", never),
        changed(api, f"{policies}-objects", leave_out),
        changed(api, f"{policies}-operator", narrow),
        changed(api, f"{ADMISSION}/validatingadmissionpolicybindings/gpuprov-namespaces", bind_less),
    ):
        found = project.preflight(operator)
        (reason,) = project.refused(operator)
    assert found.code == 1
    assert found.bad == [
        "admission: policy gpuprov-gpu was changed after it was installed",
        ("admission: policy gpuprov-namespaces is bound to other objects than the chart binds it to (matchResources)"),
        "admission: policy gpuprov-objects was changed after it was installed",
        "admission: policy gpuprov-operator was changed after it was installed",
        "admission: policy gpuprov-pods was changed after it was installed",
    ]
    seen = "; ".join(finding["seen"] for finding in found.of("admission", "failed"))
    assert f"the cluster lacks what charts/gpu-cluster brings ({seen})" in reason
    assert project.refused(operator) == []


# ---- GPUs of DRA

CLASS = {
    "metadata": {"name": "gpu.nvidia.com"},
    "spec": {
        "extendedResourceName": "nvidia.com/gpu",
        "selectors": [{"cel": {"expression": "device.driver == 'gpu.nvidia.com'"}}],
    },
}
SLICE = {
    "metadata": {"name": "dra-gpus"},
    "spec": {
        "driver": "gpu.nvidia.com",
        "nodeName": "dra",
        "pool": {"name": "dra", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": f"gpu-{number}"} for number in range(8)],
    },
}


def test_nothing_is_granted_where_dra_serves_the_gpus_of_awards(project: Project, operator: Path, api: Api) -> None:
    """The scheduler needs a claim for each GPU pod of an awardee, and is not allowed to make one."""
    dra = "/apis/resource.k8s.io/v1"
    server = node("dra", LABEL["nvidia.com/gpu.product"], **{"ephemeral-storage": "1Ti"})
    server["metadata"]["labels"]["kubernetes.io/hostname"] = "dra"
    with (
        there(api, "/api/v1/nodes", server),
        there(api, f"{dra}/deviceclasses", CLASS),
        there(api, f"{dra}/resourceslices", SLICE),
    ):
        waiting = pod(1, nodeSelector=LABEL | {"kubernetes.io/hostname": "dra"})
        assert "an award's GPUs are not had by resource claims" in why_pending(api, waiting, "forbidden")
        found = project.preflight(operator)
        ran = project.command(operator, "up", "--at", MARCH, "--yes")
    assert found.code == 1
    bad = found.only("failed")
    assert (bad["check"], bad["seen"]) == (
        "resource names",
        (
            "device class gpu.nvidia.com serves nvidia.com/gpu by DRA: a pod that asks for it needs a claim, which "
            "awards' namespaces refuse, and stays pending"
        ),
    )
    assert ran.code == 4, ran
    assert "alpha: awardees could not use what they are given (device class gpu.nvidia.com serves nvidia.com/gpu" in (
        ran.err
    )
    assert api.get("/api/v1/namespaces/gpu-hpc-1") is None
    assert project.refused(operator) == []


def why_pending(api: Api, waiting: dict[str, Any], word: str) -> str:
    """Put a pod into an award's namespace; return what the scheduler says with that word, once it does not start it."""
    name, (namespace, _, _, quota, limits, *_) = award("HPC-2")
    inside = f"/api/v1/namespaces/{name}"

    def reasons() -> list[str]:
        events = (api.get(f"{inside}/events") or {"items": []})["items"]
        return [
            event["message"] for event in events if event["reason"] == "FailedScheduling" and word in event["message"]
        ]

    with there(api, "/api/v1/namespaces", namespace):
        created(api, f"{inside}/resourcequotas", quota)
        created(api, f"{inside}/limitranges", limits)
        eventually(lambda: api.get(f"{inside}/serviceaccounts/default") is not None)
        created(api, f"{inside}/pods", waiting)
        eventually(reasons)
        assert (api.get(f"{inside}/pods/one") or {})["status"]["phase"] == "Pending"
        return reasons()[0]


def test_the_selector_of_nodes_is_tried_in_a_tenants_namespace(
    project: Project, sandbox: Sandbox, operator: Path, api: Api
) -> None:
    """An administrator tries a pod; gpuprov's own identity may not, and looks at the pods that are there."""
    name, (namespace, _, _, quota, limits, *_) = award("HPC-1")
    with there(api, "/api/v1/namespaces", namespace):
        inside = f"/api/v1/namespaces/{name}"
        pods = f"{inside}/pods"
        created(api, f"{inside}/resourcequotas", quota)
        created(api, f"{inside}/limitranges", limits)
        eventually(lambda: api.get(f"{inside}/serviceaccounts/default") is not None)
        tried = selector_line(project.preflight(admin_kubeconfig(sandbox)))
        assert (tried["result"], "refuses a pod" in tried["seen"]) == ("ok", True)
        assert (api.get(pods) or {})["items"] == []
        untried = selector_line(project.preflight(operator))
        assert (untried["result"], "cannot create resource" in untried["seen"]) == ("warning", True)
        with there(api, pods, pod(0, nodeSelector={})):
            witnessed = selector_line(project.preflight(operator))
        assert (witnessed["result"], "pods of tenants have" in witnessed["seen"]) == ("ok", True)
        refused = api.request("POST", pods, pod(0, nodeSelector=dict.fromkeys(LABEL, "x")))
        assert SELECTOR_CONFLICT in refused.body["message"]
