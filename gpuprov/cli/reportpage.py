"""The Markdown of a comment or an issue: who gains, who loses, what is freed and why, at any number of awards.

Up to `MOST_ROWS` changes stand there as they are. Of more there are totals by pool and by reason and the losses that
nothing explains, and everything else is folded. What the platform would refuse as too long is cut at whole rows, which
are counted.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gpuprov.cli.markdown import render
from gpuprov.core.impact import Effect, Totals, by_pool
from gpuprov.i18n import joined, tr, trn
from gpuprov.run.ci.report import Look, Report, Row

MOST_ROWS = 12
"""So many rows of a table are shown without being folded."""

_MOST_REASONS = 8
_SHORTEST_ROW = 20
"""Characters that a row has at least: more rows than fit need not be tried."""

_BLANKS = re.compile(r"\n{3,}")
_ORDER = list(Effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reason:
    """Changes that mean the same for the same reason: how many awards, and their GPUs before and after."""

    effect: str
    awards: int
    gpus: str
    why: str


def headline(report: Report) -> str:
    """Return in one line what a change does, or why it does nothing."""
    if report.problems:
        return trn(
            "{number} problem in the files; nothing was planned",
            "{number} problems in the files; nothing was planned",
            len(report.problems),
        )
    if report.stopped:
        return tr("refused, nothing would be changed")
    parts = _changes(report)
    parts = parts or [tr("nothing to change") if report.looks else tr("nothing is known of what would change")]
    if report.refused:
        parts.append(tr("refused by the guard"))
    if report.failed:
        parts.append(tr("not looked at: {providers}", providers=", ".join(report.failed)))
    if report.unfit:
        unfit = sorted({finding.provider for finding in report.unfit})
        parts.append(tr("not fit: {providers}", providers=", ".join(unfit)))
    return joined("; ", parts)


def _changes(report: Report) -> list[str]:
    """Return how many awards gain, lose, are corrected and change later, as far as there are any."""
    effects = [part.effect for part in report.parts]
    gaining, losing, corrected = map(effects.count, (Effect.GAINS, Effect.LOSES, Effect.CORRECTED))
    parts: list[str] = []
    if gaining:
        parts.append(trn("{number} award gains GPUs", "{number} awards gain GPUs", gaining))
    if losing:
        parts.append(trn("{number} award loses", "{number} awards lose", losing))
    if corrected:
        parts.append(trn("{number} award corrected", "{number} awards corrected", corrected))
    if restored := sum(look.restored for look in report.looks):
        parts.append(tr("{number} to write into Pulumi's state", number=restored))
    if report.later:
        parts.append(trn("{number} change later", "{number} changes later", len(report.later)))
    return parts


def page(report: Report, *, limit: int, run: str = "") -> str:
    """Return the Markdown of a report, of ``limit`` characters at most; ``run`` is the address of the run that checked.

    As many rows are left out as have to be.
    """
    tables: list[Sequence[object]] = [
        report.problems,
        report.refused,
        report.warnings,
        report.unfit,
        report.parts,
        report.later,
    ]
    tables += [report.parts, report.later, report.ledger.appended if report.ledger else ()]
    longest = min(max(map(len, tables)), limit // _SHORTEST_ROW)
    text = _page(report, longest, run)
    if len(text) > limit:
        rows = bisect_right(range(longest + 1), limit, key=lambda rows: len(_page(report, rows, run))) - 1
        text = _page(report, max(0, rows), run)
    return text if len(text) <= limit else render("report.md.j2", headline=headline(report), brief=True)


def _page(report: Report, most: int, run: str) -> str:
    """Return the Markdown with ``most`` rows of each table."""
    totals = by_pool(report.parts)
    folded = len(report.parts) > MOST_ROWS
    rows = sorted(((look.provider, row) for look in report.looks for row in look.rows), key=_place)
    unexplained = [(provider, row) for provider, row in rows if not row.explained]
    text = render(
        "report.md.j2",
        headline=headline(report),
        brief=False,
        report=report,
        run=run,
        given=_gpus(totals, lambda pool: pool.given),
        freed=_gpus(totals, lambda pool: pool.freed),
        totals=totals if folded else {},
        reasons=_reasons(report.looks) if folded else [],
        rows=unexplained[:MOST_ROWS] if folded else rows,
        unexplained=len(unexplained),
        by_provider={look.provider: [row for row in rows if row[0] == look.provider] for look in report.looks}
        if folded
        else {},
        unchanged=sum(look.unchanged for look in report.looks),
        folded=folded,
        most=most,
        shown_rows=MOST_ROWS,
    )
    return _BLANKS.sub("\n\n", text)


def _gpus(totals: dict[tuple[str, str], Totals], of: Callable[[Totals], int]) -> str:
    """Return such GPUs of every pool that has any: ``8 H200 at kt-cloud, 4 H100 at samsung-sds``."""
    return joined(
        ", ",
        (
            tr("{gpus} {model} at {provider}", gpus=of(pool), model=model, provider=provider)
            for (provider, model), pool in totals.items()
            if of(pool)
        ),
    )


def _reasons(looks: Iterable[Look]) -> list[_Reason]:
    """Return the changes by effect and reason, the most frequent first, and those of rarer reasons together."""
    groups: dict[tuple[Effect, str], list[Row]] = {}
    for row in (row for look in looks for row in look.rows):
        groups.setdefault((row.effect, row.why), []).append(row)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), _ORDER.index(group[0][0]), group[0][1]))
    kept, rare = ordered[:_MOST_REASONS], ordered[_MOST_REASONS:]
    reasons = [_reason(effect, rows, why) for (effect, why), rows in kept]
    if rare:
        why = trn("{number} other reason", "{number} other reasons", len(rare))
        words = joined(", ", [effect for effect in _ORDER if any(effect is found for (found, _), _ in rare)])
        reasons.append(_reason(words, [row for _, rows in rare for row in rows], why))
    return reasons


def _reason(effect: str, rows: Sequence[Row], why: str) -> _Reason:
    gpus = f"{sum(row.before for row in rows)} → {sum(row.after for row in rows)}"
    return _Reason(effect=effect, awards=len(rows), gpus=gpus, why=why)


def _place(provider_row: tuple[str, Row]) -> tuple[bool, int, str, str]:
    """Unexplained losses stand first, then losses, then gains."""
    provider, row = provider_row
    return row.explained, _ORDER.index(row.effect), provider, row.award
