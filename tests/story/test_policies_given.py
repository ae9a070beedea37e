"""What the policy pack makes of the project's files and of Pulumi's resources, without Pulumi."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from strategies import JULY, MARCH, cluster, forfeited, reduced, tenant_role

from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.rules import OBJECT_RULES, Rule, violations
from gpuprov.errors import InputError
from gpuprov.load.ledgerfile import append_events
from gpuprov.load.project import open_project
from gpuprov.toolchain.pins import PULUMI_VERSION
from policies import given

REPOSITORY = Path(__file__).parents[2]
POLICIES = REPOSITORY / "policies"
LIST = """과제번호,기관명,유형,신청수량(H100),공급사,배정GPU,배정수량,시작일,종료일
A-1,한빛대학교,2,8,삼성SDS,H100,8,2026-01-01,2026-06-30
A-2,누리테크,1,4,삼성SDS,H100,4,2026-01-01,2026-06-30
A-3,가온,1,4,삼성SDS,H100,4,2026-04-01,2026-06-30
B-1,새벽소프트,1,1,KT,H200,1,2026-01-01,2026-06-30
"""
STACK = """config:
  gpuprov:cluster:
    context: there
    aliases: [{alias}]
    shards: {shards}
    pools:
      - {{model: {model}, capacity: 16, nodeLabel: {{gpu: yes}}}}
"""


def project(root, shards=1, settings=""):
    (root / "Pulumi.yaml").write_text(
        f"name: gpuprov\nruntime: python\nconfig:\n  awards: [list.csv]\n{settings}", encoding="utf-8"
    )
    (root / "list.csv").write_text(LIST, encoding="utf-8")
    for provider, alias, model in (("samsung-sds", "삼성SDS", "H100"), ("kt-cloud", "KT", "H200")):
        text = STACK.format(alias=alias, model=model, shards=shards).replace("yes", "'yes'")
        (root / f"Pulumi.{provider}.yaml").write_text(text, encoding="utf-8")
    return root


def test_the_bounds_are_the_providers_awards_at_the_instant(tmp_path):
    read = given.read(project(tmp_path), "samsung-sds", MARCH.isoformat())
    assert {name: tenant.gpus for name, tenant in read.bounds.awards.items()} == {"gpu-a-1": 8, "gpu-a-2": 4}
    assert (read.bounds.cluster.provider, read.bounds.programme_end, read.elsewhere) == ("samsung-sds", JULY, [])
    assert given.read(tmp_path, "samsung-sds", JULY.isoformat()).bounds.awards == {}


def test_the_ledger_lowers_the_bounds_and_the_project_says_the_programmes_end(tmp_path):
    root = project(tmp_path, settings='  programmeEnd: "2026-08-01T00:00+09:00"\n')
    append_events(root / "ledger.jsonl", [reduced("A-1", MARCH, 3), forfeited("A-2", MARCH)], known=0)
    read = given.read(root, "samsung-sds", MARCH.isoformat())
    assert {name: tenant.gpus for name, tenant in read.bounds.awards.items()} == {"gpu-a-1": 3}
    assert read.bounds.programme_end == datetime(2026, 7, 31, 15, tzinfo=UTC)


def test_the_other_stacks_of_a_provider_count_with_what_the_list_gives_them(tmp_path):
    root = project(tmp_path, shards=4)
    (samsung_sds,) = [cluster for cluster in open_project(root).clusters if cluster.provider == "samsung-sds"]
    everything = {"gpu-a-1", "gpu-a-2"}
    for stack in samsung_sds.stacks:
        read = given.read(root, stack, MARCH.isoformat())
        mine = {name for name, tenant in read.bounds.awards.items() if samsung_sds.stack_of(tenant.award_id) == stack}
        elsewhere = {manifest["metadata"]["name"] for manifest in read.elsewhere if manifest["kind"] == "Namespace"}
        assert (read.bounds.awards.keys(), elsewhere) == (everything, everything - mine)
        own = [manifest for name in mine for manifest in tenant_manifests(read.bounds.awards[name], samsung_sds)]
        assert violations([*own, *read.elsewhere], read.bounds) == []


def test_a_stack_of_no_provider_has_no_bounds(tmp_path):
    with pytest.raises(InputError, match="is not a provider's stack"):
        given.read(project(tmp_path), "dev", MARCH.isoformat())


def test_a_broken_list_is_told(tmp_path):
    (project(tmp_path) / "list.csv").write_text(LIST.replace("2,8,", "2,9,"), encoding="utf-8")
    with pytest.raises(InputError, match="track 2"):
        given.read(tmp_path, "samsung-sds", MARCH.isoformat())


# Resources


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("kubernetes:core/v1:ResourceQuota", ("v1", "ResourceQuota")),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy", ("networking.k8s.io/v1", "NetworkPolicy")),
        ("kubernetes:core/v1:ResourceQuotaPatch", ("v1", "ResourceQuotaPatch")),
        ("kubernetes:helm.sh/v3:Release", ("helm.sh/v3", "Release")),
    ],
)
def test_the_type_token_decides_what_a_resource_is(kind, expected):
    lie = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    manifest = given.manifest(kind, "n", lie)
    assert ((manifest["apiVersion"], manifest["kind"]), manifest["metadata"]) == (expected, {"name": "n"})


@pytest.mark.parametrize("kind", ["pulumi:pulumi:Stack", "pulumi:providers:kubernetes", "gpuprov:index:AwardTenant"])
def test_what_only_pulumi_knows_is_no_object(kind):
    assert given.manifest(kind, "x", {}) is None


@pytest.mark.parametrize(
    "kind", ["kubernetes:helm.sh/v3:Release", "random:index/randomId:RandomId", "other:index:Thing"]
)
def test_any_other_resource_belongs_to_no_award(kind, tmp_path):
    limits = given.read(project(tmp_path), "samsung-sds", MARCH.isoformat()).bounds
    (found,) = violations([given.manifest(kind, "x", {})], limits)
    assert found.rule is Rule.INSIDE


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context": "samsung-sds"}, None),
        ({"context": "kt-cloud"}, "its context is 'kt-cloud', and the stack's is 'samsung-sds'"),
        ({}, "its context is None"),
        ({"context": "samsung-sds", "kubeconfig": "apiVersion: v1"}, "a kubeconfig of its own"),
        ({"context": "samsung-sds", "cluster": "other"}, "a cluster of the kubeconfig"),
    ],
)
def test_the_provider_leads_to_the_stacks_cluster(settings, message):
    problem = given.leads_elsewhere(settings, cluster("samsung-sds"))
    assert (problem is None) if message is None else (message in problem)


class Unknown(Exception):
    pass


class Hidden(dict):
    """Raises where a value is not known yet, as Pulumi's own wrapper does."""

    def __getitem__(self, key):
        if (value := super().__getitem__(key)) is Unknown:
            raise Unknown
        return value


def test_what_a_preview_does_not_know_is_marked_and_the_rest_is_copied():
    value = Hidden(a=Unknown, b=(1, "text", Hidden(c=None)))
    assert given.plain(value, Unknown) == {"a": given.UNKNOWN, "b": [1, "text", {"c": None}]}


def test_an_unknown_quota_is_no_quota(tmp_path):
    read = given.read(project(tmp_path), "samsung-sds", MARCH.isoformat())
    _, _, _, quota, *_ = tenant_manifests(read.bounds.awards["gpu-a-1"], read.bounds.cluster)
    hidden = Hidden(quota["spec"]["hard"]) | {"requests.nvidia.com/gpu": Unknown}
    plain = given.plain({**quota, "spec": {"hard": Hidden(hidden)}}, Unknown)
    (found,) = OBJECT_RULES[Rule.AWARD](plain, read.bounds)
    assert "does not say how many nvidia.com/gpu" in found.text


def test_the_role_is_ours_when_pulumi_hands_it_over():
    role = given.manifest(
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "x", given.plain(tenant_role(), Unknown)
    )
    assert role == tenant_role()


# The pack's own files


def test_the_packs_environment_has_the_engines_version_of_pulumi():
    pins = dict(re.findall(r"^([a-z-]+)==(\S+)", (POLICIES / "requirements.txt").read_text(encoding="utf-8"), re.M))
    assert pins["pulumi"] == PULUMI_VERSION
    wanted = (POLICIES / "requirements.in").read_text(encoding="utf-8")
    assert all(f"{name}=={pins[name]}" in wanted for name in re.findall(r"^([a-z-]+)==", wanted, re.M))
    assert set(re.findall(r"^([a-z-]+)", wanted, re.M)) <= pins.keys()


def test_a_pack_without_its_environment_says_what_to_do(tmp_path):
    shutil.copytree(POLICIES, tmp_path / "policies", ignore=shutil.ignore_patterns(".venv"))
    command = [tmp_path / "policies/pulumi-analyzer-policy-gpuprov", "127.0.0.1:1", "."]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.endswith(f"run: bash {tmp_path}/policies/setup\n")


def test_the_bounds_of_another_programme_are_its_own(tmp_path):
    root = tmp_path / "npu-year"
    shutil.copytree(REPOSITORY / "examples" / "programmes" / "npu-year", root)
    read = given.read(root, "river-cloud", "2027-06-01T00:00")
    assert {tenant.award_id: (tenant.pool.model, tenant.gpus) for tenant in read.bounds.awards.values()} == {
        "NPU-2027-001": ("ATOM", 8),
        "NPU-2027-002": ("ATOM", 4),
        "GPU-2027-001": ("H100", 3),
    }
    assert {"requests.rebellions.ai/ATOM", "requests.nvidia.com/gpu"} <= set(read.bounds.gpu_keys)
    assert read.bounds.programme_end == datetime(2027, 12, 31, 15, tzinfo=UTC)
    objects = [
        manifest for tenant in read.bounds.awards.values() for manifest in tenant_manifests(tenant, read.bounds.cluster)
    ]
    assert violations(objects, read.bounds) == []
    assert given.read(root, "river-cloud", "2028-01-01").bounds.awards == {}


FAKE_PYTHON = """#!/bin/sh
case "$*" in
  "-m venv .venv") mkdir -p .venv/bin .venv/site && cp "$0" .venv/bin/python ;;
  "-m pip"*) ;;
  *sysconfig*) echo .venv/site ;;
  *) exec {python} "$@" ;;
esac
"""


@pytest.mark.parametrize("outside", [True, False], ids=["in a project outside", "in the repository"])
def test_the_packs_environment_has_the_gpuprov_of_the_project(tmp_path, outside):
    """Python stands for itself here, without making an environment or installing anything."""
    shutil.copytree(POLICIES, tmp_path / "policies", ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(FAKE_PYTHON.format(python=sys.executable), encoding="utf-8")
    python.chmod(0o755)
    if not outside:
        (tmp_path / "gpuprov").symlink_to(REPOSITORY / "gpuprov")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    subprocess.run(["bash", "policies/setup"], cwd=tmp_path, env=environment, check=True)
    site = tmp_path / "policies/.venv/site"
    (found,) = site.iterdir()
    if outside:
        assert found.readlink() == REPOSITORY / "gpuprov"
    else:
        assert (found.name, found.read_text(encoding="utf-8")) == ("gpuprov.pth", f"{tmp_path}\n")
    assert (tmp_path / "policies/.venv/installed").is_file()
