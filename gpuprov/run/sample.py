"""The sample list of a new project: for each pool the smallest award that the programme's rules allow. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from io import StringIO
from itertools import islice

from gpuprov.core.award import quantity_breaches
from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.programme import Programme
from gpuprov.core.tracks import Call, Track

_BYTE_ORDER_MARK = "\ufeff"
"""Excel takes a file without it for CP949, and shows no Korean."""
_QUANTITIES = 64
"""So many quantities of a track are tried: with one of them any usual conversion gives whole devices."""


def list_name(programme: Programme) -> str:
    """Return the file name of the sample list: that of a call's list where the programme names one, else awards.csv."""
    names = (name for call in programme.calls for name in call.lists)
    return next((name for name in names if name.endswith(".csv") and not {"#", "/"} & {*name}), "awards.csv")


def sample_list(programme: Programme, clusters: Sequence[ProviderCluster]) -> str | None:
    """Return a list that is valid for the programme and fits into the pools, as CSV; None if no award fits in any.

    The term is the call's, or the programme's last year up to its end. No pool's capacity has steps.
    """
    call = _call(programme)
    first_day, last_day = _term(programme, call)
    of_call = {} if call is None else {"차수": call.name}
    smallest = (
        (cluster.provider, pool.model, award)
        for cluster in clusters
        for pool in cluster.pools
        if (award := _smallest(programme, pool)) is not None
    )
    rows = [
        {
            "과제번호": f"SAMPLE-{number}",
            "기관명": f"예시기관 {number}",
            "유형": track.name,
            "신청수량": applied,
            "공급사": provider,
            "배정GPU": model,
            "배정수량": quantity,
            "시작일": first_day,
            "종료일": last_day,
            "상태": programme.statuses.selected[0],
        }
        | of_call
        for number, (provider, model, (track, applied, quantity)) in enumerate(smallest, start=1)
    ]
    if not rows:
        return None
    text = StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return _BYTE_ORDER_MARK + text.getvalue()


def _call(programme: Programme) -> Call | None:
    """Return the call that the sample list is of, if the programme has any."""
    named = (call for call in programme.calls if list_name(programme) in call.lists)
    return next(named, next(iter(programme.calls), None))


def _term(programme: Programme, call: Call | None) -> tuple[date, date]:
    if call is not None:
        return call.first_day, call.last_day
    last_day = programme.end.astimezone(programme.zone).date() - timedelta(days=1)
    return date(last_day.year, 1, 1), last_day


def _smallest(programme: Programme, pool: GpuPool) -> tuple[Track, int, int] | None:
    """Return track, quantity applied for and devices of the smallest award that the pool has room for."""
    devices_for = programme.accelerator(pool.model).devices_for
    fitting = [
        (track, applied, devices_for(applied).numerator)
        for track in programme.tracks
        for applied in islice(_quantities(track), _QUANTITIES)
        if devices_for(applied) <= min(step.gpus for step in pool.steps)
        and not any(quantity_breaches(track.name, applied, pool.model, devices_for(applied).numerator, programme))
    ]
    return min(fitting, key=lambda award: award[1], default=None)


def _quantities(track: Track) -> Iterator[int]:
    """Yield the quantities that can be applied for, the least first."""
    quantity = track.least
    while track.allows(quantity):
        yield quantity
        quantity += track.unit
