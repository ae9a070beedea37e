"""Loads the input of a decision: the award lists with the ledger's events applied, and the digests of the files."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gpuprov.core.capacity import Excess, excesses, lines, not_over
from gpuprov.core.extensions import late_extensions
from gpuprov.core.ledger import Allocation, Event, History, Unlisted, histories, mark, unlisted
from gpuprov.core.outputs import Origin
from gpuprov.core.tenant import Desired, desired_state
from gpuprov.errors import InputError, PlanRefused, Problem
from gpuprov.i18n import tr
from gpuprov.load.awards import Origin as ListOrigin
from gpuprov.load.awards import load_awards
from gpuprov.load.ledgerfile import LedgerLine, event_word, read_lines
from gpuprov.load.mapping import load_mapping
from gpuprov.load.project import Project, open_project
from gpuprov.load.source import list_names
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
    origins: Mapping[str, ListOrigin] = field(default_factory=dict)
    ledger_rows: tuple[int, ...] = ()

    @property
    def origin(self) -> Origin:
        """What a run that is based on this writes to its stacks' outputs."""
        return Origin(
            providers=tuple(cluster.provider for cluster in self.project.clusters), ledger=mark(self.events).to_json()
        )

    @property
    def allocations(self) -> list[Allocation]:
        """Who holds how many GPUs when, of all awards. The list is made anew each time."""
        return _allocations(self.histories)

    def desired(self, at: datetime) -> Desired:
        """Return the desired state at a time. Raises PlanRefused if a pool's capacity is exceeded then or later."""
        if exceeded := not_over(self.excesses, at):
            raise PlanRefused(lines(exceeded))
        return self.wanted(at)

    def wanted(self, at: datetime) -> Desired:
        """Return the same, whether or not it fits: nothing may be granted from it, but what has ended may end."""
        return desired_state(self.histories, self.project.clusters, at, self.unlisted)


def load(project: Project) -> Loaded:
    """Read the award lists and the ledger. Raises InputError with every problem of every file."""
    files = digests(project.files)
    problems: list[Problem] = []
    listed = None
    lines: tuple[LedgerLine, ...] = ()
    try:
        columns = None if project.columns is None else load_mapping(project.columns)
        listed = load_awards(project.awards, project.clusters, columns, programme=project.programme)
    except InputError as error:
        problems += error.problems
    try:
        lines = read_lines(project.ledger)
    except InputError as error:
        problems += error.problems
    if listed is None or problems:
        raise InputError(problems)
    awards = listed.awards
    events = tuple(line.event for line in lines)
    known = {award.id for award in awards}
    zone = project.programme.zone
    warnings = [*listed.warnings]
    warnings += _of_no_list(project, lines, known)
    warnings += _lists_of_calls(project)
    warnings += [
        tr("{file}:{row}: {remark}", file=project.ledger, row=lines[place].row, remark=remark)
        for place, remark in late_extensions(awards, events, zone)
    ]
    all_histories = histories(awards, events, zone)
    return Loaded(
        project=project,
        files=files,
        histories=all_histories,
        events=events,
        unlisted=unlisted(known, events, zone),
        excesses=tuple(excesses(_allocations(all_histories), project.clusters, project.programme)),
        warnings=tuple(warnings),
        origins=listed.origins,
        ledger_rows=tuple(line.row for line in lines),
    )


def _of_no_list(project: Project, lines: Iterable[LedgerLine], known: Collection[str]) -> list[str]:
    """Return a warning for each line of the ledger whose award is in no list."""
    return [
        tr(
            "{file}:{row}: {event} of {award}, which no award list has",
            file=project.ledger,
            row=line.row,
            event=event_word(line.event),
            award=line.event.award,
        )
        for line in lines
        if line.event.award not in known
    ]


def _lists_of_calls(project: Project) -> list[str]:
    """Return a warning for each list of a call that is not loaded: of a misspelt name no term would be checked."""
    names = {name for path in project.awards for name in list_names(path)}
    return [
        tr(
            "{programme}: call {call} has the list {name}, which is not among the award lists",
            programme=project.programme.name,
            call=call.name,
            name=name,
        )
        for call in project.programme.calls
        for name in call.lists
        if unicodedata.normalize("NFC", name) not in names
    ]


def _allocations(award_histories: Iterable[History]) -> list[Allocation]:
    return [allocation for history in award_histories for allocation in history.allocations]


def loader(project: Project) -> Callable[[], Loaded]:
    """Return a function that loads the project; from its second call on it reads the settings again too."""
    opened = [project]

    def fresh() -> Loaded:
        return load(opened.pop() if opened else open_project(project.root))

    return fresh
