"""All awards as one table: what list and ledger say of each at an instant, and what the clusters say now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from gpuprov.core.awardrow import AwardRow, make_rows
from gpuprov.core.observed import ObservedCluster
from gpuprov.errors import ClusterError
from gpuprov.run.loading import Loaded
from gpuprov.run.status import read_clusters


def read_awards(
    loaded: Loaded, providers: Collection[str], at: datetime
) -> tuple[list[AwardRow], dict[str, ClusterError]]:
    """Read the providers' clusters side by side; return a row for each award, and the error of each that failed.

    Awards at other providers have rows too, in which nothing is known of their clusters.
    """
    observed, failed = read_clusters(loaded.project, providers)
    return rows_of(loaded, observed, at), failed


def rows_of(loaded: Loaded, observed: Mapping[str, ObservedCluster], at: datetime) -> list[AwardRow]:
    """Return a row for each award that was loaded or that only a cluster has. ``observed`` is by provider."""
    return make_rows(
        histories=loaded.histories,
        unlisted=loaded.unlisted,
        events=loaded.events,
        observed=observed,
        clusters=loaded.project.by_provider,
        programme=loaded.project.programme,
        at=at,
    )
