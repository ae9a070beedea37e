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
from gpuprov.cli.common import end_unread, warn
from gpuprov.cli.errors import print_json
from gpuprov.core.awardrow import AwardRow, granted, occupied
from gpuprov.core.days import to_the_minute
from gpuprov.core.ledger import Event, Extended, Reduced
from gpuprov.core.plan import Change
from gpuprov.core.pods import PodUse
from gpuprov.i18n import joined, tr, trn
from gpuprov.load.ledgerfile import event_word
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
    end_unread(details.failed)


def _blocks(details: AwardDetails, project: Project) -> Iterator[Block]:
    zone = project.programme.zone
    yield Block(title=details.row.award, lines=list(_summary(details)))
    yield Block(title=tr("list"), lines=list(_listed(details, project)))
    if details.events:
        yield Block(title=tr("ledger"), lines=[_event(row, event, zone) for row, event in details.events])
    for home in details.homes:
        yield Block(title=tr("cluster {provider}", provider=home.cluster.provider), lines=list(_home(home, zone)))
    if not details.homes:
        where = tr("no cluster that was read has it") if details.failed else tr("no cluster has it")
        yield Block(title=tr("clusters"), lines=[Line(name=tr("namespace"), value=where)])
    yield Block(title=tr("next"), lines=list(_next(details, zone)))


def _summary(details: AwardDetails) -> Iterator[Line]:
    row = details.row
    accepted = tr("accepted") if row.accepted else tr("not accepted")
    if row.organization:
        yield Line(name=tr("organization"), value=row.organization)
    yield Line(name=tr("state"), value=joined(", ", [row.state, accepted]))
    yield Line(name=tr("GPUs"), value=_gpus(row))
    if row.deadline is not None:
        yield Line(name=tr("accept by"), value=row.deadline)
    if row.end is not None:
        yield Line(name=tr("end"), value=joined(", ", [str(row.end), *_left(row)]))


def _left(row: AwardRow) -> Iterator[str]:
    if row.days_left is not None:
        yield trn("{number} whole day left", "{number} whole days left", row.days_left)


def _gpus(row: AwardRow) -> str:
    number = f"{row.gpus} {row.model}".strip()
    where = tr("{gpus} at {provider}", gpus=number, provider=row.provider) if row.provider else number
    used = tr("in use is not known") if row.in_use is None else tr("{gpus} in use", gpus=row.in_use)
    return joined(", ", [where, used])


def _listed(details: AwardDetails, project: Project) -> Iterator[Line]:
    programme, root = project.programme, project.root
    history, origin = details.history, details.origin
    if history is None:
        yield Line(name=tr("row"), value=tr("no award list has it"))
        return
    award = history.award
    if origin is not None:
        file = Path(origin.file)
        yield Line(name=tr("file"), value=file.relative_to(root) if file.is_relative_to(root) else file)
        yield Line(name=tr("row"), value=origin.row)
    yield Line(name=tr("status"), value=award.status)
    yield Line(name=tr("quantity"), value=f"{award.quantity} {award.model}")
    unit = programme.counted_in(programme.accelerator(award.model))
    yield Line(name=tr("applied for"), value=f"{award.applied_h100} {unit}")
    yield Line(name=tr("track"), value=award.track)
    yield Line(name=tr("term"), value=tr("{first} to {last}", first=award.first_day, last=award.last_day))
    if award.call:
        yield Line(name=tr("call"), value=award.call)
    if award.contact:
        yield Line(name=tr("contact"), value=award.contact)
    if award.email:
        yield Line(name=tr("email"), value=award.email)


def _event(row: int, event: Event, zone: tzinfo) -> Line:
    what = [tr("{event} at {at}", event=event_word(event), at=to_the_minute(event.at, zone))]
    if isinstance(event, Reduced):
        what.append(trn("{number} GPU remains", "{number} GPUs remain", event.quantity))
    elif isinstance(event, Extended):
        what.append(tr("to {day}", day=event.last_day))
    by, reason = Line(name=tr("by"), value=event.by), Line(name=tr("reason"), value=event.reason)
    return Line(name=tr("line {row}", row=row), value=joined(", ", what), below=[by, reason])


def _home(home: Home, zone: tzinfo) -> Iterator[Line]:
    tenant = home.tenant
    yield Line(name=tr("namespace"), value=tenant.namespace)
    if tenant.terminating:
        yield Line(name=tr("terminating"), value=tr("yes"))
    yield Line(name=tr("quota"), value=_quota(home))
    end = tr("unknown") if tenant.term_end is None else to_the_minute(tenant.term_end, zone)
    yield Line(name=tr("promised end"), value=end)
    yield Line(name=tr("objects"), value=", ".join(_objects(home)))
    for pod in home.pods:
        yield Line(name=tr("pod"), value=pod.name, below=list(_pod(pod)))
    if not home.pods:
        yield Line(name=tr("pods"), value=tr("none"))


def _quota(home: Home) -> str:
    pool = home.tenant.pool(home.cluster)
    hard, used, held = _hard(home), _used(home), _held(home)
    if pool is None:
        return tr("{hard} GPUs, {used} used, pods hold {held}", hard=hard, used=used, held=held)
    return tr("{hard} {model}, {used} used, pods hold {held}", hard=hard, model=pool.model, used=used, held=held)


def _pod(pod: PodUse) -> Iterator[Line]:
    yield Line(name=tr("phase"), value=joined(", ", [pod.phase, *([tr("terminating")] if pod.terminating else [])]))
    yield Line(name=tr("GPUs"), value=f"{pod.gpus}" if pod.holds else tr("{gpus} asked for, none held", gpus=pod.gpus))
    yield Line(name=tr("node"), value=pod.node or tr("none"))


def _next(details: AwardDetails, zone: tzinfo) -> Iterator[Line]:
    for reason in details.refused:
        yield Line(name=tr("no plan is made"), value=reason)
    for change in details.changes:
        below = [Line(name=tr("why"), value=why) for why in change.reasons]
        yield Line(name=tr("now"), value=_change(change), below=below)
    if not details.changes:
        unread = tr("nothing to change on the clusters that were read")
        yield Line(name=tr("now"), value=unread if details.failed else tr("nothing to change"))
    for edge in details.next:
        yield Line(name=to_the_minute(edge.at, zone), value=edge.what)


def _change(change: Change) -> str:
    what = tr(
        "{operation} at {provider}, {before} → {after} {model}",
        operation=change.op,
        provider=change.provider,
        before=change.before,
        after=change.after,
        model=change.model,
    )
    return joined(", ", [what, *([tr("an unexplained {loss}", loss=change.loss)] if change.loss else [])])


def _hard(home: Home) -> int:
    return granted((home.cluster, home.tenant))


def _used(home: Home) -> int:
    return sum(home.tenant.used(resource) for resource in {pool.resource for pool in home.tenant.pools(home.cluster)})


def _held(home: Home) -> int:
    return sum(pod.gpus for pod in home.pods if pod.holds)


def _objects(home: Home) -> list[str]:
    return sorted(f"{kind} {name}" for kind, name in home.tenant.objects if kind != "Namespace")


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
