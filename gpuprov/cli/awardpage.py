"""Everything about one award, as blocks of lines or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import click

from gpuprov.cli.awardtable import row_json
from gpuprov.cli.blocks import Block, Line, text_of
from gpuprov.cli.common import warn
from gpuprov.cli.errors import Exit, fail, print_json
from gpuprov.core.awardrow import granted, occupied
from gpuprov.core.ledger import Event, Extended, Reduced
from gpuprov.core.plan import Change
from gpuprov.core.pods import PodUse
from gpuprov.load.project import Project
from gpuprov.run.award import AwardDetails, Home, read_award
from gpuprov.run.clock import now
from gpuprov.run.loading import load


def print_award(project: Project, award: str, at: datetime | None, *, as_json: bool) -> None:
    """Print the award. Raises InputError where neither list, ledger nor a cluster knows it."""
    loaded = load(project)
    warn(tuple(warning for warning in loaded.warnings if award in warning))
    zone = project.programme.zone
    details = read_award(loaded, award, at or now(zone))
    if as_json:
        print_json(_json(details, zone))
    else:
        click.echo(text_of(list(_blocks(details, project))))
    for error in details.failed.values():
        click.echo(f"not read: {error}", err=True)
    if details.failed:
        fail(Exit.SOME_CLUSTERS_FAILED)


def _blocks(details: AwardDetails, project: Project) -> Iterator[Block]:
    zone = project.programme.zone
    yield Block(title=details.row.award, lines=list(_summary(details)))
    yield Block(title="list", lines=list(_listed(details, project)))
    if details.events:
        yield Block(title="ledger", lines=[_event(row, event, zone) for row, event in details.events])
    for home in details.homes:
        yield Block(title=f"cluster {home.cluster.provider}", lines=list(_home(home, zone)))
    if not details.homes:
        where = "no cluster that was read has it" if details.failed else "no cluster has it"
        yield Block(title="clusters", lines=[Line(name="namespace", value=where)])
    yield Block(title="next", lines=list(_next(details, zone)))


def _summary(details: AwardDetails) -> Iterator[Line]:
    row = details.row
    accepted = "accepted" if row.accepted else "not accepted"
    used = "in use is not known" if row.in_use is None else f"{row.in_use} in use"
    if row.organization:
        yield Line(name="organization", value=row.organization)
    yield Line(name="state", value=f"{row.state}, {accepted}")
    place = f" at {row.provider}" if row.provider else ""
    yield Line(name="GPUs", value=f"{row.gpus} {row.model}".strip() + f"{place}, {used}")
    if row.deadline is not None:
        yield Line(name="accept by", value=row.deadline)
    if row.end is not None:
        left = "" if row.days_left is None else f", {row.days_left} whole days left"
        yield Line(name="end", value=f"{row.end}{left}")


def _listed(details: AwardDetails, project: Project) -> Iterator[Line]:
    programme, root = project.programme, project.root
    history, origin = details.history, details.origin
    if history is None:
        yield Line(name="row", value="no award list has it")
        return
    award = history.award
    if origin is not None:
        file = Path(origin.file)
        yield Line(name="file", value=file.relative_to(root) if file.is_relative_to(root) else file)
        yield Line(name="row", value=origin.row)
    yield Line(name="status", value=award.status)
    yield Line(name="quantity", value=f"{award.quantity} {award.model}")
    unit = programme.counted_in(programme.accelerator(award.model))
    yield Line(name="applied for", value=f"{award.applied_h100} {unit}")
    yield Line(name="track", value=award.track)
    yield Line(name="term", value=f"{award.first_day} to {award.last_day}")
    if award.call:
        yield Line(name="call", value=award.call)
    if award.contact:
        yield Line(name="contact", value=award.contact)
    if award.email:
        yield Line(name="email", value=award.email)


def _event(row: int, event: Event, zone: tzinfo) -> Line:
    what = f"{event.event} at {_minutes(event.at, zone)}"
    if isinstance(event, Reduced):
        what += f", {event.quantity} GPUs remain"
    elif isinstance(event, Extended):
        what += f", to {event.last_day}"
    by, reason = Line(name="by", value=event.by), Line(name="reason", value=event.reason)
    return Line(name=f"line {row}", value=what, below=[by, reason])


def _home(home: Home, zone: tzinfo) -> Iterator[Line]:
    tenant = home.tenant
    pool = tenant.pool(home.cluster)
    model = "GPUs" if pool is None else pool.model
    yield Line(name="namespace", value=tenant.namespace)
    if tenant.terminating:
        yield Line(name="terminating", value="yes")
    yield Line(name="quota", value=f"{_hard(home)} {model}, {_used(home)} used, pods hold {_held(home)}")
    end = "unknown" if tenant.term_end is None else _minutes(tenant.term_end, zone)
    yield Line(name="promised end", value=end)
    yield Line(name="objects", value=", ".join(_objects(home)))
    for pod in home.pods:
        yield Line(name="pod", value=pod.name, below=list(_pod(pod)))
    if not home.pods:
        yield Line(name="pods", value="none")


def _pod(pod: PodUse) -> Iterator[Line]:
    yield Line(name="phase", value=f"{pod.phase}, terminating" if pod.terminating else pod.phase)
    yield Line(name="GPUs", value=f"{pod.gpus}" if pod.holds else f"{pod.gpus} asked for, none held")
    yield Line(name="node", value=pod.node or "none")


def _next(details: AwardDetails, zone: tzinfo) -> Iterator[Line]:
    for reason in details.refused:
        yield Line(name="no plan is made", value=reason)
    for change in details.changes:
        yield Line(name="now", value=_change(change), below=[Line(name="why", value=why) for why in change.reasons])
    if not details.changes:
        known = "nothing to change on the clusters that were read" if details.failed else "nothing to change"
        yield Line(name="now", value=known)
    for edge in details.next:
        yield Line(name=_minutes(edge.at, zone), value=edge.what)


def _change(change: Change) -> str:
    lost = f", an unexplained {change.loss}" if change.loss else ""
    return f"{change.op} at {change.provider}, {change.before} → {change.after} {change.model}{lost}"


def _hard(home: Home) -> int:
    return granted((home.cluster, home.tenant))


def _used(home: Home) -> int:
    return sum(home.tenant.used(resource) for resource in {pool.resource for pool in home.tenant.pools(home.cluster)})


def _held(home: Home) -> int:
    return sum(pod.gpus for pod in home.pods if pod.holds)


def _objects(home: Home) -> list[str]:
    return sorted(f"{kind} {name}" for kind, name in home.tenant.objects if kind != "Namespace")


def _minutes(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).isoformat(timespec="minutes")


def _json(details: AwardDetails, zone: tzinfo) -> dict[str, Any]:
    listed = None
    if details.history is not None:
        place = {} if details.origin is None else {"file": details.origin.file, "row": details.origin.row}
        listed = place | details.history.award.model_dump(mode="json")
    return {
        "award": row_json(details.row),
        "list": listed,
        "ledger": [{"row": row} | event.model_dump(mode="json") for row, event in details.events],
        "clusters": [_home_json(home, zone) for home in details.homes],
        "changes": [
            asdict(change) | {"reasons": list(change.reasons), "expected": change.expected}
            for change in details.changes
        ],
        "refused": list(details.refused),
        "next": [{"at": edge.at.astimezone(zone).isoformat(), "what": edge.what} for edge in details.next],
        "failed": {name: str(error) for name, error in details.failed.items()},
    }


def _home_json(home: Home, zone: tzinfo) -> dict[str, Any]:
    end = home.tenant.term_end
    return {
        "provider": home.cluster.provider,
        "namespace": home.tenant.namespace,
        "terminating": home.tenant.terminating,
        "hard": _hard(home),
        "used": _used(home),
        "occupied": occupied((home.cluster, home.tenant)),
        "term_end": None if end is None else end.astimezone(zone).isoformat(),
        "objects": _objects(home),
        "pods": [asdict(pod) for pod in home.pods],
    }
