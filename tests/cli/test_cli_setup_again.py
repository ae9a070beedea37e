"""Set-up of clusters that have been set up: where nothing differs Pulumi is not started, and else it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_world import PROVIDERS, Api, World, answering, script
from golden_chart import chart
from loopback import refusal, serving

from gpuprov.load.project import open_project
from gpuprov.preflight.installed import COLLECTIONS, Record, digest, name_of
from gpuprov.run.chart import chart_of, source
from gpuprov.toolchain.pins import PULUMI

KT = "kt-cloud"
HOME = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gpuprov-system", "uid": "u"}}
DAEMON_SET = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "gpuprov-device-plugin", "namespace": "gpuprov-system"},
    "spec": {"template": {"spec": {"containers": [{"name": "plugin", "image": "plugin:1"}]}}},
}
GUARD = [
    {"apiVersion": version, "kind": kind, "metadata": {"name": "gpuprov-term-guard", "namespace": "gpuprov-system"}}
    for version, kind in (
        ("apps/v1", "Deployment"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("v1", "ServiceAccount"),
    )
]
KINDS = ("Namespace", *COLLECTIONS)


def calls(world: World) -> list[str]:
    """Return how Pulumi was called, but for its version."""
    log = world.root.parent / "calls"
    return log.read_text().splitlines() if log.exists() else []


def leave(world: World, api: Api, provider: str) -> None:
    """Let the cluster have what a set-up leaves: the chart's objects, the record of them, and the stack's outputs."""
    objects: list[dict[str, Any]] = [HOME, DAEMON_SET, *GUARD]
    for kind in COLLECTIONS:
        objects += chart(kind).values()
    for kind in KINDS:
        api.objects[provider, kind] = [found for found in objects if found["kind"] == kind]
    cluster = open_project(world.root).by_provider[provider]
    record = Record(
        source=source(chart_of(world.root), cluster, ""),
        objects={name_of(found): digest(found) for found in objects},
    )
    api.objects[provider, "ConfigMap"] = [{"metadata": {"name": "gpuprov-setup"}, "data": {"record": record.to_text()}}]
    world.outputs(f"{provider}.setup", {"clusterUid": f"uid-of-{provider}"})


@pytest.fixture
def left(world: World) -> Iterator[Api]:
    """Clusters as a set-up has left them, and a Pulumi that notes how it is called and fails to update."""
    api = Api()
    for provider in PROVIDERS:
        leave(world, api, provider)
    answer_with_outputs = f'cat "{world.root.parent}/outputs-$5.json"'
    note = f'echo "$1 $2" >> "{world.root.parent}/calls"'
    text = f'#!/bin/sh\ncase "$*" in version) echo "v{PULUMI.version}"; exit ;; esac\n{note}\n{answer_with_outputs}\n'
    script(world.root.parent / "bin" / "pulumi", text)

    class Handler(answering(api)):  # type: ignore[misc]
        def do_DELETE(self) -> None:  # noqa: N802 (the base class's name)
            api.writes.append(f"DELETE {self.path}")
            self.reply(*refusal(404, "NotFound", self.path.rpartition("/")[2]))

    with serving(Handler) as url:
        world.contexts({f"{provider}-admin": f"{url}/{provider}" for provider in PROVIDERS})
        yield api


def pending(world: World) -> dict[str, list[str]]:
    ran = world.run("setup", "--preview", "--json")
    assert ran.code == 0, ran
    return {found["provider"]: found["pending"] for found in ran.data["providers"]}


def test_pulumi_is_not_started_where_nothing_differs(world: World, left: Api) -> None:
    ran = world.run("setup")
    assert (ran.code, left.writes, set(calls(world))) == (0, [], {"stack output"}), ran
    rows = [line.split(None, 1) for line in ran.out.splitlines()[1:]]
    assert rows == [[provider, "nothing to change"] for provider in PROVIDERS]
    ran = world.run("setup", "--json", "--yes")
    assert ran.data == {"providers": [{"provider": name, "operations": {}} for name in PROVIDERS], "failed": {}}


def test_pulumi_is_started_for_the_clusters_that_differ_only(world: World, left: Api) -> None:
    left.objects[KT, "PriorityClass"].pop()
    ran = world.run("setup", "--json", "--yes")
    assert (ran.code, list(ran.data["failed"])) == (5, [KT])
    assert [found["provider"] for found in ran.data["providers"]] == ["elice-cloud", "samsung-sds"]
    assert calls(world)[2:] == ["stack init", "--non-interactive up"]
    assert left.writes == [f"DELETE /{KT}/api/v1/namespaces/gpuprov-system/configmaps/gpuprov-setup"]


def test_refresh_starts_pulumi_although_nothing_differs(world: World, left: Api) -> None:
    ran = world.run("setup", "--refresh", "--json", "--yes", "--provider", KT)
    assert (ran.code, list(ran.data["failed"]), calls(world)) == (5, [KT], ["stack init", "--non-interactive up"])


def test_the_preview_changes_nothing_and_says_what_is_to_do(world: World, left: Api) -> None:
    left.objects[KT, "ClusterRole"] = [
        role for role in left.objects[KT, "ClusterRole"] if role["metadata"]["name"] != "gpuprov-tenant"
    ]
    ran = world.run("setup", "--preview")
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line.startswith(PROVIDERS)}
    assert (ran.code, left.writes, "--non-interactive up" in calls(world)) == (0, [], False)
    assert rows[KT].split("  ")[-1].strip() == "ClusterRole gpuprov-tenant is missing"
    assert "the role gpuprov-tenant is not there" in rows[KT]
    assert rows["samsung-sds"].endswith("nothing: it is as the last set-up left it")


def test_objects_of_each_kind_that_are_missing_changed_or_new_are_found(world: World, left: Api) -> None:
    missing, changed, added = [], [], []
    for kind in KINDS:
        first, *others = left.objects[KT, kind]
        left.objects[KT, kind] = others
        missing.append(f"{name_of(first)} is missing")
        edited = {**first, "metadata": {**first["metadata"], "labels": {"by": "hand"}}}
        left.objects["elice-cloud", kind] = [edited, *others]
        changed.append(f"{name_of(first)} was changed")
        if kind != "Namespace":  # that of the release is read by its name
            another = {**first, "metadata": {**first["metadata"], "name": "another"}}
            left.objects["samsung-sds", kind].append(another)
            added.append(f"{name_of(another)} is not part of it")
    assert pending(world) == {"elice-cloud": sorted(changed), KT: sorted(missing), "samsung-sds": sorted(added)}


def test_what_the_chart_is_made_from_counts(world: World, left: Api) -> None:
    changed = "the chart, its values, the cluster's version or gpuprov have changed since the last set-up"
    stack = next(world.root.glob(f"**/Pulumi.{KT}.yaml"))
    written = stack.read_text(encoding="utf-8")
    context = next(line for line in written.splitlines() if "adminContext" in line)
    indent = context[: len(context) - len(context.lstrip())]
    stack.write_text(
        written.replace(context, f"{context}\n{indent}chartValues: {{admission: {{maxGracePeriodSeconds: 60}}}}"),
        encoding="utf-8",
    )
    assert pending(world) == {"elice-cloud": [], KT: [changed], "samsung-sds": []}
    values = world.root / "charts" / "gpu-cluster" / "values.yaml"
    values.write_text(values.read_text(encoding="utf-8") + "\n# another byte\n", encoding="utf-8")
    assert pending(world) == {provider: [changed] for provider in PROVIDERS}


def test_the_source_is_every_file_and_setting(world: World) -> None:
    cluster = open_project(world.root).by_provider[KT]
    folder = chart_of(world.root)
    made_from = {source(folder, cluster, version) for version in ("", "v1.36.0")}
    for other in ({"admin_context": "root"}, {"provider": "other"}, {"chart_values": {"admission": {}}}):
        made_from.add(source(folder, cluster.model_copy(update=other), ""))
    (folder / "templates" / "more.yaml").write_text("", encoding="utf-8")
    made_from.add(source(folder, cluster, ""))
    assert len(made_from) == 6


def test_without_a_record_and_with_a_foreign_one_pulumi_looks(world: World, left: Api) -> None:
    del left.objects[KT, "ConfigMap"]
    left.objects["elice-cloud", "ConfigMap"][0]["data"]["record"] = '{"objects": 3}'
    assert pending(world) == {
        "elice-cloud": ["no record of what the last set-up left"],
        KT: ["no record of what the last set-up left"],
        "samsung-sds": [],
    }


def test_a_state_that_is_lost_or_of_another_cluster_is_found(world: World, left: Api) -> None:
    world.outputs(f"{KT}.setup", {})
    world.outputs("elice-cloud.setup", {"clusterUid": "another"})
    found = pending(world)
    assert found[KT] == [f"the stack {KT}.setup does not know this cluster"]
    assert found["elice-cloud"] == ["the stack elice-cloud.setup does not know this cluster"]


def test_what_cannot_be_read_is_a_reason_to_look(world: World, left: Api) -> None:
    left.refused.add((KT, "RoleBinding"))
    left.forbidden.add("elice-cloud")
    Path(world.root.parent, "outputs-samsung-sds.setup.json").unlink()
    found = pending(world)
    (reason,) = found[KT]
    assert reason.startswith("cannot be read: the identity of context 'kt-cloud-admin' may not GET /apis/rbac.author")
    assert reason.endswith(
        "rolebindings (no right to list RoleBinding); let the cluster's administrator give it that "
        "right (`gpuprov preflight` names all that gpuprov needs)"
    )
    assert "no rights here" in found["elice-cloud"][0]
    assert found["samsung-sds"][0].startswith("cannot be read: ")


def test_another_cluster_behind_the_context_is_found(world: World, left: Api) -> None:
    stack = next(world.root.glob(f"**/Pulumi.{KT}.yaml"))
    written = stack.read_text(encoding="utf-8")
    line = next(line for line in written.splitlines() if "adminContext" in line)
    indent = line[: len(line) - len(line.lstrip())]
    stack.write_text(written.replace(line, f"{line}\n{indent}uid: pinned"), encoding="utf-8")
    (reason,) = pending(world)[KT]
    assert reason.startswith("context 'kt-cloud-admin' leads to the cluster uid-of-kt-cloud, but the stack's")


def test_the_preview_of_a_project_without_clusters_set_up(world: World) -> None:
    bare = Api(bare=set(PROVIDERS))
    with serving(answering(bare)) as url:
        world.contexts({f"{provider}-admin": f"{url}/{provider}" for provider in PROVIDERS})
        ran = world.run("setup", "--preview", "--provider", KT)
    assert (ran.code, bare.writes) == (0, [])
    assert "no record of what the last set-up left" in ran.out


def test_the_record_is_json_on_the_cluster(world: World, left: Api) -> None:
    text = left.objects[KT, "ConfigMap"][0]["data"]["record"]
    assert json.loads(text)["objects"].keys() >= {"Namespace gpuprov-system", "Role gpuprov-system/gpuprov-operator"}
