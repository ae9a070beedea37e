"""Reads the providers' clusters side by side and checks each before awards are put on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import yaml

from gpuprov.core import outputs
from gpuprov.core.capacity import peak
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import CHART
from gpuprov.engine import stacks
from gpuprov.errors import ClusterError, EngineError
from gpuprov.kube.survey import survey
from gpuprov.load.project import Project
from gpuprov.preflight import Finding, Unread, examine
from gpuprov.run.loading import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found on one provider's cluster."""

    provider: str
    findings: tuple[Finding, ...]


def run_preflight(
    loaded: Loaded, providers: Collection[str], at: datetime, *, pulumi: str = ""
) -> tuple[list[Report], dict[str, ClusterError]]:
    """Check the providers' clusters; return what was found, and the error of each that could not be reached.

    ``at`` is the instant whose capacity counts. ``pulumi`` says why the stacks' outputs cannot be read; empty where
    they can.
    """
    clusters = [cluster for cluster in loaded.project.clusters if cluster.provider in providers]
    at = at.astimezone(loaded.project.programme.zone)  # findings name it
    chart = _chart_version(loaded.project)

    def one(cluster: ProviderCluster) -> Report:
        known = Unread(pulumi) if pulumi else _known(loaded.project, cluster)
        facts = survey(cluster)
        findings = examine(cluster, facts, at=at, peaks=_peaks(loaded, cluster, at), known=known, chart=chart)
        return Report(provider=cluster.provider, findings=tuple(findings))

    reports: list[Report] = []
    failed: dict[str, ClusterError] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(clusters))) as pool:
        running = [(cluster, pool.submit(one, cluster)) for cluster in clusters]
    for cluster, done in running:
        error = done.exception()
        if isinstance(error, ClusterError):
            failed[cluster.provider] = error
        else:
            reports.append(done.result())
    return reports, failed


def _peaks(loaded: Loaded, cluster: ProviderCluster, at: datetime) -> Mapping[str, int]:
    """What was held before is over, and what a later step of the capacity is for has later nodes."""
    allocations = [part for one in loaded.histories for part in one.allocations if part.provider == cluster.provider]
    return {
        pool.model: peak((part for part in allocations if part.model == pool.model), at, pool.span_at(at)[1])
        for pool in cluster.pools
    }


def _known(project: Project, cluster: ProviderCluster) -> str | Unread | None:
    """Return the cluster's UID as the stack's last run said it. The first stack tells for all shards."""
    try:
        printed = stacks.read_outputs(project.root, cluster.provider)
    except EngineError as error:
        return Unread(str(error))
    return outputs.read(cluster, {cluster.provider: printed}).cluster_uid


def _chart_version(project: Project) -> str | None:
    """Return the version of the chart that lies in the project; None where there is none."""
    path = project.root / CHART / "Chart.yaml"
    try:
        chart = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return str(chart.get("version")) if isinstance(chart, Mapping) else None
