"""What a cluster's term guard does: it ends awards by the end that is written on their namespaces, and by nothing else.

It is the second line of defence (docs/term-guard.md): it knows neither list nor ledger, and works where gpuprov, its
machine and its state are gone. So that it never outruns the ledger, it waits for a margin after the written end; and
gpuprov tells, by `outrun`, where the ledger promises more than the namespace says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import TERM_END, TERM_START
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.tenant import Desired
from gpuprov.i18n import tr

DEFAULT_MARGIN = timedelta(hours=2)
"""The margin where the chart is told none: `termGuard.marginSeconds` in charts/gpu-cluster/values.yaml."""


class Step(StrEnum):
    """What is done to a namespace: first it is closed, and its GPUs are free; later, if at all, it is deleted."""

    CLOSE = "close"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When the guard acts. ``margin`` is from the written end to the closing, ``retention`` from there to the deletion,
    None for never. Of more than ``most`` namespaces at once none is touched.
    """

    margin: timedelta
    retention: timedelta | None
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A namespace whose written end has passed by the margin."""

    namespace: str
    award_id: str
    end: datetime
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found at an instant. ``problems`` has the namespaces whose end cannot be told, with the reason."""

    overdue: tuple[Overdue, ...]
    problems: Mapping[str, str]


def judge(tenants: Iterable[ObservedTenant], at: datetime, rules: Rules) -> Verdict:
    """Return which namespaces are overdue, by their written ends alone. One that is being deleted is left alone."""
    overdue: list[Overdue] = []
    problems: dict[str, str] = {}
    for tenant in tenants:
        if tenant.terminating:
            continue
        reason = _unusable(tenant)
        if reason is not None:
            problems[tenant.namespace] = reason
        elif tenant.term_end is not None and (step := _step(tenant.term_end, at, rules)) is not None:
            overdue.append(
                Overdue(namespace=tenant.namespace, award_id=tenant.award_id, end=tenant.term_end, step=step)
            )
    return Verdict(overdue=tuple(overdue), problems=problems)


def to_do(overdue: Iterable[Overdue], closed: Collection[str]) -> tuple[Overdue, ...]:
    """Return what is left to do: of those that are to be closed not those in which nothing is left to take."""
    return tuple(item for item in overdue if item.step is Step.DELETE or item.namespace not in closed)


def too_many(todo: Sequence[Overdue], rules: Rules) -> str | None:
    """Return why nothing is done: a clock that is wrong, or annotations that are, end everything at once."""
    if len(todo) <= rules.most:
        return None
    return tr(
        "{number} awards are overdue at once, and at most {most} are ended without a person (`termGuard.mostAtOnce`): "
        "none is touched; if their terms are over, run `gpuprov expire`, or raise that value",
        number=len(todo),
        most=rules.most,
    )


def crowded(tenants: Iterable[ObservedTenant], at: datetime, rules: Rules) -> Mapping[datetime, int]:
    """Return the ends to come at which more awards end than the guard would end at once."""
    ends = sorted(Counter(_ends(tenants)).items())
    return {end: number for end, number in ends if number > rules.most and next(_instants(end, rules), at) > at}


def next_step(tenants: Iterable[ObservedTenant], at: datetime, rules: Rules) -> datetime | None:
    """Return the first instant after ``at`` at which a namespace becomes overdue, or is to be deleted."""
    instants = (instant for end in _ends(tenants) for instant in _instants(end, rules))
    return min((instant for instant in instants if instant > at), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outrun:
    """An award that a term guard would end before its term does: at ``when``, though the term goes to ``end``. Its
    namespace still says that it was ``written`` to end earlier. All three are in the time zone of the term.
    """

    provider: str
    award_id: str
    when: datetime
    end: datetime
    written: datetime

    @property
    def sentence(self) -> str:
        """The warning for people."""
        return tr(
            "{provider}: the cluster's term guard ends {award} at {when}, and its term goes to {end}: the "
            "namespace still says {written}; run `gpuprov up` before",
            provider=self.provider,
            award=self.award_id,
            when=self.when.isoformat(timespec="minutes"),
            end=self.end.isoformat(timespec="minutes"),
            written=self.written.isoformat(timespec="minutes"),
        )


def outrun(
    desired: Desired, observed: Iterable[ObservedCluster], clusters: Mapping[str, ProviderCluster]
) -> Iterator[Outrun]:
    """Yield each award that a term guard would end before its term does: the namespace does not know yet that the term
    was extended.
    """
    for seen in observed:
        margin = margin_on(clusters[seen.provider])
        if margin is None:
            continue
        tenants = {tenant.namespace: tenant for tenant in desired.on(seen.provider)}
        for live in seen.tenants:
            tenant = tenants.get(live.namespace)
            if tenant is None or live.term_end is None or live.term_end >= tenant.term_end:
                continue
            yield Outrun(
                provider=seen.provider,
                award_id=tenant.award_id,
                when=(live.term_end + margin).astimezone(tenant.term_end.tzinfo),
                end=tenant.term_end,
                written=live.term_end.astimezone(tenant.term_end.tzinfo),
            )


def margin_on(cluster: ProviderCluster) -> timedelta | None:
    """Return the margin of the term guard that the stack's configuration installs; None where it installs none."""
    values = cluster.chart_values.get("termGuard")
    if not isinstance(values, Mapping) or values.get("enabled") is not True:
        return None
    seconds = values.get("marginSeconds")
    return timedelta(seconds=seconds) if isinstance(seconds, int) else DEFAULT_MARGIN


def _ends(tenants: Iterable[ObservedTenant]) -> Iterator[datetime]:
    """Yield the written ends that can be told; a namespace that is being deleted has none to come."""
    return (tenant.term_end for tenant in tenants if tenant.term_end is not None and not tenant.terminating)


def _instants(end: datetime, rules: Rules) -> Iterator[datetime]:
    """Yield when a namespace is to be closed and when to be deleted. An end beyond the calendar is never."""
    try:
        yield end + rules.margin
        if rules.retention is not None:
            yield end + rules.margin + rules.retention
    except OverflowError:
        return


def _step(end: datetime, at: datetime, rules: Rules) -> Step | None:
    passed = sum(instant <= at for instant in _instants(end, rules))
    return (None, Step.CLOSE, Step.DELETE)[passed]


def _unusable(tenant: ObservedTenant) -> str | None:
    """Return why the end that is written on a namespace cannot be used."""
    if tenant.term_end is None:
        return tr("the annotation {end} is missing, or no timestamp with an offset", end=TERM_END)
    if tenant.term_start is None or tenant.term_start >= tenant.term_end:
        return tr(
            "the annotation {start} is missing, no timestamp with an offset, or not before {end}",
            start=TERM_START,
            end=TERM_END,
        )
    return None
