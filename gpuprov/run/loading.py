"""Loads the input of a decision: the award lists with the ledger's events applied, and the digests of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gpuprov.core.capacity import Excess, excesses, lines, not_over
from gpuprov.core.ledger import Allocation, Event, History, Unlisted, histories, late_extensions, mark, unlisted
from gpuprov.core.outputs import Origin
from gpuprov.core.tenant import Desired, desired_state
from gpuprov.errors import InputError, PlanRefused, Problem
from gpuprov.load import load_awards, load_mapping
from gpuprov.load.ledgerfile import LedgerLine, read_lines
from gpuprov.load.project import Project, open_project
from gpuprov.run.files import digests


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The award lists with the ledger's events applied. ``warnings`` do not stop the command.

    ``files`` are the digests of the files, taken before they were read. ``unlisted`` are awards in the ledger that are
    in no list.
    """

    project: Project
    files: Mapping[str, str]
    histories: tuple[History, ...]
    events: tuple[Event, ...]
    unlisted: tuple[Unlisted, ...]
    excesses: tuple[Excess, ...]
    warnings: tuple[str, ...]

    @property
    def origin(self) -> Origin:
        """What a run that is based on this writes to its stacks' outputs."""
        return Origin(
            providers=tuple(cluster.provider for cluster in self.project.clusters), ledger=mark(self.events).to_json()
        )

    @property
    def allocations(self) -> list[Allocation]:
        """Who holds how many GPUs when, of all awards."""
        return _allocations(self.histories)

    def desired(self, at: datetime) -> Desired:
        """Return the desired state at a time. Raises PlanRefused if a pool's capacity is exceeded then or later."""
        if exceeded := not_over(self.excesses, at):
            raise PlanRefused(lines(exceeded))
        return desired_state(self.histories, self.project.clusters, at, self.unlisted)


def load(project: Project) -> Loaded:
    """Read the award lists and the ledger. Raises InputError with every problem of every file."""
    files = digests(project.files)
    problems: list[Problem] = []
    awards = []
    lines: tuple[LedgerLine, ...] = ()
    try:
        columns = None if project.columns is None else load_mapping(project.columns)
        awards = list(load_awards(project.awards, project.clusters, columns).awards)
    except InputError as error:
        problems += error.problems
    try:
        lines = read_lines(project.ledger)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    events = tuple(line.event for line in lines)
    known = {award.id for award in awards}
    warnings = [
        f"{project.ledger}:{line.row}: {line.event.event} of {line.event.award}, which no award list has"
        for line in lines
        if line.event.award not in known
    ]
    warnings += [f"{project.ledger}:{lines[place].row}: {text}" for place, text in late_extensions(awards, events)]
    all_histories = histories(awards, events)
    return Loaded(
        project=project,
        files=files,
        histories=all_histories,
        events=events,
        unlisted=unlisted(known, events),
        excesses=tuple(excesses(_allocations(all_histories), project.clusters)),
        warnings=tuple(warnings),
    )


def _allocations(award_histories: Iterable[History]) -> list[Allocation]:
    return [allocation for history in award_histories for allocation in history.allocations]


def loader(project: Project) -> Callable[[], Loaded]:
    """Return a function that loads the project; from its second call on it reads the settings again too."""
    opened = [project]

    def fresh() -> Loaded:
        return load(opened.pop() if opened else open_project(project.root))

    return fresh
