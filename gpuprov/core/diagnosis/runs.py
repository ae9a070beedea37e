"""What runs have left: Pulumi's locks, the turn on the cluster, and work that was begun and not ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpuprov.core.diagnosis.finding import Finding, Item, Kind
from gpuprov.core.diagnosis.view import View
from gpuprov.i18n import tr

_TO_DO = frozenset({Kind.ENDED, Kind.MISSING, Kind.DRIFTED})


def of_runs(view: View, on_cluster: Sequence[Finding]) -> Iterator[Finding]:
    """Yield what is wrong with locks and Lease; ``on_cluster`` is what was found on the provider's cluster.

    That a run left something undone counts only while there still is something to do.
    """
    if view.locks:
        items = [
            Item(name=stack, detail=tr("locked by {owner}", owner=owner))
            for stack, owners in view.locks.items()
            for owner in owners
        ]
        sentence = tr("a run that is gone has left Pulumi's lock, which stops every other run")
        yield view.found(Kind.LOCKED, sentence, view.command("unlock"), items)
    standing = view.standing
    if standing is None:
        return
    if standing.gone:
        item = Item(detail=tr("{holder}, since {since}", holder=standing.holder, since=standing.since))
        yield view.found(
            Kind.LEASE, tr("a run that is gone has the turn on the cluster"), view.command("unlock"), [item]
        )
    to_do = {finding.kind for finding in on_cluster} & _TO_DO
    if standing.undone and to_do:
        sentence = tr("the last run on the cluster left something undone")
        verb = "expire" if to_do == {Kind.ENDED} else "up"
        yield view.found(Kind.UNDONE, sentence, view.command(verb), list(_last(view)))


def _last(view: View) -> Iterator[Item]:
    if view.standing is not None:
        yield Item(detail=tr("the last run: {run}", run=view.standing.last))
        if view.standing.last_good_run:
            yield Item(detail=tr("the last good run: {run}", run=view.standing.last_good_run))
