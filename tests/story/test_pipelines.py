"""The pipelines of a new project, file by file: what they may do, what they see, and what they start."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback import JsonHandler, serving
from projects import REPOSITORY, run_command

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.steps import Terms
from gpuprov.load.programme import default_programme
from gpuprov.load.project import open_project
from gpuprov.run.loading import load
from gpuprov.run.newproject import NewPool, NewProject, paths_of, renewable
from gpuprov.run.pipelines import PLATFORMS, pipeline_files
from gpuprov.run.renewing import NOTE

EXAMPLE = REPOSITORY / "examples" / "programme"
H100, A100, H200 = "NVIDIA-H100-80GB-HBM3", "NVIDIA-A100-SXM4-80GB", "NVIDIA-H200"
POOLS = {
    "elice-cloud": [("H100", 400, H100), ("A100", 80, A100)],
    "kt-cloud": [("H200", 400, H200)],
    "samsung-sds": [("H100", 200, H100)],
}
OWN = {"awards.csv", "ledger.jsonl"}
"""Files of the example that an office has written; in its stack files it has written the aliases."""


def cluster(provider: str) -> ProviderCluster:
    programme = default_programme()
    label = "nvidia.com/gpu.product"
    pools = [NewPool(model=model, gpus=gpus, label=label, value=product) for model, gpus, product in POOLS[provider]]
    return ProviderCluster.model_validate(
        {
            "provider": provider,
            "context": provider,
            "adminContext": f"{provider}-admin",
            "pools": [pool.configuration for pool in pools],
        },
        context=Terms(zone=programme.zone, resources=programme.resources),
    )


def project(ci: tuple[str, ...] = PLATFORMS) -> NewProject:
    text = (REPOSITORY / "gpuprov/programmes/2026-h1.yaml").read_text(encoding="utf-8")
    clusters = tuple(map(cluster, POOLS))
    programme = default_programme()
    return NewProject(
        name="programme", programme=programme, programme_text=text, clusters=clusters, virtualenv=True, ci=ci
    )


def as_written(path: str, text: str) -> str:
    """Return what a file of the example should say: in stack files the office has written the aliases."""
    if not path.startswith("stacks/Pulumi."):
        return text
    (aliases,) = re.findall(r"^    aliases: .*$", (EXAMPLE / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"^    aliases: .*$", aliases, text, flags=re.MULTILINE)


def test_the_example_is_what_init_makes_with_the_lists_of_an_office() -> None:
    files = project().files
    for path, file in files.items():
        written, text = EXAMPLE / path, as_written(path, file.text)
        if os.environ.get("GPUPROV_UPDATE_GOLDEN") and path not in OWN:
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(text, encoding="utf-8")
            written.chmod(0o755 if file.executable else 0o644)
        assert path in OWN or written.read_text(encoding="utf-8") == text, f"{path}: GPUPROV_UPDATE_GOLDEN=1"
        assert os.access(written, os.X_OK) == file.executable
    there = {str(path.relative_to(EXAMPLE)) for path in EXAMPLE.rglob("*") if path.is_file()}
    assert {path for path in there if "__pycache__" not in path} == files.keys()


def test_the_example_is_valid_and_has_suppliers_and_events() -> None:
    loaded = load(open_project(EXAMPLE))
    assert [cluster.provider for cluster in loaded.project.clusters] == list(POOLS)
    assert ({event.event for event in loaded.events}, loaded.excesses) == ({"accepted", "reduced", "forfeited"}, ())
    assert {history.award.provider for history in loaded.histories} == POOLS.keys()


def test_the_paths_are_known_before_the_files_are() -> None:
    for ci in ((), ("github",), PLATFORMS):
        made = project(ci)
        assert sorted(paths_of(made.programme, tuple(POOLS), ci)) == sorted(made.files)


def test_without_pipelines_nothing_of_them_is_there() -> None:
    files = project(()).files
    assert [path for path in files if path.startswith((".git", "wheels"))] == [".gitignore"]
    assert "In CI" not in files["README.md"].text
    assert "In CI" in project(("gitlab",)).files["README.md"].text
    assert NOTE in files
    assert not [path for path in renewable() if ".github" in path]


@pytest.mark.parametrize("provider", ["true", "1", "null", "kt-cloud"])
def test_a_suppliers_name_stays_a_text(provider: str) -> None:
    workflow = yaml.safe_load(pipeline_files(["github"], [provider])[".github/workflows/deploy.yml"].text)
    assert workflow["jobs"]["up"]["strategy"]["matrix"] == {"provider": [provider]}


# ---- GitHub

WORKFLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((EXAMPLE / ".github/workflows").glob("*.yml"))
}
ACTION = yaml.safe_load((EXAMPLE / ".github/actions/gpuprov/action.yml").read_text(encoding="utf-8"))
JOBS = [(name, job, WORKFLOWS[name]["jobs"][job]) for name in WORKFLOWS for job in WORKFLOWS[name]["jobs"]]
STEPS = [step for _, _, job in JOBS for step in job["steps"]] + ACTION["runs"]["steps"]
READS, SIGNS = {"contents": "read"}, {"contents": "read", "id-token": "write"}
RIGHTS = {
    ("check", "files"): READS,
    ("check", "preview"): SIGNS,
    ("check", "comment"): READS | {"pull-requests": "write"},
    ("deploy", "up"): SIGNS,
    ("expire", "expire"): SIGNS,
    ("nightly", "look"): SIGNS,
    ("nightly", "issue"): READS | {"issues": "write"},
}
ON_CLUSTERS = {job for job, rights in RIGHTS.items() if rights == SIGNS}


def test_every_job_has_the_rights_that_it_needs_and_no_other() -> None:
    assert {name: workflow["permissions"] for name, workflow in WORKFLOWS.items()} == {name: {} for name in WORKFLOWS}
    assert {(name, key): job["permissions"] for name, key, job in JOBS} == RIGHTS


def test_a_clusters_job_sees_its_own_environment_and_others_see_no_secret() -> None:
    for name, key, job in JOBS:
        on_cluster = (name, key) in ON_CLUSTERS
        environment = f"{'preview-' if name == 'check' else ''}${{{{ matrix.provider }}}}"
        assert job.get("environment") == (environment if on_cluster else None)
        assert ("secrets." in str(job)) == on_cluster
        assert "secrets." not in str(job.get("env", {}))  # only the steps that need them
        assert ("github.token" in str(job)) == (key in {"comment", "issue"})


def test_one_run_at_a_time_acts_on_a_stack_and_none_is_dropped() -> None:
    wanted = {"group": "gpuprov-${{ matrix.provider }}", "cancel-in-progress": False, "queue": "max"}
    acting = {(name, key): job["concurrency"] for name, key, job in JOBS if "concurrency" in job}
    assert acting == dict.fromkeys(ON_CLUSTERS - {("check", "preview")}, wanted)
    assert WORKFLOWS["check"]["concurrency"]["cancel-in-progress"] is True


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    for text in (path.read_text(encoding="utf-8") for path in (EXAMPLE / ".github").rglob("*.yml")):
        for action, version in re.findall(r"uses: (\S+)(.*)", text):
            assert action == "./.github/actions/gpuprov" or (
                re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) and re.fullmatch(r" # v\d+\.\d+\.\d+", version)
            ), action
    assert len(used) > 10
    assert len({action for action in used if "@" in action}) == 4


def test_no_value_from_outside_is_pasted_into_a_script() -> None:
    scripts = [step["run"] for step in STEPS if "run" in step]
    assert len(scripts) >= 10
    assert [script for script in scripts if "${{" in script] == []


def test_no_token_is_left_in_the_checkout() -> None:
    checkouts = [step["with"] for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert {checkout["persist-credentials"] for checkout in checkouts} == {False}
    deploying = [job["steps"][0]["with"] for name, _, job in JOBS if name != "check"]
    assert {checkout["ref"] for checkout in deploying} == {"main"}


def test_it_runs_when_it_should() -> None:
    triggers = {name: workflow[True] for name, workflow in WORKFLOWS.items()}  # YAML 1.1 reads `on` as true
    assert triggers["check"] == {"pull_request": {"branches": ["main"]}}
    assert triggers["deploy"]["push"] == {"branches": ["main"]}
    assert [entry["cron"].split()[1:] for entry in triggers["expire"]["schedule"]] == [["*"] * 4]
    assert [entry["cron"].split()[1] for entry in triggers["nightly"]["schedule"]] == ["18"]


def test_the_platforms_own_token_is_written_beside_the_kubeconfig(tmp_path: Path) -> None:
    asked: list[tuple[str, str | None]] = []

    class Tokens(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 (the base class's name)
            asked.append((self.path, self.headers.get("Authorization")))
            self.reply(200, {"value": "id-token", "count": 1})

    (step,) = [step for step in ACTION["runs"]["steps"] if step.get("name") == "Write the kubeconfig"]
    with serving(Tokens) as url:
        variables = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_ENV": str(tmp_path / "env"),
            "KUBECONFIG_TEXT": json.dumps({"kind": "Config"}),
            "AUDIENCE": "kt-cloud",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{url}/token?api-version=2",
        }
        ran = run_command(["bash", "-eo", "pipefail", "-c", step["run"]], tmp_path, variables)
    assert (ran.code, ran.out, ran.err) == (0, "", ""), ran
    assert asked == [("/token?api-version=2&audience=kt-cloud", "bearer request-token")]
    assert (tmp_path / "token").read_text(encoding="utf-8") == "id-token"
    assert (tmp_path / "kubeconfig").read_text(encoding="utf-8") == '{"kind": "Config"}\n'
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.name != "env"} == {
        "token": 0o600,
        "kubeconfig": 0o600,
    }
    assert (tmp_path / "env").read_text(encoding="utf-8") == f"KUBECONFIG={tmp_path}/kubeconfig\n"


# ---- GitLab


class _Loader(yaml.SafeLoader):
    """Reads `!reference [job, key]` as it stands."""


_Loader.add_constructor("!reference", lambda loader, node: tuple(loader.construct_sequence(node)))


def test_gitlabs_pipeline_has_known_keys_and_every_job_a_stage_and_rules() -> None:
    text = (EXAMPLE / ".gitlab-ci.yml").read_text(encoding="utf-8")
    pipeline = yaml.load(text, _Loader)  # noqa: S506 (a safe loader with one more tag)
    settings = {name: pipeline.pop(name) for name in ("stages", "workflow", "variables", "default")}
    keys = {"extends", "stage", "rules", "script", "before_script", "environment", "resource_group", "artifacts"}
    assert {key for job in pipeline.values() for key in job} <= keys | {"parallel", "id_tokens"}
    jobs = {name: job for name, job in pipeline.items() if not name.startswith(".")}
    for job in jobs.values():
        bases = [job["extends"]] if isinstance(job["extends"], str) else job["extends"]
        whole = {key: value for base in bases for key, value in pipeline[base].items()} | job
        assert whole["stage"] in settings["stages"]
        assert whole["rules"]
        assert whole["before_script"]
        assert whole["script"]
    assert {name for name, job in jobs.items() if "resource_group" in job} == {"up", "expire", "look"}
    environments = {name: job.get("environment", {}).get("name") for name, job in jobs.items()}
    assert environments == {
        "files": None,
        "preview": "preview/$PROVIDER",
        "comment": "notes",
        "up": "$PROVIDER",
        "expire": "$PROVIDER",
        "look": "$PROVIDER",
        "issue": "notes",
    }
    assert settings["default"]["interruptible"] is False
    assert Path(EXAMPLE, "wheels/README.md").is_file()
