"""The chart that `gpuprov setup` installs: the project's own, or else the one that comes with gpuprov."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from gpuprov.core.manifests import CHART
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.packaged import packaged
from gpuprov.load.project import Project


def chart_of(root: Path) -> Path:
    """Return the folder of the chart. Raises InputError if there is none."""
    own, brought = root / CHART, packaged(CHART)
    for chart in (own, brought):
        if (chart / "Chart.yaml").is_file():
            return chart
    message, remedy = tr("the chart does not exist"), tr("install gpuprov again")
    raise InputError([Problem(file=str(brought), message=message, remedy=remedy)])


def chart_version(project: Project) -> str | None:
    """Return the chart's version; None if it cannot be read."""
    try:
        chart = yaml.safe_load((chart_of(project.root) / "Chart.yaml").read_text(encoding="utf-8"))
    except (InputError, OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return str(chart.get("version")) if isinstance(chart, Mapping) else None
