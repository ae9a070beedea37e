"""Reads the providers' clusters in parallel and checks each before awards are placed on it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from gpuprov.core import outputs
from gpuprov.core.capacity import pool_peak
from gpuprov.core.cluster import ProviderCluster
from gpuprov.engine import stacks
from gpuprov.errors import ClusterError, EngineError
from gpuprov.kube.survey import survey
from gpuprov.load.project import Project
from gpuprov.preflight import Finding, Unread, examine
from gpuprov.preflight.chart import NotSetUp, not_set_up
from gpuprov.run.aside import read_all
from gpuprov.run.chart import chart_version
from gpuprov.run.loading import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The findings on one provider's cluster, and why it counts as not set up, if it does."""

    provider: str
    findings: tuple[Finding, ...]
    not_set_up: NotSetUp | None = None


def run_preflight(
    loaded: Loaded, providers: Collection[str], at: datetime, *, pulumi: str = ""
) -> tuple[list[Report], dict[str, ClusterError]]:
    """Check the providers' clusters; return the findings, and the error of each cluster that could not be reached.

    ``at`` is the time whose capacity counts. ``pulumi`` says why the stacks' outputs cannot be read; empty if they can.
    """
    clusters = [cluster for cluster in loaded.project.clusters if cluster.provider in providers]
    at = at.astimezone(loaded.project.programme.zone)  # findings name it
    chart = chart_version(loaded.project)
    allocations = loaded.allocations

    def report(cluster: ProviderCluster) -> Report:
        known = Unread(pulumi) if pulumi else _known(loaded.project, cluster)
        # Only the current step of the capacity counts: earlier allocations are over, and later steps have other nodes.
        peaks: dict[str, int] = {
            pool.model: pool_peak(allocations, cluster, pool, at, pool.span_at(at)[1]) for pool in cluster.pools
        }
        facts = survey(cluster)
        findings = examine(cluster, facts, at=at, peaks=peaks, known=known, chart=chart)
        missing = not_set_up(facts) if cluster.require_chart else None
        return Report(provider=cluster.provider, findings=tuple(findings), not_set_up=missing)

    reports, failed = read_all({cluster.provider: partial(report, cluster) for cluster in clusters}, ClusterError)
    return list(reports.values()), failed


def _known(project: Project, cluster: ProviderCluster) -> str | Unread | None:
    """Return the cluster's UID from the outputs of the last run; those of the first stack count for all shards."""
    try:
        printed = stacks.read_outputs(project.root, cluster.provider)
    except EngineError as error:
        return Unread(str(error))
    return outputs.read(cluster, {cluster.provider: printed}).cluster_uid
