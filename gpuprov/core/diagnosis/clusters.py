"""Where a cluster is not what list and ledger want: what the next `expire` or `up` would change, and what stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gpuprov.core.diagnosis.finding import Finding, Item, Kind
from gpuprov.core.diagnosis.view import View
from gpuprov.core.guard import TEARDOWNS
from gpuprov.core.observed import ObservedCluster, ObservedTenant
from gpuprov.core.plan import Change, Op, make_plan
from gpuprov.core.tenant import Desired
from gpuprov.core.termguard import Outrun, outrun
from gpuprov.i18n import joined, tr, trn


def of_cluster(desired: Desired | None, view: View, observed: ObservedCluster) -> Iterator[Finding]:
    """Yield what is wrong on a cluster; without a desired state only what needs none to be told."""
    if view.cluster.require_chart:
        yield from _chart(view, observed)
    going = [tenant for tenant in observed.tenants if tenant.terminating]
    if going:
        yield _terminating(view, going)
    if desired is None:
        return
    clusters = {view.provider: view.cluster}
    early = list(outrun(desired, [observed], clusters))
    if early:
        yield _outrun(view, early)
    told = {tenant.namespace for tenant in going}
    early_awards = {item.award_id for item in early}
    yield from _changes(
        view,
        [
            change
            for change in make_plan(desired, [observed], clusters).changes
            if change.namespace not in told and not (change.op is Op.UPDATE and change.award_id in early_awards)
        ],
    )


def _chart(view: View, observed: ObservedCluster) -> Iterator[Finding]:
    if observed.missing:
        sentence = tr(
            "the cluster lacks what charts/gpu-cluster brings, so awardees could take more than they are given"
        )
    elif view.outdated:
        sentence = tr("the cluster has another version of charts/gpu-cluster than the project")
    else:
        return
    phrases = observed.missing or (view.outdated,)
    yield view.found(Kind.CHART, sentence, view.command("setup"), [Item(detail=phrase) for phrase in phrases])


def _terminating(view: View, going: Sequence[ObservedTenant]) -> Finding:
    sentence = trn(
        "{number} namespace is being deleted and is not gone; if it stays, whoever owns what it waits for has to let "
        "go, because gpuprov strips no finalizer",
        "{number} namespaces are being deleted and are not gone; if they stay, whoever owns what they wait for has to "
        "let go, because gpuprov strips no finalizer",
        len(going),
    )
    details = [
        Item(
            name=tenant.award_id,
            detail=tr("namespace {name}: {reason}", name=tenant.namespace, reason=tenant.waits_for),
        )
        for tenant in going
    ]
    return view.found(Kind.TERMINATING, sentence, None, details)


def _outrun(view: View, early: Sequence[Outrun]) -> Finding:
    first = min(early, key=lambda item: item.when)
    sentence = trn(
        "the cluster's term guard would end {number} award before its term does, at {when}",
        "the cluster's term guard would end {number} awards before their terms do, the first at {when}",
        len(early),
        when=first.when.isoformat(timespec="minutes"),
    )
    return view.found(
        Kind.OUTRUN, sentence, view.command("up"), [Item(name=item.award_id, detail=item.sentence) for item in early]
    )


def _changes(view: View, changes: Sequence[Change]) -> Iterator[Finding]:
    """Yield a finding for each kind of change."""

    def those(wanted: Callable[[Change], bool]) -> list[Change]:
        return [change for change in changes if wanted(change)]

    if ended := those(lambda change: change.op is Op.RECLAIM and change.expected):
        sentence = trn(
            "{number} award has ended and still has its namespace",
            "{number} awards have ended and still have their namespaces",
            len(ended),
        )
        yield view.found(Kind.ENDED, sentence, view.command("expire"), _why(ended))
    if unwanted := those(lambda change: change.op is Op.RECLAIM and not change.expected):
        sentence = trn(
            "{number} namespace is there that the list does not have there, and no event and no end explains it; check "
            "the list first",
            "{number} namespaces are there that the list does not have there, and no event and no end explains them; "
            "check the list first",
            len(unwanted),
        )
        yield view.found(Kind.UNWANTED, sentence, _up(view, unwanted), _why(unwanted))
    if missing := those(lambda change: change.op is Op.CREATE):
        sentence = trn("{number} award is not on the cluster", "{number} awards are not on the cluster", len(missing))
        yield view.found(Kind.MISSING, sentence, _up(view), _why(missing))
    if drifted := those(lambda change: change.op is Op.UPDATE):
        sentence = trn(
            "{number} award is not on the cluster as it should be",
            "{number} awards are not on the cluster as they should be",
            len(drifted),
        )
        yield view.found(Kind.DRIFTED, sentence, _up(view, drifted), _why(drifted))


def _why(changes: Sequence[Change]) -> list[Item]:
    return [Item(name=change.award_id, detail=joined("; ", change.reasons)) for change in changes]


def _up(view: View, changes: Sequence[Change] = ()) -> str:
    """Return the command that makes the changes, with what the guard wants confirmed of more than one."""
    teardowns = sum(change.loss in TEARDOWNS for change in changes)
    others = sum(change.loss is not None for change in changes) - teardowns
    confirmed = [f"--allow-teardown {teardowns}"] if teardowns > 1 else []
    confirmed += [f"--allow-change {others}"] if others > 1 else []
    return view.command("up", *confirmed)
