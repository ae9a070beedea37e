"""GitLab's pipelines, run as `pipelines` runs GitHub's workflows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from pipelines import Jobs, Office, git


class _Loader(yaml.SafeLoader):
    """Reads `!reference [job, key]` as it stands."""


_Loader.add_constructor("!reference", lambda loader, node: tuple(loader.construct_sequence(node)))


class GitLab:
    """Runs pipelines. A merge request is checked out as its branch is."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def pull_request(self, branch: str) -> Jobs:
        base = git(self.office.origin, "merge-base", "main", branch)
        event = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}
        return self._pipeline(branch, event | {"CI_MERGE_REQUEST_IID": "7"})

    def merged(self) -> Jobs:
        return self._pipeline("main", {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"})

    def hourly(self) -> Jobs:
        return self._scheduled("expire")

    def nightly(self) -> Jobs:
        return self._scheduled("nightly")

    def _scheduled(self, what: str) -> Jobs:
        event = {"CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_BRANCH": "main", "GPUPROV_SCHEDULE": what}
        return self._pipeline("main", event)

    def _pipeline(self, ref: str, event: Mapping[str, str]) -> Jobs:
        text = git(self.office.origin, "show", f"{ref}:.gitlab-ci.yml")
        pipeline = yaml.load(text, _Loader)  # noqa: S506 (a safe loader with one more tag)
        variables = pipeline.pop("variables") | {"CI_DEFAULT_BRANCH": "main", **event}
        assert any(_holds(rule["if"], variables) for rule in pipeline.pop("workflow")["rules"])
        stages = pipeline.pop("stages")
        pipeline.pop("default")
        artifacts = self.office.folder / "artifacts"
        shutil.rmtree(artifacts, ignore_errors=True)
        done: Jobs = {}
        jobs = {name: _extended(pipeline, name) for name in pipeline if not name.startswith(".")}
        for name, job in sorted(jobs.items(), key=lambda item: stages.index(item[1]["stage"])):
            rule = next((rule for rule in job["rules"] if _holds(rule["if"], variables)), None)
            if rule is None:
                continue
            if False in done.values() and rule.get("when") != "always":
                done[name] = None
                continue
            legs = job.get("parallel", {"matrix": [{"PROVIDER": [""]}]})["matrix"][0]["PROVIDER"]
            runs = [self._job(f"{name}-{leg or 'one'}", job, ref, {**variables, "PROVIDER": leg}) for leg in legs]
            done[name] = all(runs)
        return done

    def _job(self, name: str, job: dict[str, Any], ref: str, variables: dict[str, str]) -> bool:
        work = self.office.workspace(name, ref)
        artifacts = self.office.folder / "artifacts"
        if artifacts.exists():
            shutil.copytree(artifacts, work, dirs_exist_ok=True)
        environment = _expanded(job.get("environment", {}).get("name", ""), variables)
        secrets = dict(self.office.secrets(environment))
        if "KUBECONFIG" in secrets:  # a variable of the type file
            path = work.with_name("work.tmp") / "KUBECONFIG"
            path.parent.mkdir()
            path.write_text(secrets["KUBECONFIG"], encoding="utf-8")
            secrets["KUBECONFIG"] = str(path)
        if environment == "notes":
            secrets["GITLAB_TOKEN"] = self.office.token
        secrets |= dict.fromkeys(job.get("id_tokens", {}), "id-token")
        script = "\n".join(["set -eo pipefail", *job["before_script"], *job["script"]])
        ran = self.office.run(script, work, variables | secrets, ["bash", "-c"])
        for path in job.get("artifacts", {}).get("paths", []):
            if (work / path).exists():
                shutil.copytree(work / path, artifacts / path, dirs_exist_ok=True)
        return ran.code == 0


def _extended(pipeline: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a job with what it extends, and scripts without references."""
    job = pipeline[name]
    bases = job.get("extends", [])
    whole: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        whole |= _extended(pipeline, base)
    whole |= job
    for key in whole.keys() & {"before_script", "script"}:
        whole[key] = list(_lines(pipeline, whole[key]))
    return whole


def _lines(pipeline: Mapping[str, Any], script: Sequence[str | tuple[str, str]]) -> Iterator[str]:
    for line in script:
        if isinstance(line, tuple):
            yield from pipeline[line[0]][line[1]]
        else:
            yield line


def _holds(rule: str, variables: Mapping[str, str]) -> bool:
    """Tell whether a rule of GitLab's holds, of those that the pipeline has: comparisons, all of which must hold."""
    for comparison in rule.split("&&"):
        left, operator, right = re.fullmatch(r"\s*(\S+) (==|!=) (\S+)\s*", comparison).groups()  # type: ignore[union-attr]
        same = _operand(left, variables) == _operand(right, variables)
        if same != (operator == "=="):
            return False
    return True


def _operand(text: str, variables: Mapping[str, str]) -> str | None:
    return text.strip('"') if text.startswith('"') else variables.get(text.removeprefix("$"))


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: variables[found[1]], text)
