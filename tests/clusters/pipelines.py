"""Pipelines as their platforms run them: jobs in order, on their conditions, each with its own folder and secrets.

What a pipeline says decides; only the platform's own actions (checkout, artifacts, Python) are played here. Scripts are
run by bash, with the variables that the platform sets.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from projects import REPOSITORY, Ran, run_command

SECRETS = "secrets."


@dataclass
class Office:
    """A repository with an origin, and what its platform knows. ``secrets`` are those of an environment, by its name;
    ``variables`` are what the platform sets for every job; ``token`` may write notes.
    """

    folder: Path
    secrets: Callable[[str], Mapping[str, str]]
    variables: Mapping[str, str]
    token: str
    at: str = ""
    said: list[str] = field(default_factory=list)

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    @property
    def python(self) -> Path:
        """The Python that the platform has: it knows what gpuprov needs, and no gpuprov."""
        home = self.folder / "python"
        if not home.exists():
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            (site,) = home.glob("lib/python*/site-packages")
            (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        return home / "bin"

    def workspace(self, job: str, ref: str) -> Path:
        """Check a commit out, into a folder of the job's own, with the whole history."""
        place = self.folder / "jobs" / job
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        git(place, "clone", "--quiet", str(self.origin), "work")
        git(place / "work", "checkout", "--quiet", ref)
        return place / "work"

    def run(self, script: str, work: Path, environment: Mapping[str, str], shell: Sequence[str]) -> Ran:
        """Run a script in a job's folder."""
        base = {
            "PATH": os.pathsep.join([str(self.python), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(work.parent),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
            "LANG": "C.UTF-8",
            "GPUPROV_AT": self.at,
        }
        ran = run_command([*shell, script], work, base | dict(self.variables) | dict(environment))
        self.said.append(ran.out + ran.err)
        return ran


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=kim", "-c", "user.email=kim@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def build_wheel(folder: Path) -> None:
    """Fill a project's folder `wheels`, with a lock of nothing: what is needed is there already."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (folder / "requirements.lock").write_text("", encoding="utf-8")


Jobs = dict[str, bool | None]
"""Each job that was there: whether it ended well; None where it was skipped."""


class GitHub:
    """Runs workflows. A pull request is checked out as it would be merged."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def pull_request(self, branch: str) -> Jobs:
        sha = git(self.office.origin, "rev-parse", "main")
        event = {"github.event.pull_request.base.sha": sha, "github.event.pull_request.number": "7"}
        event |= {"github.event.pull_request.head.repo.full_name": self.office.variables["GITHUB_REPOSITORY"]}
        return self._workflow("check", branch, event)

    def merged(self) -> Jobs:
        return self._workflow("deploy", "main", {})

    def hourly(self) -> Jobs:
        return self._workflow("expire", "main", {})

    def nightly(self) -> Jobs:
        return self._workflow("nightly", "main", {})

    def _workflow(self, name: str, ref: str, event: Mapping[str, str]) -> Jobs:
        text = git(self.office.origin, "show", f"{ref}:.github/workflows/{name}.yml")
        workflow = yaml.safe_load(text)
        artifacts = self.office.folder / "artifacts"
        shutil.rmtree(artifacts, ignore_errors=True)
        context = {"github.repository": self.office.variables["GITHUB_REPOSITORY"], **event}
        done: Jobs = {}
        for key, job in workflow["jobs"].items():
            needs = job.get("needs", [])
            before = [done[need] for need in ([needs] if isinstance(needs, str) else needs)]
            condition = str(job.get("if", "true")).removeprefix("${{").removesuffix("}}")
            if not _value(condition, context) or not (all(before) or "cancelled()" in condition):
                done[key] = None
                continue
            job["env"] = workflow.get("env", {}) | job.get("env", {})
            runs = [
                self._job(f"{key}-{leg or 'one'}", job, ref, context | {"matrix.provider": leg})
                for leg in job.get("strategy", {}).get("matrix", {"provider": [""]})["provider"]
            ]
            done[key] = all(runs)
        return done

    def _job(self, name: str, job: dict[str, Any], ref: str, context: dict[str, str]) -> bool:
        environment = _filled(str(job.get("environment", "")), context)
        context |= {f"{SECRETS}{key}": value for key, value in self.office.secrets(environment).items()}
        context |= {"github.token": self.office.token}
        work = self.office.folder / "jobs" / name / "work"
        temp = self.office.folder / "runner" / name
        shutil.rmtree(temp, ignore_errors=True)
        temp.mkdir(parents=True)
        variables = {"RUNNER_TEMP": str(temp), "GITHUB_ENV": str(temp / "env")}
        variables |= {key: _filled(value, context) for key, value in job["env"].items()}
        (temp / "env").touch()
        well = True
        for step in job["steps"]:
            if not (well or "cancelled()" in str(step.get("if", ""))):
                continue
            uses = step.get("uses", "")
            if uses.startswith("actions/checkout@"):
                work = self.office.workspace(name, step["with"].get("ref", ref))
            elif uses.startswith("./"):
                given = {key: _filled(str(value), context) for key, value in step.get("with", {}).items()}
                well = self._action(work, uses, variables, context, given) and well
            else:
                well = self._step(step, work, variables, context) and well
        return well

    def _action(
        self, work: Path, path: str, variables: dict[str, str], context: Mapping[str, str], given: Mapping[str, str]
    ) -> bool:
        action = yaml.safe_load((work / path / "action.yml").read_text(encoding="utf-8"))
        assert given.keys() <= action["inputs"].keys()
        inputs = {f"inputs.{name}": given.get(name, value["default"]) for name, value in action["inputs"].items()}
        # an action of the repository's own sees what it is given, and no secret besides
        seen = {name: value for name, value in context.items() if not name.startswith(SECRETS)} | inputs
        return all(
            self._step(step, work, variables, seen)
            for step in action["runs"]["steps"]
            if _value(step.get("if", "true"), seen)
        )

    def _step(self, step: dict[str, Any], work: Path, variables: dict[str, str], context: Mapping[str, str]) -> bool:
        options = {key: _filled(str(value), context) for key, value in step.get("with", {}).items()}
        action = step.get("uses", "run").partition("@")[0]
        artifacts = self.office.folder / "artifacts"
        if action == "actions/upload-artifact":
            if (work / options["path"]).exists():
                shutil.copytree(work / options["path"], artifacts / options["name"])
        elif action == "actions/download-artifact":
            for found in sorted(artifacts.glob(options["pattern"])):
                shutil.copytree(found, work / options["path"], dirs_exist_ok=True)
        elif action == "run":
            shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"] if "shell" in step else ["bash", "-ec"]
            own = {key: _filled(value, context) for key, value in step.get("env", {}).items()}
            ran = self.office.run(step["run"], work, variables | own, shell)
            added = Path(variables["GITHUB_ENV"]).read_text(encoding="utf-8").splitlines()
            variables |= dict(line.split("=", 1) for line in added)
            return ran.code == 0
        else:
            assert action == "actions/setup-python", action
        return True


_TOKEN = re.compile(r"'[^']*'|!?cancelled\(\)|[a-z_][\w.]*|==|!=|&&|\|\||\s+")


def _value(expression: str, context: Mapping[str, str]) -> Any:
    """Return the value of an expression of GitHub's, of those that the workflows have."""
    parts = []
    for token in _TOKEN.findall(expression):
        known = {"&&": " and ", "||": " or ", "!cancelled()": "True", "true": "True"}
        name = re.fullmatch(r"[a-z_][\w.]*", token) and token not in known
        parts.append(repr(context.get(token, "")) if name else known.get(token, token))
    assert "".join(_TOKEN.findall(expression)) == expression, expression
    return eval("".join(parts).strip())  # noqa: S307 (of quoted texts and operators only)


def _filled(text: str, context: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(_value(found[1], context)), text)
