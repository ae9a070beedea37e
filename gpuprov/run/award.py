"""Everything about one award: its row of the list, its events, its clusters, and what would change next and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from gpuprov.core import naming
from gpuprov.core.awardrow import AwardRow
from gpuprov.core.capacity import lines, not_over
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.ledger import Event, History
from gpuprov.core.lifecycle import Edge, edges, edges_of_unlisted
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.plan import Change, make_plan
from gpuprov.core.pods import PodUse
from gpuprov.core.suggestions import did_you_mean
from gpuprov.core.tenant import desired_state
from gpuprov.errors import ClusterError, InputError, Problem
from gpuprov.i18n import tr
from gpuprov.kube.client import KubeApi
from gpuprov.kube.observe import find, observe
from gpuprov.kube.usage import pods_of, pods_on
from gpuprov.load.awards import Origin
from gpuprov.run.aside import read_all
from gpuprov.run.awards import rows_of
from gpuprov.run.loading import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A namespace of the award on one cluster, with its pods."""

    cluster: ProviderCluster
    tenant: ObservedTenant
    pods: tuple[PodUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardDetails:
    """One award at an instant. ``history`` and ``origin`` are None where no list has it.

    ``events`` are its lines of the ledger, with their rows. ``changes`` are what a plan would do about it now on the
    clusters that were read, ``refused`` why a plan would not be made. ``next`` is what comes by itself, in order.
    """

    row: AwardRow
    history: History | None
    origin: Origin | None
    events: tuple[tuple[int, Event], ...]
    homes: tuple[Home, ...]
    changes: tuple[Change, ...]
    refused: tuple[str, ...]
    next: tuple[Edge, ...]
    failed: Mapping[str, ClusterError] = field(default_factory=dict)


def read_award(loaded: Loaded, award_id: str, at: datetime) -> AwardDetails:
    """Read all clusters side by side, and tell everything about one award.

    Raises InputError with what is like it where neither a list, nor the ledger, nor a cluster that was read knows it.
    """
    project = loaded.project
    reads = {cluster.provider: partial(_read, cluster, award_id) for cluster in project.clusters}
    views, failed = read_all(reads, ClusterError)
    own = _only(loaded, award_id)
    homes = tuple(home for view in views.values() for home in view.homes)
    observed = {provider: view.own for provider, view in views.items()}
    rows = rows_of(own, observed, at)
    if not rows:
        living = {tenant.award_id for view in views.values() for tenant in view.observed.tenants}
        raise InputError([_unknown(loaded, award_id, living, failed)])
    desired = desired_state(own.histories, project.clusters, at, own.unlisted)
    plan = make_plan(desired, tuple(observed.values()), project.by_provider)
    history = next(iter(own.histories), None)
    to_come = [edges_of_unlisted(gone, at) for gone in own.unlisted]
    return AwardDetails(
        row=rows[0],
        history=history,
        origin=loaded.origins.get(award_id),
        events=tuple(zip(own.ledger_rows, own.events, strict=True)),
        homes=homes,
        changes=plan.changes,
        refused=tuple(lines(not_over(loaded.excesses, at))),
        next=next(iter(to_come), ()) if history is None else edges(history, own.events, at),
        failed=failed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A cluster as it was read: all of it, and with the award's own namespaces alone."""

    observed: ObservedCluster
    own: ObservedCluster
    homes: tuple[Home, ...]


def _read(cluster: ProviderCluster, award_id: str) -> _View:
    """Read a cluster, and what the award has there; a namespace that has lost its labels is read by its name."""
    api = KubeApi(cluster)
    observed = observe(cluster, api)
    namespace = naming.namespace(award_id)
    tenants = [tenant for tenant in observed.tenants if namespace == tenant.namespace or award_id == tenant.award_id]
    if not tenants:
        tenants = find(cluster, [namespace], api)
    names = [tenant.namespace for tenant in tenants]
    own = replace(observed, tenants=tuple(tenants)).with_pods(pods_on(cluster, names, api) if names else {})
    homes = [
        Home(cluster=cluster, tenant=tenant, pods=pods_of(cluster, tenant.namespace, api)) for tenant in own.tenants
    ]
    return _View(observed=observed, own=own, homes=tuple(homes))


def _only(loaded: Loaded, award_id: str) -> Loaded:
    """Return what was loaded of one award alone."""
    own = [
        (row, event) for row, event in zip(loaded.ledger_rows, loaded.events, strict=True) if event.award == award_id
    ]
    return replace(
        loaded,
        histories=tuple(history for history in loaded.histories if history.award.id == award_id),
        unlisted=tuple(gone for gone in loaded.unlisted if gone.award_id == award_id),
        events=tuple(event for _, event in own),
        ledger_rows=tuple(row for row, _ in own),
    )


def _unknown(loaded: Loaded, award_id: str, living: set[str], failed: Mapping[str, ClusterError]) -> Problem:
    known = {history.award.id for history in loaded.histories} | {event.award for event in loaded.events} | living
    message = tr("is in no award list, not in the ledger, and on no cluster that was read")
    if failed:
        message = tr("{message} (not read: {providers})", message=message, providers=", ".join(failed))
    remedy = tr("check the award id{suggestion}", suggestion=did_you_mean(award_id, sorted(known)))
    return Problem(argument="AWARD", value=award_id, message=message, remedy=remedy)
