"""What should exist at an instant: one tenant for each award that holds GPUs then, and a reason for each that does not.

Desired state is a function of the award list, the ledger, the provider clusters and the instant. Nothing else decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from gpuprov import naming
from gpuprov.award import SEOUL, Status
from gpuprov.cluster import GpuPool, ProviderCluster
from gpuprov.ledger import History


class Tenant(BaseModel):
    """An award that holds GPUs: all that is needed to write its objects on its provider's cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    award_id: str
    organization: str
    provider: str
    pool: GpuPool
    gpus: int
    term_start: datetime
    term_end: datetime

    @property
    def namespace(self) -> str:
        """The tenant's namespace."""
        return naming.namespace(self.award_id)


class Cause(StrEnum):
    """Why an award has no tenant at an instant."""

    NOT_YET = "not yet"
    ENDED = "ended"
    FORFEITED = "forfeited"
    WAITLISTED = "waitlisted"
    FORFEITED_IN_LIST = "forfeited in the list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """An award of the list that must have no tenant, and why.

    ``by_ledger`` is true where an event of the ledger decided it: a forfeiture, or a new end of the term.
    """

    award_id: str
    cause: Cause
    reason: str
    by_ledger: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The whole desired state at one instant. ``reduced`` are awards to which the ledger left fewer GPUs."""

    at: datetime
    tenants: tuple[Tenant, ...]
    absences: tuple[Absence, ...]
    reduced: frozenset[str] = frozenset()

    def on(self, provider: str) -> tuple[Tenant, ...]:
        """Return the tenants of one provider's cluster."""
        return tuple(tenant for tenant in self.tenants if tenant.provider == provider)


def desired_state(histories: Sequence[History], clusters: Sequence[ProviderCluster], at: datetime) -> Desired:
    """Decide for every award whether it has a tenant at ``at``.

    Awards must have been validated: an award on an unknown provider or model raises KeyError.
    """
    pools = {(cluster.provider, pool.model): pool for cluster in clusters for pool in cluster.pools}
    tenants: list[Tenant] = []
    absences: list[Absence] = []
    reduced: set[str] = set()
    for one in histories:
        held = one.at(at)
        if held is None:
            absences.append(_absence(one, at))
            continue
        if held.gpus < one.award.quantity:
            reduced.add(one.award.id)
        tenants.append(
            Tenant(
                award_id=one.award.id,
                organization=one.award.organization,
                provider=held.provider,
                pool=pools[held.provider, held.model],
                gpus=held.gpus,
                term_start=one.term.start,
                term_end=one.term.end,
            )
        )
    return Desired(at=at, tenants=tuple(tenants), absences=tuple(absences), reduced=frozenset(reduced))


def _absence(one: History, at: datetime) -> Absence:
    cause, reason = _cause(one, at)
    new_end = cause is Cause.ENDED and one.term.end != one.award.term.end
    return Absence(award_id=one.award.id, cause=cause, reason=reason, by_ledger=cause is Cause.FORFEITED or new_end)


def _cause(one: History, at: datetime) -> tuple[Cause, str]:
    if one.award.status is Status.WAITLISTED:
        return Cause.WAITLISTED, "waitlisted in the award list"
    if one.award.status is Status.FORFEITED:
        return Cause.FORFEITED_IN_LIST, "forfeited in the award list"
    if one.forfeited is not None and one.forfeited.at <= at:
        when = one.forfeited.at.astimezone(SEOUL).isoformat(timespec="minutes")
        return Cause.FORFEITED, f"forfeited at {when} by {one.forfeited.by}: {one.forfeited.reason}"
    if at < one.term.start:
        return Cause.NOT_YET, f"term starts at {one.term.start.isoformat(timespec='minutes')}"
    return Cause.ENDED, f"term ended at {one.term.end.isoformat(timespec='minutes')}"
