"""Tables for people. Data for machines is JSON, printed by the commands themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import click

from gpuprov.cli.screen import table
from gpuprov.core.plan import Change, Op, Plan
from gpuprov.run.job import Outcome

_MOST_ROWS = 12


def print_plan(
    plan: Plan, *, unread: Collection[str] = (), restored: int = 0, err: bool = False, full: bool = False
) -> None:
    """Print a plan: a short one with a row for each award, a long one by groups, with the awards that need attention.

    ``unread`` are the chosen providers that did not answer; ``restored`` is how many awards differ in Pulumi's state
    only.
    """
    grouped = not full and len(plan.changes) > _MOST_ROWS
    shown = _attention(plan.changes) if grouped else plan.changes
    if grouped:
        table(["change", "provider", "model", "awards", "GPUs"], _groups(plan.changes), err=err)
        click.echo("", err=err)
    rows = [(c.op, c.provider, c.award_id, c.model, f"{c.before} → {c.after}", "; ".join(c.reasons)) for c in shown]
    if rows:
        table(["change", "provider", "award", "model", "GPUs", "why"], rows, err=err)
    if hidden := len(plan.changes) - len(shown):
        more = f"{hidden} more awards" if shown else f"{hidden} awards"
        click.echo(f"… {more} in these groups (`gpuprov plan --full` shows all)", err=err)
    counts = {op: sum(change.op is op for change in plan.changes) for op in Op}
    summary = ", ".join(f"{count} to {op}" for op, count in counts.items() if count) or "nothing to change"
    summary += f"; {restored} to write into Pulumi's state" if restored else ""
    summary += f", {plan.unchanged} unchanged" + (f"; not read: {', '.join(unread)}" if unread else "")
    if not plan.providers:
        summary = "no cluster could be read, so nothing is known of what would change"
    click.echo(f"at {plan.at.isoformat(timespec='seconds')}: {summary}", err=err)


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
    shown = {id(change) for change in (*losses, *updates[: max(0, _MOST_ROWS - len(losses))])}
    return [change for change in changes if id(change) in shown]


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print what each provider's process did."""
    if not outcomes:
        return
    rows = []
    for outcome in outcomes:
        objects = ", ".join(_objects(outcome)) or "no change"
        gpus = ", ".join(f"{freed} {model}" for model, freed in sorted(_freed(outcome).items())) or "-"
        rows.append(
            (
                outcome.provider,
                "failed" if outcome.error else "ok",
                len(outcome.applied),
                objects,
                gpus,
                f"{outcome.seconds:.1f} s",
            )
        )
    table(["provider", "result", "awards applied", "Kubernetes objects", "GPUs freed", "time"], rows)
    for outcome in outcomes:
        if len(outcome.freed) <= _MOST_ROWS:
            for freed in outcome.freed:
                click.echo(
                    f"{freed.award_id}: {freed.gpus} {freed.model} proven free after {freed.pods_seconds:.1f} s, "
                    f"namespace {freed.namespace} gone after {freed.seconds:.1f} s"
                )


def _objects(outcome: Outcome) -> Iterator[str]:
    """Yield what was done to Kubernetes objects. Pulumi does not count quotas that were lowered before it ran."""
    if outcome.lowered:
        yield f"{len(outcome.lowered)} {'quota' if len(outcome.lowered) == 1 else 'quotas'} lowered"
    yield from (f"{number} {op}" for op, number in sorted(outcome.operations.items()) if op != "same")


def _freed(outcome: Outcome) -> dict[str, int]:
    sums: dict[str, int] = {}
    for freed in outcome.freed:
        sums[freed.model] = sums.get(freed.model, 0) + freed.gpus
    return sums
