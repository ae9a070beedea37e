"""Tables for people. Data for machines is JSON, printed by the commands themselves."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from gpuprov.core.plan import Change, Op, Plan
from gpuprov.run.job import Outcome

_MOST_ROWS = 12
_PIPE_COLUMNS = 160


def _console(*, err: bool) -> Console:
    """Return a console that does not wrap tables at 80 columns if the output is not a terminal."""
    stream = sys.stderr if err else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _PIPE_COLUMNS, highlight=False)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, err: bool = False) -> None:
    """Print rows under headers; columns that only have numbers are right-aligned."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for index, header in enumerate(headers):
        numeric = bool(rows) and all(isinstance(row[index], int) for row in rows)
        grid.add_column(header, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(str(cell) for cell in row))
    _console(err=err).print(grid, markup=False)


def print_plan(
    plan: Plan, *, unread: Collection[str] = (), restored: int = 0, err: bool = False, full: bool = False
) -> None:
    """Print a plan: every change that needs attention, and as many creations and expected reclaims as fit.

    ``unread`` are the chosen providers that did not answer; ``restored`` is how many awards differ in Pulumi's state
    only.
    """
    shown = plan.changes if full else _worth_showing(plan)
    rows = [(c.op, c.provider, c.award_id, c.model, f"{c.before} → {c.after}", "; ".join(c.reasons)) for c in shown]
    if rows:
        table(["change", "provider", "award", "model", "GPUs", "why"], rows, err=err)
    stream = sys.stderr if err else sys.stdout
    if len(shown) < len(plan.changes):
        print(f"… and {len(plan.changes) - len(shown)} more (`gpuprov plan --full` shows all)", file=stream)
    counts = {op: sum(change.op is op for change in plan.changes) for op in Op}
    summary = ", ".join(f"{count} to {op}" for op, count in counts.items() if count) or "nothing to change"
    summary += f"; {restored} to write into Pulumi's state" if restored else ""
    summary += f", {plan.unchanged} unchanged" + (f"; not read: {', '.join(unread)}" if unread else "")
    if not plan.providers:
        summary = "no cluster could be read, so nothing is known of what would change"
    print(f"at {plan.at.isoformat(timespec='seconds')}: {summary}", file=stream)


def _worth_showing(plan: Plan) -> list[Change]:
    routine = [change for change in plan.changes if change.op is not Op.UPDATE and change.expected]
    room = max(0, _MOST_ROWS - (len(plan.changes) - len(routine)))
    hidden = {id(change) for change in routine[room:]}
    return [change for change in plan.changes if id(change) not in hidden]


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
                print(  # noqa: T201
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
