"""`gpuprov init`: what it writes, reads from clusters, asks, and refuses."""

import json
import os
import pty
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cli_project import files, run
from cli_world import Api, World, answering, make_world
from loopback import serving, unused_port
from projects import REPOSITORY, Ran, run_command

from gpuprov.load.project import open_project

PRODUCT = "nvidia.com/gpu.product"
KT = ("--supplier", "kt-cloud=kt,kt-admin")
POOL = ("--pool", f"kt-cloud:H200=16:{PRODUCT}=NVIDIA-H200")


@pytest.fixture
def place(tmp_path: Path) -> World:
    """An empty folder, and a kubeconfig that is not there."""
    folder = tmp_path / "here"
    folder.mkdir()
    return replace(make_world(tmp_path), root=folder)


@pytest.fixture
def nodes(place: World) -> Iterator[Api]:
    """API servers of two suppliers: one has two models, and answers to its administrator's context alone."""
    played = Api()
    played.objects["kt", "Node"] = [node("k1", "NVIDIA-H200", 8), node("k2", "NVIDIA-H200", 8), node("cpu", "", 0)]
    played.objects["sds", "Node"] = [node("s1", "NVIDIA-H100-80GB-HBM3", 8), node("s2", "NVIDIA-A100-SXM4-80GB", 4)]
    with serving(answering(played)) as url:
        place.contexts({"kt-admin": f"{url}/kt", "sds": f"{url}/sds", "kt": f"http://127.0.0.1:{unused_port()}"})
        yield played
    assert played.writes == []


def node(name: str, product: str, gpus: int) -> dict[str, object]:
    labels = {PRODUCT: product} if product else {}
    status = {"allocatable": {"nvidia.com/gpu": str(gpus)}, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}


def problems(ran: Ran) -> list[tuple[str, str]]:
    return [(problem.get("argument") or problem["file"], problem["message"]) for problem in ran.data["problems"]]


def test_a_program_for_credentials_is_only_run_where_it_is_named(place: World, nodes: Api) -> None:
    script, path = place.root / "kubelogin", Path(place.environment["KUBECONFIG"])
    status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t"}}
    script.write_text(f"#!/bin/sh\necho '{json.dumps(status)}'\n", encoding="utf-8")
    script.chmod(0o755)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    for user in document["users"]:
        user["user"] = {"exec": plugin}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    refused = place.run_as_typed("init", "mine", *KT)
    assert (refused.code, f"runs the program '{script}'" in refused.err) == (1, True), refused
    assert place.run_as_typed("init", "mine", *KT, "--exec-plugin", str(script)).code == 0
    (kt,) = open_project(place.root / "mine").clusters
    assert kt.exec_plugins == (str(script),)


def test_pools_and_uid_come_from_the_clusters(place: World, nodes: Api) -> None:
    ran = place.run_as_typed("init", "mine", *KT, "--supplier", "samsung-sds=sds", "--json")
    assert ran.code == 0, ran
    kt, sds = open_project(place.root / "mine").clusters
    assert {pool.model: (pool.capacity, dict(pool.node_label)) for pool in kt.pools} == {
        "H200": (16, {PRODUCT: "NVIDIA-H200"})
    }
    assert (kt.context, kt.admin_context, kt.uid) == ("kt", "kt-admin", "uid-of-kt")
    assert {pool.model: pool.capacity for pool in sds.pools} == {"H100": 8, "A100": 4}
    assert (sds.context, sds.admin_context, sds.uid) == ("sds", None, "uid-of-sds")
    assert ran.data["validate"] == place.run_as_typed("validate", "--json", "-C", "mine").data
    assert [pool["peak"] for pool in ran.data["validate"]["pools"]] == [1, 4, 1]
    assert ran.data.keys() == {"folder", "name", "files", "validate"}
    assert (ran.data["folder"], ran.data["name"]) == (str(place.root / "mine"), "mine")
    assert ran.data["files"] == sorted(files(place.root / "mine").keys())


def test_it_says_what_it_made_and_the_next_commands(place: World) -> None:
    ran = place.run_as_typed("init", *KT, *POOL, "--name", "mine")
    assert ran.code == 0, ran
    assert ran.out.startswith(f"made {place.root}:\n  .gitignore\n  .gpuprov.json\n  Pulumi.yaml\n")
    assert "\nvalid: 1 award, 1 selected, 0 forfeited in the ledger\n" in ran.out
    assert [line.strip() for line in ran.out.splitlines()[-3:]] == [
        "gpuprov setup",
        "gpuprov preflight",
        "gpuprov plan",
    ]
    assert (place.root / ".venv").readlink() == Path(sys.prefix)
    elsewhere = place.run_as_typed("init", "a b", *KT, *POOL, "--name", "mine")
    assert f"\n  cd '{place.root}/a b' && gpuprov setup\n" in elsewhere.out


def test_pipelines_have_a_job_for_each_supplier(place: World, nodes: Api) -> None:
    ran = place.run_as_typed("init", "mine", *KT, "--supplier", "samsung-sds=sds", "--ci", "gitlab", "--json")
    assert (ran.code, {".gitlab-ci.yml", "wheels/README.md"} <= set(ran.data["files"])) == (0, True), ran
    assert "PROVIDER: [kt-cloud, samsung-sds]\n" in (place.root / "mine" / ".gitlab-ci.yml").read_text(encoding="utf-8")
    (place.root / "other" / ".github" / "workflows").mkdir(parents=True)
    (place.root / "other" / ".github" / "workflows" / "deploy.yml").write_text("mine", encoding="utf-8")
    ran = place.run_as_typed("init", "other", *KT, "--ci", "github", "--ci", "gitlab", "--json")
    path = f"{place.root}/other/.github/workflows/deploy.yml"
    assert (ran.code, problems(ran)) == (1, [(path, "exists already")]), ran


def test_a_second_time_everything_is_in_the_way_and_nothing_is_changed(place: World) -> None:
    first = place.run_as_typed("init", *KT, *POOL, "--json")
    (place.root / "awards.csv").write_text("mine")
    before = files(place.root)
    again = place.run_as_typed("init", *KT, *POOL, "--json")
    assert (first.code, again.code) == (0, 1)
    assert problems(again) == [(f"{place.root}/{name}", "exists already") for name in first.data["files"]]
    assert files(place.root) == before


def test_a_cluster_that_cannot_be_read_needs_its_pools_and_nothing_is_written(place: World, nodes: Api) -> None:
    nodes.refused.add(("sds", "Node"))
    nodes.objects["kt", "Node"] = [node("l1", "NVIDIA-L40S", 8)]
    ran = place.run_as_typed("init", *KT, "--supplier", "sds=sds", "--supplier", "elice=none", "--json")
    assert (ran.code, files(place.root)) == (1, {})
    (kt, sds, elice) = ran.data["problems"]
    assert "no node offers H100, A100, H200" in kt["message"]
    assert "NVIDIA-L40S is no accelerator of the programme" in kt["message"]
    assert "may not list nodes (no right to list Node)" in sds["message"]
    assert "no usable context 'none'" in elice["message"]
    remedy = "pass each pool as --pool elice:MODEL=GPUS:LABEL=VALUE"
    assert remedy in elice["remedy"]


def test_two_suppliers_on_one_cluster_are_refused(place: World, nodes: Api) -> None:
    ran = place.run_as_typed("init", "--supplier", "a=sds", "--supplier", "b=sds", "--json")
    assert (ran.code, files(place.root)) == (1, {})
    assert "a and b lead to one cluster" in problems(ran)[0][1]


def test_a_programme_file_is_copied_and_decides(place: World) -> None:
    path = REPOSITORY / "examples/programmes/b200-loan/programme.yaml"
    pool = ("--pool", "sky=32:")
    assert place.run_as_typed("init", "--supplier", "sky=sky", *pool).code == 2
    pool = ("--pool", f"sky:B200=32:{PRODUCT}=NVIDIA-B200")
    ran = place.run_as_typed("init", "--supplier", "sky=sky", *pool, "--programme", str(path), "--json")
    assert (ran.code, ran.data["validate"]["pools"][0]["peak"]) == (0, 1), ran
    assert (place.root / "programme.yaml").read_bytes() == path.read_bytes()
    assert open_project(place.root).programme.name == "B200 loan, September 2026"


def test_a_model_that_the_programme_does_not_lend_is_told(place: World) -> None:
    pools = ("--pool", f"kt-cloud:B200=8:{PRODUCT}=NVIDIA-B200", "--pool", "kt-cloud:H100=8:x=y")
    ran = place.run_as_typed("init", *KT, *pools, "--json")
    assert (ran.code, files(place.root)) == (1, {})
    assert problems(ran) == [
        ("--pool", "'B200' is no accelerator of the programme: write one of H100, A100, H200"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "pass --supplier NAME=CONTEXT[,ADMIN]: there is no terminal to ask at"),
        (("--supplier", "KT=kt"), "'KT' is no supplier's name"),
        (("--supplier", "kt"), "--supplier 'kt' is not of the form NAME=CONTEXT[,ADMIN]"),
        (("--supplier", "kt=a", "--supplier", "kt=b"), "--supplier names kt twice"),
        (("--pool", "sds:H100=8:a=b"), "--pool names sds, which no --supplier does"),
        (("--supplier", "kt=a", "--pool", "sds:H100=8:a=b"), "--pool names sds, which no --supplier does"),
        (("--supplier", "kt=a", "--pool", "kt:H100=8"), "is not of the form SUPPLIER:MODEL=GPUS:LABEL=VALUE"),
        (("--supplier", "kt=a", "--name", "내 것"), "'내 것' is no name of a project"),
    ],
)
def test_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("init", "mine", *arguments)
    assert (result.exit_code, result.stdout, files(tmp_path)) == (2, "", {})
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_a_programme_that_there_is_not_is_told_with_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("init", "mine", *KT, *POOL, "--programme", "2027")
    assert result.exit_code == 1
    assert "--programme '2027': is no file; name a file, or one of 2026-h1" in result.stderr


def test_at_a_terminal_it_asks(place: World) -> None:
    """Answers are typed ahead: an unusable name first, then a supplier whose cluster cannot be read."""
    answers = ("KT", "kt-cloud", "kt", "", "n", "", "H200", "16", "", "NVIDIA-H200", "n")
    main, side = pty.openpty()
    try:
        os.write(main, "".join(f"{answer}\n" for answer in answers).encode())
        command = [sys.executable, "-m", "gpuprov", "init", "mine", "--json"]
        ran = run_command(command, place.root, place.environment, stdin=side)
    finally:
        os.close(main)
        os.close(side)
    assert ran.code == 0, ran
    assert "is no supplier's name" in ran.err
    assert "kt-cloud: its pools cannot be read: no usable context 'kt'" in ran.err
    (cluster,) = open_project(place.root / "mine").clusters
    (pool,) = cluster.pools
    assert (cluster.context, cluster.admin_context) == ("kt", None)
    assert (pool.model, pool.capacity, dict(pool.node_label)) == ("H200", 16, {PRODUCT: "NVIDIA-H200"})


def test_at_a_terminal_an_answer_that_is_not_given_changes_nothing(tmp_path: Path) -> None:
    main, side = pty.openpty()
    try:
        os.write(main, b"kt-cloud\n\x04")
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}
        ran = run_command([sys.executable, "-m", "gpuprov", "init", "mine"], tmp_path, environment, stdin=side)
    finally:
        os.close(main)
        os.close(side)
    assert (ran.code, ran.out, files(tmp_path)) == (130, "", {})
    assert ran.err.endswith("\nnothing was changed\n")


def test_renew_brings_gpuprovs_own_files_up_to_date_and_leaves_what_was_changed(place: World) -> None:
    assert place.run_as_typed("init", *KT, *POOL, "--name", "mine").code == 0
    pack = place.root / "policies"
    setup = (pack / "setup").read_text(encoding="utf-8")
    (pack / "setup").unlink()
    (pack / "given.py").write_text("own = 1\n", encoding="utf-8")
    compare = f"diff {REPOSITORY}/policies/given.py {pack}/given.py"
    ran = place.run_as_typed("init", "--renew")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "renewed policies/setup"
    assert f"  {compare}" in ran.out.splitlines()
    assert ((pack / "setup").read_text(encoding="utf-8"), os.access(pack / "setup", os.X_OK)) == (setup, True)
    ran = place.run_as_typed("init", "--renew", "--json")
    assert (ran.data["renewed"], ran.data["changed"]) == ([], [{"file": "policies/given.py", "compare": compare}])
    assert len(ran.data["current"]) == 7
    (pack / "given.py").unlink()
    assert place.run_as_typed("init", "--renew").out == "renewed policies/given.py\n"
    assert place.run_as_typed("init", "--renew").out == "nothing to renew\n"


def test_renew_needs_a_project_and_no_other_option(place: World) -> None:
    ran = place.run_as_typed("init", "--renew", "--json")
    assert (ran.code, problems(ran), files(place.root)) == (1, [("FOLDER", "has no Pulumi.yaml")], {})
    ran = place.run_as_typed("init", "--renew", *KT)
    assert (ran.code, "--renew takes no other option than --json" in ran.err) == (2, True)
