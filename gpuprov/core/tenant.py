"""What should exist at an instant: one tenant for each award that holds GPUs then, and a reason for each that does not.

Desired state is a function of the award list, the ledger, the provider clusters and the instant. Nothing else decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from gpuprov.core import naming
from gpuprov.core.award import Status
from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.days import to_the_minute
from gpuprov.core.ledger import Forfeited, History, Unlisted
from gpuprov.i18n import Message, tr


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
    """An award that must have no tenant, and why.

    ``by_ledger`` is true where an event of the ledger decided it: a forfeiture, or a new end of the term. Such an event
    decides whatever the list says of the award since, also where no list has it any more.
    """

    award_id: str
    cause: Cause
    reason: str
    by_ledger: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The whole desired state at one instant. ``reduced`` are awards whose number of GPUs a reduction of the ledger has
    decided. ``extended`` has, by namespace, the end that an extension gave to an award and that is still to come,
    whether or not the list has a place for the award.
    """

    at: datetime
    tenants: tuple[Tenant, ...]
    absences: tuple[Absence, ...]
    reduced: frozenset[str] = frozenset()
    extended: Mapping[str, datetime] = field(default_factory=dict)

    def on(self, provider: str) -> tuple[Tenant, ...]:
        """Return the tenants of one provider's cluster."""
        return tuple(tenant for tenant in self.tenants if tenant.provider == provider)


def desired_state(
    histories: Sequence[History],
    clusters: Sequence[ProviderCluster],
    at: datetime,
    unlisted: Sequence[Unlisted] = (),
) -> Desired:
    """Decide for every award whether it has a tenant at ``at``. ``unlisted`` are awards that only the ledger knows.

    Awards must have been validated: an award on an unknown provider or model raises KeyError.
    """
    pools = {(cluster.provider, pool.model): pool for cluster in clusters for pool in cluster.pools}
    tenants: list[Tenant] = []
    absences: list[Absence] = []
    reduced: set[str] = set()
    ends = {history.award.id: history.end for history in histories} | {gone.award_id: gone.end for gone in unlisted}
    for history in histories:
        held = history.at(at)
        if held is None:
            absences.append(absence(history, at))
            continue
        if history.reduced(at):
            reduced.add(history.award.id)
        tenants.append(
            Tenant(
                award_id=history.award.id,
                organization=history.award.organization,
                provider=held.provider,
                pool=pools[held.provider, held.model],
                gpus=held.gpus,
                term_start=history.term.start,
                term_end=history.term.end,
            )
        )
    for gone in unlisted:
        decided = absence_of_unlisted(gone, at)
        if decided is not None:
            absences.append(decided)
    return Desired(
        at=at,
        tenants=tuple(tenants),
        absences=tuple(absences),
        reduced=frozenset(reduced),
        extended={naming.namespace(award_id): end for award_id, end in ends.items() if end is not None and end > at},
    )


_SAID_BY_LIST = {
    Status.WAITLISTED: (Cause.WAITLISTED, tr("waitlisted in the award list")),
    Status.FORFEITED: (Cause.FORFEITED_IN_LIST, tr("forfeited in the award list")),
}


def absence(history: History, at: datetime) -> Absence:
    """Return why an award of a list has no tenant at an instant at which it holds nothing."""
    award = history.award
    by_list = _SAID_BY_LIST.get(award.status)
    decided = _by_ledger(history.forfeited, None if history.end is None else history.term.end, at, history.zone)
    if decided is not None:
        return _decided(award.id, decided, None if by_list is None else by_list[1])
    if by_list is not None:
        cause, reason = by_list
    elif at < history.term.start:
        cause = Cause.NOT_YET
        reason = tr("term starts at {start}", start=to_the_minute(history.term.start, history.zone))
    else:
        cause = Cause.ENDED
        reason = tr("term ended at {end}", end=to_the_minute(history.term.end, history.zone))
    return Absence(award_id=award.id, cause=cause, reason=reason, by_ledger=False)


def absence_of_unlisted(gone: Unlisted, at: datetime) -> Absence | None:
    """Return why an award that only the ledger knows has no tenant; None where the ledger has ended nothing by then."""
    decided = _by_ledger(gone.forfeited, gone.end, at, gone.zone)
    return None if decided is None else _decided(gone.award_id, decided, tr("in no award list"))


def _decided(award_id: str, decided: tuple[Cause, Message], said_by_list: Message | None) -> Absence:
    cause, reason = decided
    if said_by_list is not None:
        reason = tr("{reason}; {said_by_list} now", reason=reason, said_by_list=said_by_list)
    return Absence(award_id=award_id, cause=cause, reason=reason, by_ledger=True)


def _by_ledger(
    forfeited: Forfeited | None, end: datetime | None, at: datetime, zone: tzinfo
) -> tuple[Cause, Message] | None:
    """Return what the ledger has decided by ``at``; ``end`` is the term's where an extension gave it another."""
    if forfeited is not None and forfeited.at <= at:
        return Cause.FORFEITED, tr(
            "forfeited at {at} by {by}: {reason}",
            at=to_the_minute(forfeited.at, zone),
            by=forfeited.by,
            reason=forfeited.reason,
        )
    if end is not None and end <= at:
        return Cause.ENDED, tr("term ended at {end}", end=to_the_minute(end, zone))
    return None
