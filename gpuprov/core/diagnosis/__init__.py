"""What disagrees between list, ledger, leases, state and clusters, from what was read of each.

One finding has all awards of a provider with which the same is wrong. Where a context leads to another cluster than it
should, nothing else is said of that provider: everything there is another's.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from gpuprov.core import guard
from gpuprov.core.diagnosis.clusters import of_cluster
from gpuprov.core.diagnosis.finding import Finding, Item, Kind, Source, in_order
from gpuprov.core.diagnosis.runs import of_runs
from gpuprov.core.diagnosis.states import of_state
from gpuprov.core.diagnosis.view import Papers, View
from gpuprov.core.guard import Confirmed
from gpuprov.i18n import tr, trn

__all__ = ["Finding", "Item", "Kind", "Papers", "Source", "View", "diagnose"]

_COMMIT_MESSAGE = "ledger: events"
_VALIDATE = shlex.join(["gpuprov", "validate"])


def diagnose(papers: Papers, views: Sequence[View]) -> list[Finding]:
    """Return what disagrees, the most severe first."""
    return in_order([*_of_project(papers), *(finding for view in views for finding in _of_provider(papers, view))])


def _of_project(papers: Papers) -> Iterator[Finding]:
    if papers.problems:
        sentence = trn(
            "list or ledger are invalid: {number} problem",
            "list or ledger are invalid: {number} problems",
            len(papers.problems),
        )
        yield _found(Kind.FILES, sentence, _VALIDATE, papers.problems)
    if papers.excesses:
        sentence = tr("awards need more GPUs than there are; correct the list, or forfeit or reduce awards")
        yield _found(Kind.CAPACITY, sentence, _VALIDATE, papers.excesses)
    for kind, reasons in {Kind.DEPARTED: papers.departed, Kind.SHARED: papers.shared, Kind.LEDGER: papers.lost}.items():
        for reason in reasons:
            yield _found(kind, reason, None)
    if papers.uncommitted is not None:
        commit = shlex.join(["git", "commit", "-m", _COMMIT_MESSAGE, "--", papers.uncommitted])
        add = shlex.join(["git", "add", "--", papers.uncommitted])
        sentence = tr(
            "{file} has lines that are not committed, and the ledger is all that no cluster can give back",
            file=papers.uncommitted,
        )
        yield _found(Kind.UNCOMMITTED, sentence, commit if papers.tracked else f"{add} && {commit}")


def _found(kind: Kind, sentence: str, command: str | None, details: Sequence[str] = ()) -> Finding:
    items = tuple(Item(detail=detail) for detail in details)
    return Finding(kind=kind, provider=None, sentence=sentence, command=command, items=items)


def _of_provider(papers: Papers, view: View) -> Iterator[Finding]:
    of_this_cluster: list[Finding] = []
    if view.observed is not None:
        known = view.outputs.cluster_uid
        if wrong := guard.wrong_cluster(view.observed, view.cluster, known, Confirmed()):
            yield from (view.found(Kind.CLUSTER, reason, None) for reason in wrong)
            return
        of_this_cluster = list(of_cluster(papers.desired, view, view.observed))
    yield from of_this_cluster
    yield from of_state(papers.desired, view)
    yield from of_runs(view, of_this_cluster)
