"""Tables for people. Data for machines is JSON, printed by the commands themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from gpuprov.cli.screen import say, table
from gpuprov.core.plan import Change, Op, Plan
from gpuprov.i18n import joined, tr, trn
from gpuprov.run.job import Outcome

_MOST_ROWS = 12
_PULUMI = {"create": tr("create"), "update": tr("update"), "replace": tr("replace"), "delete": tr("delete")}
"""What Pulumi did to Kubernetes objects, where it is one of these."""


def print_plan(
    plan: Plan, *, unread: Collection[str] = (), restored: int = 0, err: bool = False, full: bool = False
) -> None:
    """Print a plan: a short one with a row for each award, a long one by groups, with the awards that need attention.

    ``unread`` are the chosen providers that did not answer; ``restored`` is how many awards differ in Pulumi's state
    only.
    """
    grouped = not full and len(plan.changes) > _MOST_ROWS
    printed = _attention(plan.changes) if grouped else plan.changes
    if grouped:
        headers = [tr("change"), tr("provider"), tr("model"), tr("awards"), tr("GPUs")]
        table(headers, _groups(plan.changes), err=err)
        say(err=err)
    if printed:
        headers = [tr("change"), tr("provider"), tr("award"), tr("model"), tr("GPUs"), tr("why")]
        table(headers, [_row(change) for change in printed], err=err)
    if hidden := len(plan.changes) - len(printed):
        more = (
            trn("{number} more award", "{number} more awards", hidden)
            if printed
            else trn("{number} award", "{number} awards", hidden)
        )
        say(tr("… {awards} in these groups (`gpuprov plan --full` shows all)", awards=more), err=err)
    at = plan.at.isoformat(timespec="seconds")
    say(tr("at {at}: {summary}", at=at, summary=_summary(plan, unread, restored)), err=err)


def _row(change: Change) -> tuple[object, ...]:
    gpus = f"{change.before} → {change.after}"
    why = joined("; ", change.reasons)
    return (change.op, change.provider, change.award_id, change.model, gpus, why)


def _summary(plan: Plan, unread: Collection[str], restored: int) -> str:
    if not plan.providers:
        return tr("no cluster could be read, so nothing is known of what would change")
    counts = {op: sum(change.op is op for change in plan.changes) for op in Op}
    to_do = [tr("{number} to {operation}", number=count, operation=op) for op, count in counts.items() if count]
    parts: list[str] = [joined(", ", to_do or [tr("nothing to change")])]
    if restored:
        parts.append(tr("{number} to write into Pulumi's state", number=restored))
    parts = [joined("; ", parts), tr("{number} unchanged", number=plan.unchanged)]
    parts = [joined(", ", parts)]
    if unread:
        parts.append(tr("not read: {providers}", providers=", ".join(unread)))
    return joined("; ", parts)


def _groups(changes: Sequence[Change]) -> list[tuple[object, ...]]:
    """Return a row for each operation, provider and model: how many awards, and their GPUs before and after."""
    order = list(Op)
    groups: dict[tuple[int, str, str], list[Change]] = {}
    for change in changes:
        groups.setdefault((order.index(change.op), change.provider, change.model), []).append(change)
    return [
        (order[op], provider, model, len(of), f"{sum(c.before for c in of)} → {sum(c.after for c in of)}")
        for (op, provider, model), of in sorted(groups.items())
    ]


def _attention(changes: Sequence[Change]) -> list[Change]:
    """Return every change that an awardee loses by and nothing explains, and as many updates as fit beside them."""
    losses = [change for change in changes if not change.expected]
    updates = [change for change in changes if change.expected and change.op is Op.UPDATE]
    kept = {id(change) for change in (*losses, *updates[: max(0, _MOST_ROWS - len(losses))])}
    return [change for change in changes if id(change) in kept]


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print what each provider's process did."""
    if not outcomes:
        return
    headers = [tr("provider"), tr("result"), tr("awards applied"), tr("Kubernetes objects"), tr("GPUs freed")]
    table([*headers, tr("time")], [_outcome(outcome) for outcome in outcomes])
    for outcome in outcomes:
        if len(outcome.freed) <= _MOST_ROWS:
            for freed in outcome.freed:
                say(
                    tr(
                        "{award}: {gpus} {model} proven free after {pods_seconds:.1f} s, namespace {namespace} gone "
                        "after {seconds:.1f} s",
                        award=freed.award_id,
                        gpus=freed.gpus,
                        model=freed.model,
                        pods_seconds=freed.pods_seconds,
                        namespace=freed.namespace,
                        seconds=freed.seconds,
                    )
                )


def _outcome(outcome: Outcome) -> tuple[object, ...]:
    objects = list(_objects(outcome)) or [tr("no change")]
    gpus = ", ".join(f"{freed} {model}" for model, freed in sorted(_freed(outcome).items())) or "-"
    result = tr("failed") if outcome.error else tr("ok")
    time = tr("{seconds:.1f} s", seconds=outcome.seconds)
    return (outcome.provider, result, len(outcome.applied), joined(", ", objects), gpus, time)


def _objects(outcome: Outcome) -> Iterator[str]:
    """Yield what was done to Kubernetes objects. Pulumi does not count quotas that were lowered before it ran."""
    if outcome.lowered:
        yield trn("{number} quota lowered", "{number} quotas lowered", len(outcome.lowered))
    for name, number in sorted(outcome.operations.items()):
        if name != "same":
            yield tr("{number} {operation}", number=number, operation=_PULUMI.get(name, name))


def _freed(outcome: Outcome) -> dict[str, int]:
    sums: dict[str, int] = {}
    for freed in outcome.freed:
        sums[freed.model] = sums.get(freed.model, 0) + freed.gpus
    return sums
