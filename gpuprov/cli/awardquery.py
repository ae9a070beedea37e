"""What was typed after `gpuprov awards`, understood as a whole: everything that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gpuprov.cli.language import wrong_usage
from gpuprov.core.lifecycle import AwardState
from gpuprov.core.overview import COLUMNS, USUAL, Column, Order, Wanted, duration
from gpuprov.core.suggestions import did_you_mean
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import joined, tr
from gpuprov.load.project import Project
from gpuprov.run.pipeline import select


class Typed(BaseModel):
    """The options as they were typed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    providers: tuple[str, ...]
    states: tuple[str, ...]
    ends_within: str | None
    not_accepted: bool
    idle: bool
    sort: str
    columns: str | None
    as_json: bool
    as_csv: bool
    xlsx: Path | None
    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for. ``providers`` are those to read; ``columns`` is empty where none were named."""

    wanted: Wanted
    orders: tuple[Order, ...]
    columns: tuple[Column, ...]
    providers: tuple[str, ...]

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns for people: those that were named, or the usual ones."""
        return self.columns or tuple(COLUMNS[name] for name in USUAL)


def read_query(typed: Typed, project: Project) -> Query:
    """Understand the options. Raises InputError if all that is wrong are providers, else click.UsageError with all."""
    reader = _Reader()
    wanted = Wanted(
        text=typed.text,
        providers=frozenset(typed.providers),
        states=frozenset(reader.state(name) for name in typed.states),
        ends_within=None if typed.ends_within is None else reader.duration(typed.ends_within),
        not_accepted=typed.not_accepted,
        idle=typed.idle,
    )
    orders = tuple(reader.order(name) for name in _names(typed.sort))
    columns = () if typed.columns is None else reader.columns(typed.columns)
    reader.wrong += _wrong_outputs(typed)
    unknown: tuple[Problem, ...] = ()
    providers: list[str] = []
    try:
        providers = select(project.clusters, typed.providers)
    except InputError as error:
        if not reader.wrong:
            raise
        unknown = error.problems
    if reader.wrong:
        raise wrong_usage(joined("\n", (problem.sentence for problem in (*reader.wrong, *unknown))))
    return Query(wanted=wanted, orders=orders, columns=columns, providers=tuple(providers))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


class _Reader:
    """Reads options one by one, and keeps what is wrong. What it returns for a wrong one is never used."""

    def __init__(self) -> None:
        self.wrong: list[Problem] = []

    def state(self, name: str) -> AwardState:
        try:
            return AwardState(name)
        except ValueError:
            known = [str(state) for state in AwardState]
            self._wrong("--state", name, tr("is not a state"), _use(name, known))
            return AwardState.ACTIVE

    def duration(self, text: str) -> timedelta:
        length = duration(text)
        if length is None:
            remedy = tr("write it in hours, days or weeks: 36h, 14d, 2w")
            self._wrong("--ends-within", text, tr("is not a time"), remedy)
        return length or timedelta()

    def order(self, name: str) -> Order:
        return Order(column=self._column("--sort", name.removeprefix("-")), descending=name.startswith("-"))

    def columns(self, text: str) -> tuple[Column, ...]:
        names = _names(text)
        if not names:
            self._wrong("--columns", text, tr("names no column"), tr("use some of {names}", names=", ".join(COLUMNS)))
        return tuple(self._column("--columns", name) for name in dict.fromkeys(names))

    def _column(self, option: str, name: str) -> Column:
        column = COLUMNS.get(name.replace("-", "_"))
        if column is None:
            self._wrong(option, name, tr("is not a column"), _use(name, COLUMNS))
        return column or COLUMNS[USUAL[0]]

    def _wrong(self, option: str, value: str, message: str, remedy: str) -> None:
        self.wrong.append(Problem(argument=option, value=value, message=message, remedy=remedy))


def _use(typed: str, known: Collection[str]) -> str:
    return tr("use {names}{alike}", names=", ".join(known), alike=did_you_mean(typed, known))


def _wrong_outputs(typed: Typed) -> Iterator[Problem]:
    outputs = {"--json": typed.as_json, "--csv": typed.as_csv, "--xlsx": typed.xlsx is not None}
    several = [option for option, chosen in outputs.items() if chosen]
    if len(several) > 1:
        yield Problem(argument=" and ".join(several), message=tr("are several outputs"), remedy=tr("choose one"))
    if typed.xlsx is None and typed.force:
        remedy = tr("pass --xlsx FILE too, or leave it out")
        yield Problem(argument="--force", message=tr("replaces no file"), remedy=remedy)
    if typed.xlsx is not None and typed.xlsx.suffix.lower() != ".xlsx":
        message, remedy = tr("is no name that Excel opens"), tr("let the file's name end with .xlsx")
        yield Problem(argument="--xlsx", value=str(typed.xlsx), message=message, remedy=remedy)
