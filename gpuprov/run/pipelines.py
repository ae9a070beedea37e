"""The pipelines of a new project, which deploy changes of its lists: for GitHub Actions, GitLab CI, or both."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import yaml

from gpuprov.load.packaged import packaged
from gpuprov.run.newfile import NewFile

_FILES = {
    "github": {
        ".github/actions/gpuprov/action.yml": "github/action.yml",
        ".github/workflows/check.yml": "github/check.yml",
        ".github/workflows/deploy.yml": "github/deploy.yml",
        ".github/workflows/expire.yml": "github/expire.yml",
        ".github/workflows/nightly.yml": "github/nightly.yml",
    },
    "gitlab": {".gitlab-ci.yml": "gitlab/gitlab-ci.yml"},
}
_BOTH = {"wheels/README.md": "wheels.md"}
_PROVIDERS = "@providers@"
"""Stands in the templates for the list of the suppliers: `$` and braces are the pipelines' own."""

PLATFORMS = tuple(_FILES)
"""The platforms that there are pipelines for."""


def pipeline_paths(platforms: Collection[str]) -> dict[str, str]:
    """Return the paths of the pipelines' files in a project, each with that of its template."""
    files = {path: template for platform in platforms for path, template in _FILES[platform].items()}
    return files | _BOTH if files else {}


def pipeline_files(platforms: Collection[str], providers: Sequence[str]) -> dict[str, NewFile]:
    """Return the pipelines' files for these suppliers, which have a job each."""
    names = yaml.safe_dump([*providers], default_flow_style=True, width=10_000).strip()
    templates = pipeline_paths(platforms)
    return {path: NewFile(text=_text(name).replace(_PROVIDERS, names)) for path, name in templates.items()}


def pipelines_told(platforms: Collection[str]) -> str:
    """Return what the project's README says of its pipelines; nothing where it has none."""
    return _text("readme.md") if platforms else ""


def _text(template: str) -> str:
    return packaged(f"templates/project/ci/{template}").read_text(encoding="utf-8")
