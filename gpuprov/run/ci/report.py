"""What a check found, as a file: one job of a pipeline writes it, another shows all of them to people.

A job that looks at a cluster has that cluster's credentials and may write nothing for people; the job that writes has
none. So texts are already in the language of the readers, and all of them are data to whoever shows them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from gpuprov.core.impact import Effect, Part
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import shown, tr
from gpuprov.load.files import read_bytes
from gpuprov.run.files import check_new, write_whole

T = TypeVar("T")


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wrong(_Data):
    """A problem in a file, as `errors.Problem` has it; ``where`` is the file, or the option."""

    where: str
    row: int | None = None
    column: str | None = None
    value: str | None = None
    message: str
    remedy: str


class Grown(_Data):
    """A ledger that only grew since a commit; each line of ``appended`` tells an event."""

    file: str
    commit: str
    kept: int
    appended: tuple[str, ...]


class Row(_Data):
    """One award that changes. ``explained`` is false where it loses, and neither ledger nor promised end says why."""

    effect: Effect
    award: str
    organization: str
    model: str
    before: int
    after: int
    explained: bool
    why: str


class Later(_Data):
    """From ``at`` on, after the present, an award will have ``after`` GPUs where it would have had ``before``."""

    at: AwareDatetime
    provider: str
    award: str
    organization: str
    model: str
    before: int
    after: int


class Look(_Data):
    """What a cluster needs to be as the files say: nothing, if ``rows`` is empty. ``unchanged`` counts awards.

    ``restored`` counts awards that differ in Pulumi's state only.
    """

    provider: str
    rows: tuple[Row, ...]
    unchanged: int
    restored: int = 0

    @property
    def parts(self) -> tuple[Part, ...]:
        """The rows, as a summary counts them."""
        return tuple(
            Part(effect=row.effect, provider=self.provider, model=row.model, before=row.before, after=row.after)
            for row in self.rows
        )


class Unfit(_Data):
    """A check of the preflight that failed."""

    provider: str
    check: str
    seen: str
    remedy: str


class Report(_Data):
    """What one or more checks found. ``expected`` are the project's providers; ``failed`` those that could not be
    looked at, with the reason. ``stopped`` is set where the files keep every cluster from being looked at: they have
    ``problems``, or the lists are ``refused`` as a whole.
    """

    at: AwareDatetime | None = None
    expected: tuple[str, ...] = ()
    awards: int | None = None
    ledger: Grown | None = None
    later: tuple[Later, ...] = ()
    problems: tuple[Wrong, ...] = ()
    refused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()
    failed: dict[str, str] = {}
    unfit: tuple[Unfit, ...] = ()
    stopped: bool = False

    @property
    def parts(self) -> tuple[Part, ...]:
        """All awards that change, as a summary counts them."""
        return tuple(part for look in self.looks for part in look.parts)

    @property
    def pending(self) -> bool:
        """True where a cluster, or what Pulumi remembers of it, is not as the files say."""
        return any(look.rows or look.restored for look in self.looks)

    @property
    def wrong(self) -> bool:
        """True where somebody has to do something."""
        return bool(self.problems or self.refused or self.failed or self.unfit or self.pending)


def merged(reports: Sequence[Report], only: Collection[str] | None = None) -> Report:
    """Return what all of them found together. An expected provider that none of them looked at has failed.

    ``only`` are the providers that one job looks at, where it leaves the others to other jobs.
    """
    every = tuple(sorted({name for report in reports for name in report.expected}))
    stopped = any(report.stopped for report in reports)
    looks = {look.provider: look for report in reports for look in report.looks}
    failed = {name: reason for report in reports for name, reason in report.failed.items()}
    if not stopped:
        reason = shown(tr("no report of it: its job has not ended, or there is none"))
        wanted = every if only is None else only
        failed |= dict.fromkeys([name for name in wanted if name not in {*looks, *failed}], reason)
    return Report(
        at=max((report.at for report in reports if report.at), default=None),
        expected=every,
        awards=next((report.awards for report in reports if report.awards is not None), None),
        ledger=next((report.ledger for report in reports if report.ledger), None),
        later=_distinct(one for report in reports for one in report.later),
        problems=_distinct(problem for report in reports for problem in report.problems),
        refused=_distinct(reason for report in reports for reason in report.refused),
        warnings=_distinct(warning for report in reports for warning in report.warnings),
        looks=tuple(look for _, look in sorted(looks.items())),
        failed=dict(sorted(failed.items())),
        unfit=_distinct(unfit for report in reports for unfit in report.unfit),
        stopped=stopped,
    )


def _distinct(found: Iterable[T]) -> tuple[T, ...]:
    """Return each once, in order: jobs that read the same files find the same."""
    return tuple(dict.fromkeys(found))


def write_report(path: Path, report: Report) -> None:
    """Write a report into a file, over an older one. Raises InputError."""
    with suppress(OSError):  # then there is none, which is told
        path.parent.mkdir(parents=True, exist_ok=True)
    check_new(path, force=True)
    write_whole(path, report.model_dump_json(indent=2).encode(), force=True)


def read_reports(folder: Path) -> list[Report]:
    """Return the reports in a folder; none where it is not there, as when no job has left any. Raises InputError."""
    reports: list[Report] = []
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.json")):
        try:
            reports.append(Report.model_validate_json(read_bytes(path)))
        except InputError as error:
            problems += error.problems
        except ValidationError as error:
            message = tr("is no report of `gpuprov ci check` ({reason})", reason=str(error.errors()[0]["msg"]))
            remedy = tr("write it with the same version of gpuprov")
            problems.append(Problem(file=str(path), message=message, remedy=remedy))
    if problems:
        raise InputError(problems)
    return reports
