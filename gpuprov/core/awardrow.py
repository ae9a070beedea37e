"""All awards at an instant: a row for each that a list, the ledger or a cluster knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from gpuprov.core import naming
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.ledger import Event, History, Unlisted
from gpuprov.core.lifecycle import AwardState, Lifecycle, acceptances, last_day, lifecycle, lifecycle_of_unlisted
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.programme import Programme


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardRow:
    """One award at an instant, and what clusters say of it now, in GPUs of ``model``.

    ``gpus`` are allocated by list and ledger; to an orphan, what its quota grants. ``in_use`` are those that its pods
    hold, ``quota`` those that quotas grant; both None where its cluster was not read. ``end`` is the last day of the
    term, ``ends_at`` the first instant after it. ``clusters`` are the providers that have its namespace.
    """

    award: str
    organization: str
    provider: str
    model: str
    gpus: int
    in_use: int | None
    state: AwardState
    accepted: bool
    deadline: date | None
    end: date | None
    days_left: int | None
    ends_at: datetime | None
    quota: int | None
    clusters: tuple[str, ...]


Place = tuple[ProviderCluster, ObservedTenant]
"""A namespace of an award, and the cluster that has it."""


def make_rows(
    *,
    histories: Sequence[History],
    unlisted: Sequence[Unlisted],
    events: Sequence[Event],
    observed: Mapping[str, ObservedCluster],
    clusters: Mapping[str, ProviderCluster],
    programme: Programme,
    at: datetime,
) -> list[AwardRow]:
    """Return a row for each award: first those of lists, then those of the ledger alone, then those of clusters alone.

    ``observed`` are the clusters that were read, ``clusters`` all of the project, both by provider.
    """
    accepted = acceptances(events)
    places: dict[str, list[Place]] = {}
    for provider, cluster in observed.items():
        for tenant in cluster.tenants:
            places.setdefault(tenant.namespace, []).append((clusters[provider], tenant))
    rows = []
    for history in histories:
        life = lifecycle(history, accepted.get(history.award.id), at)
        own_places = places.pop(naming.namespace(history.award.id), ())
        rows.append(_listed(history, life, own_places, known=history.award.provider in observed))
    all_read = observed.keys() >= clusters.keys()
    for gone in unlisted:
        life = lifecycle_of_unlisted(gone, accepted.get(gone.award_id), at)
        own_places = places.pop(naming.namespace(gone.award_id), ())
        rows.append(_unlisted(gone.award_id, life, own_places, programme, known=all_read))
    for own_places in places.values():
        _, tenant = own_places[0]
        rows.append(_unlisted(tenant.award_id, _of_nobody(tenant, programme), own_places, programme, known=True))
    return rows


def _listed(history: History, life: Lifecycle, places: Sequence[Place], *, known: bool) -> AwardRow:
    award = history.award
    return AwardRow(
        award=award.id,
        organization=award.organization,
        provider=award.provider,
        model=award.model,
        gpus=life.gpus,
        in_use=sum(map(occupied, places)) if known else None,
        state=life.state,
        accepted=life.accepted,
        deadline=life.accept_by,
        end=None if life.end is None else last_day(life.end, history.zone),
        days_left=life.days_left,
        ends_at=life.end,
        quota=sum(map(granted, places)) if known else None,
        clusters=_providers(places),
    )


def _of_nobody(tenant: ObservedTenant, programme: Programme) -> Lifecycle:
    """Return what is known of an award that neither a list nor the ledger has: its end as it was promised."""
    end = None if tenant.term_end is None else tenant.term_end.astimezone(programme.zone)
    return Lifecycle(state=AwardState.UNLISTED, gpus=0, accepted=False, accept_by=None, end=end, days_left=None)


def _unlisted(
    award_id: str, life: Lifecycle, places: Sequence[Place], programme: Programme, *, known: bool
) -> AwardRow:
    """Return the row of an award that no list has: what it is, and where, is only known of clusters."""
    cluster, tenant = next(iter(places), (None, None))
    pool = None if cluster is None or tenant is None else tenant.pool(cluster)
    orphan = bool(places) and life.state is AwardState.UNLISTED
    return AwardRow(
        award=award_id,
        organization="" if tenant is None else tenant.organization,
        provider="" if cluster is None else cluster.provider,
        model="" if pool is None else pool.model,
        gpus=sum(map(granted, places)) if orphan else 0,
        in_use=sum(map(occupied, places)) if places or known else None,
        state=AwardState.ORPHAN if orphan else life.state,
        accepted=life.accepted,
        deadline=None,
        end=None if life.end is None else last_day(life.end, programme.zone),
        days_left=None,
        ends_at=life.end,
        quota=sum(map(granted, places)) if places or known else None,
        clusters=_providers(places),
    )


def _providers(places: Iterable[Place]) -> tuple[str, ...]:
    return tuple(cluster.provider for cluster, _ in places)


def granted(place: Place) -> int:
    """Return the GPUs that the quota of a namespace grants now."""
    cluster, tenant = place
    return sum(tenant.hard(resource) for resource in _resources(cluster, tenant))


def occupied(place: Place) -> int:
    """Return the GPUs that the pods of a namespace hold now."""
    cluster, tenant = place
    return sum(tenant.occupied(resource) for resource in _resources(cluster, tenant))


def _resources(cluster: ProviderCluster, tenant: ObservedTenant) -> set[str]:
    return {pool.resource for pool in tenant.pools(cluster)}
