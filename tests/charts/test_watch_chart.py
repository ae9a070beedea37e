"""The chart of the service, its image and its unit: they start the service as the command line has it, and confined."""

import json
import re
import shlex
from typing import Any

import jsonschema
import pytest
import yaml
from chart_files import REPOSITORY, default, helm, options, read_command, rendered, shown, type_of, with_table
from golden_chart import read_all

from gpuprov.toolchain.pins import CLI_TOOLS, KUBERNETES_VERSION

CHART = REPOSITORY / "charts" / "watch"
SERVICE = REPOSITORY / "examples" / "service"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
PROJECT = {"project": {"repository": "https://git.example.org/gpus.git"}}
DOCUMENT = REPOSITORY / "docs" / "watch.md"


def objects(**values: Any) -> dict[str, dict[str, Any]]:
    """Return the chart's objects by kind: it has one of each."""
    text = rendered(CHART, "watch", "gpuprov", json.dumps(PROJECT | values))
    return {body["kind"]: body for body in read_all(text)}


def pod(**values: Any) -> dict[str, Any]:
    spec: dict[str, Any] = objects(**values)["Deployment"]["spec"]["template"]["spec"]
    return spec


def test_values_and_schema_are_the_same_ones_and_the_document_has_them() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate({**VALUES, "project": VALUES["project"] | PROJECT["project"]})
    names = [path for path, _ in options(SCHEMA)]
    assert {name.split(".")[0] for name in names} == VALUES.keys()
    rows = [
        (path, type_of(option, SCHEMA), shown(default(path, VALUES)), option["description"])
        for path, option in options(SCHEMA)
    ]
    assert with_table(DOCUMENT, rows) == DOCUMENT.read_text(encoding="utf-8"), "set GPUPROV_UPDATE_GOLDEN=1 if meant"


def test_it_has_no_permission_no_token_and_no_secret_of_its_own() -> None:
    made = objects()
    assert made.keys() == {"ServiceAccount", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"}
    assert made["ServiceAccount"]["automountServiceAccountToken"] is False
    assert pod()["automountServiceAccountToken"] is False
    assert pod()["serviceAccountName"] == made["ServiceAccount"]["metadata"]["name"]


def test_every_container_is_confined() -> None:
    spec = pod()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*spec["initContainers"], *spec["containers"]):
        confined = container["securityContext"]
        assert confined["readOnlyRootFilesystem"] is True
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert written == {"/srv/project", "/home/gpuprov", "/tmp"}  # noqa: S108 (a mount of the pod)


def test_only_the_service_itself_gets_the_credentials() -> None:
    spec = pod(project=PROJECT["project"] | {"credentialsSecret": "git"})
    (clone,), (watch,) = spec["initContainers"], spec["containers"]
    mounts = {container["name"]: {mount["name"] for mount in container["volumeMounts"]} for container in (clone, watch)}
    assert mounts["watch"] - mounts["clone"] == {"kubeconfig"}
    assert "envFrom" not in clone
    assert watch["envFrom"] == [{"secretRef": {"name": "gpuprov-environment"}}]


@pytest.mark.parametrize("apply", [True, False])
def test_it_starts_the_service_with_options_that_it_has(apply: bool) -> None:
    (watch,) = pod(apply=apply, intervalSeconds=30, timeoutSeconds=90)["containers"]
    read = read_command(watch["args"])
    assert (read["apply"], read["git"], read["interval"], read["timeout"]) == (apply, True, 30.0, 90.0)
    assert read["listen"].endswith(f":{watch['ports'][0]['containerPort']}")


def test_it_may_end_a_teardown_before_it_is_killed() -> None:
    assert pod(timeoutSeconds=90)["terminationGracePeriodSeconds"] > 2 * 90


def test_nobody_reads_the_metrics_unless_named() -> None:
    assert objects()["NetworkPolicy"]["spec"]["ingress"] == []
    scrapers = [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    (rule,) = objects(metrics={"scrapers": scrapers})["NetworkPolicy"]["spec"]["ingress"]
    assert rule == {"from": scrapers, "ports": [{"port": "metrics", "protocol": "TCP"}]}


def test_where_it_may_connect_to_can_be_narrowed() -> None:
    to = [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]
    dns, *others = objects(egress=to)["NetworkPolicy"]["spec"]["egress"]
    assert ([port["port"] for port in dns["ports"]], others) == ([53, 53], to)


@pytest.mark.parametrize(
    "wrong",
    [
        {"project": {"repository": ""}},
        {"project": {"repository": "--upload-pack=touch /tmp/x"}},
        {"project": PROJECT["project"] | {"branch": "-x"}},
        {"replicas": 0},
        {"image": {"digest": "sha256:1"}},
        {"kubeconfig": "a secret in the values"},
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    assert helm(
        "template", "watch", str(CHART), "--kube-version", KUBERNETES_VERSION, values=PROJECT | wrong
    ).returncode


def test_a_digest_counts_more_than_a_tag() -> None:
    digest = f"sha256:{'0' * 64}"
    images = {each["image"] for each in (*pod(image={"digest": digest})["containers"], *pod()["initContainers"])}
    assert images == {f"gpuprov@{digest}", "gpuprov:0.1.0"}


def test_the_image_has_what_the_service_needs_and_starts_it() -> None:
    text = (SERVICE / "Containerfile").read_text(encoding="utf-8")
    (tools,) = re.findall(r"gpuprov toolchain install (.*)", text)
    assert tools.split() == list(CLI_TOOLS)
    (entry,), (words,) = re.findall(r"^ENTRYPOINT (.*)", text, re.M), re.findall(r"^CMD (.*)", text, re.M)
    assert json.loads(entry) == ["gpuprov"]
    assert read_command(json.loads(words))["listen"] == "0.0.0.0:9464"
    copied = {name for line in re.findall(r"^COPY (?!--from)(.*)", text, re.M) for name in line.split()[:-1]}
    assert all((REPOSITORY / name).exists() for name in copied)
    assert re.findall(r"^USER (\d+)", text, re.M) == [str(pod()["securityContext"]["runAsUser"])]


def test_the_unit_starts_the_service_and_tells_only_it_to_end() -> None:
    lines = (SERVICE / "gpuprov-watch.service").read_text(encoding="utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    program, *words = shlex.split(settings["ExecStart"])
    assert program.endswith("/bin/gpuprov")
    assert read_command(words)["git"] is True
    assert (settings["KillMode"], settings["Restart"]) == ("mixed", "always")
