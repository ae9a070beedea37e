"""The chart that `gpuprov setup` installs: the project's own, or else the one that comes with gpuprov."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import yaml

from gpuprov.core.cluster import ProviderCluster
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


def source(chart: Path, cluster: ProviderCluster, server: str) -> str:
    """Return the digest of all that the set-up of a cluster is made from; ``server`` is its version of Kubernetes."""
    files = {path.relative_to(chart).as_posix(): path for path in chart.rglob("*") if path.is_file()}
    parts = [
        version("gpuprov"),
        version("pulumi-kubernetes"),
        server,
        cluster.provider,
        cluster.setup_context,
        json.dumps(cluster.chart_values, sort_keys=True, ensure_ascii=False),
        *(f"{name} {sha256(files[name].read_bytes()).hexdigest()}" for name in sorted(files)),
    ]
    return sha256("\0".join(parts).encode()).hexdigest()
