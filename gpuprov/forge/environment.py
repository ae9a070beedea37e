"""Which platform runs this, and where its API is: from the variables that GitHub Actions and GitLab CI set."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gpuprov.errors import InputError, Problem
from gpuprov.forge.github import GitHub
from gpuprov.forge.gitlab import GitLab
from gpuprov.forge.note import Forge
from gpuprov.i18n import tr

GITHUB_TOKEN, GITLAB_TOKEN = "GITHUB_TOKEN", "GITLAB_TOKEN"
"""The variables that have the token; it is taken from nowhere else."""


def open_forge(environment: Mapping[str, str]) -> Forge:
    """Return the platform of this run. Raises InputError with every variable that is missing or not as documented."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return _github(environment)
    if environment.get("GITLAB_CI") == "true":
        return _gitlab(environment)
    message = tr("neither of the two is set: this is no run of GitHub Actions or GitLab CI")
    raise InputError([Problem(argument="GITHUB_ACTIONS, GITLAB_CI", message=message, remedy=tr("run it in CI"))])


def _github(environment: Mapping[str, str]) -> GitHub:
    read = _Reader(environment)
    api = read.wanted("GITHUB_API_URL", r"https?://\S+")
    repository = read.wanted("GITHUB_REPOSITORY", r"[\w.-]+/[\w.-]+")
    token = read.secret(GITHUB_TOKEN, tr("give the step `GITHUB_TOKEN: ${{{{ github.token }}}}` in its `env`"))
    read.check()
    number = re.fullmatch(r"refs/pull/(\d+)/\w+", environment.get("GITHUB_REF", ""))
    run = environment.get("GITHUB_RUN_ID", "")
    address = f"{environment.get('GITHUB_SERVER_URL', '')}/{repository}/actions/runs/{run}" if run else ""
    graphql = environment.get("GITHUB_GRAPHQL_URL") or f"{api}/graphql"
    return GitHub(api, graphql, token, repository, int(number[1]) if number else None, run=address)


def _gitlab(environment: Mapping[str, str]) -> GitLab:
    read = _Reader(environment)
    api = read.wanted("CI_API_V4_URL", r"https?://\S+")
    project = read.wanted("CI_PROJECT_ID", r"\d+")
    token = read.secret(GITLAB_TOKEN, tr("make a project access token with the scope `api`, as a masked variable"))
    read.check()
    number = environment.get("CI_MERGE_REQUEST_IID", "")
    run = environment.get("CI_PIPELINE_URL", "")
    return GitLab(api, token, int(project), int(number) if number.isdecimal() else None, run=run)


class _Reader:
    """Reads variables, and keeps what is wrong with them until all were read."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[Problem] = []

    def wanted(self, name: str, pattern: str) -> str:
        """Return a variable that the platform sets."""
        value = self._environment.get(name, "")
        if re.fullmatch(pattern, value) is None:
            message, remedy = tr("is not what it should be"), tr("the platform sets it: do not change it")
            self._problems.append(Problem(argument=name, value=value, message=message, remedy=remedy))
        return value

    def secret(self, name: str, remedy: str) -> str:
        """Return a token, which is never shown."""
        value = self._environment.get(name, "").strip()
        if not value:
            self._problems.append(Problem(argument=name, message=tr("is not set"), remedy=remedy))
        return value

    def check(self) -> None:
        """Raise InputError if anything is wrong."""
        if self._problems:
            raise InputError(self._problems)
