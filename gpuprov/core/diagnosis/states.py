"""Where Pulumi's state is not what the cluster has, or not what the settings say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from gpuprov.core.diagnosis.finding import Finding, Item, Kind
from gpuprov.core.diagnosis.view import View
from gpuprov.core.stackstate import Behind, Why, behind
from gpuprov.core.tenant import Desired
from gpuprov.i18n import Message, tr

_KINDS: Mapping[Why, tuple[Kind, Message]] = {
    Why.LOST: (Kind.LOST, tr("the state is lost: the cluster has awards, and the state has none")),
    Why.OLD: (Kind.OLD, tr("the state is old: it has other awards than the cluster, or as they were before")),
    Why.PENDING: (Kind.PENDING, tr("the state has operations of Pulumi that were begun and not ended")),
}


def of_state(desired: Desired | None, view: View) -> Iterator[Finding]:
    """Yield what is wrong with the states of a provider's stacks. Of a cluster that was not read, only what needs no
    cluster to be told.
    """
    setup = () if view.setup is None else (view.setup,)
    if damaged := [state for state in (*view.states, *setup) if state.damaged]:
        sentence = tr("Pulumi cannot read the state: it is damaged")
        items = [Item(name=state.stack, detail=state.damaged) for state in damaged]
        yield view.found(Kind.DAMAGED, sentence, view.command("recover"), items)
    if view.observed is not None:
        wanted = frozenset() if desired is None else {tenant.award_id for tenant in desired.on(view.provider)}
        stacks = [_without_missing(stack, wanted) for stack in behind(view.cluster, view.observed, view.states)]
        for why, (kind, sentence) in _KINDS.items():
            if items := [item for stack in stacks if stack.why is why for item in _items(stack)]:
                yield view.found(kind, sentence, view.command("recover"), items)
        yield from _settings(view)
    for state in setup:
        if state.outputs == {} and not state.damaged:
            sentence = tr("the state of the set-up is empty; a set-up adopts what is on the cluster")
            yield view.found(Kind.SETUP, sentence, view.command("setup"), [Item(name=state.stack)])


def _without_missing(stack: Behind, wanted: Collection[str]) -> Behind:
    """Leave out awards that the state has and the cluster should have: they are missing there, which `up` mends."""
    return replace(stack, gone=tuple(award_id for award_id in stack.gone if award_id not in wanted))


def _items(stack: Behind) -> Iterator[Item]:
    for detail, award_ids in {
        tr("not in the state of {stack}", stack=stack.stack): stack.unknown,
        tr("in the state of {stack}, and not on the cluster", stack=stack.stack): stack.gone,
        tr("in the state of {stack} as it was before it was last written", stack=stack.stack): stack.otherwise,
    }.items():
        yield from (Item(name=award_id, detail=detail) for award_id in award_ids)
    yield from (Item(name=stack.stack, detail=operation) for operation in stack.pending)


def _settings(view: View) -> Iterator[Finding]:
    recorded = view.outputs
    if not recorded.tenants:
        return
    items: list[Item] = []
    if recorded.shards != view.cluster.shards or recorded.misplaced:
        detail = tr(
            "the state is split into {now} stacks, the settings say {wanted}",
            now=recorded.shards,
            wanted=view.cluster.shards,
        )
        items.append(Item(detail=detail))
    if recorded.context not in (None, view.cluster.context):
        detail = tr(
            "the state has the context {known}, the settings say {wanted}",
            known=recorded.context,
            wanted=view.cluster.context,
        )
        items.append(Item(detail=detail))
    if items:
        yield view.found(Kind.SETTINGS, tr("the state is not as the settings say"), view.command("up"), items)
