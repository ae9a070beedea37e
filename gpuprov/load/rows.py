"""One row of a list to one award: all of its cells first, then the programme's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError

from gpuprov.core.award import Award, Breach, quantity_breaches, term_breaches
from gpuprov.errors import Problem
from gpuprov.i18n import tr
from gpuprov.load import cells
from gpuprov.load.details import details
from gpuprov.load.suppliers import Suppliers
from gpuprov.load.words import Words

_MOST_SHOWN = 80


class RowParser:
    """Turns the cells of one file's rows into awards.

    ``columns`` is each field's header as the file writes it; fields that the file has no column for keep the award's
    default. ``words`` are the programme's, ``call`` is the call that the file's awards are all of, or nothing.
    """

    def __init__(
        self, file: str, columns: Mapping[str, str], suppliers: Suppliers, words: Words, call: str = ""
    ) -> None:
        self._file = file
        self._columns = columns
        self._suppliers = suppliers
        self._programme = words.programme
        self._call = call
        self._parsers: dict[str, Callable[[object], object]] = {
            "id": cells.award_id,
            "organization": cells.required_text,
            "organization_type": cells.short_text,
            "contact": cells.short_text,
            "email": cells.email,
            "track": words.track,
            "applied_h100": cells.count,
            "provider": suppliers.provider,
            "model": words.model,
            "quantity": cells.count,
            "first_day": cells.day,
            "last_day": cells.day,
            "status": words.status,
            "accept_by": cells.day_or_none,
            "call": words.call,
        }
        self._parsers |= {field: _remembered(self._parsers[field]) for field in _REPEATED}

    def parse(self, row: int, values: Mapping[str, object]) -> tuple[str | None, Award | None, list[Problem]]:
        """Return the row's id and award, as far as they could be understood, and every problem of the row."""
        parsed: dict[str, Any] = {}
        problems = []
        for field in self._columns:
            value = values.get(field)
            try:
                parsed[field] = self._parsers[field](value)
            except cells.CellProblem as problem:
                problems.append(self.problem(row, field, value, problem.message, problem.remedy))
        if "provider" in parsed and "model" in parsed:
            try:
                self._suppliers.check_pool(parsed["provider"], parsed["model"])
            except cells.CellProblem as problem:
                problems.append(self.problem(row, "model", values.get("model"), problem.message, problem.remedy))
        problems += self._of_the_file(row, parsed, values)
        award = None if problems else self._award(row, parsed, values, problems)
        for breach in self._breaches(parsed):
            value = values.get(breach.field)
            problems.append(self.problem(row, breach.field, value, breach.message, breach.remedy))
        return parsed.get("id"), None if problems else award, problems

    def _of_the_file(self, row: int, parsed: dict[str, Any], values: Mapping[str, object]) -> Iterator[Problem]:
        """Let the file say the call of a row that says none. One that says another is a problem."""
        if self._call and parsed.get("call", "") not in ("", self._call):
            message = tr("is in a list of call {call}", call=self._call)
            remedy = tr("correct the cell, or the call's `lists` in the programme file")
            yield self.problem(row, "call", values.get("call"), message, remedy)
        elif self._call:
            parsed["call"] = self._call

    def _breaches(self, parsed: Mapping[str, Any]) -> Iterator[Breach]:
        """Check the rules on the cells that were understood, also in a row where others were not."""
        if {"track", "applied_h100", "model", "quantity"} <= parsed.keys():
            yield from quantity_breaches(
                parsed["track"], parsed["applied_h100"], parsed["model"], parsed["quantity"], self._programme
            )
        if {"first_day", "last_day"} <= parsed.keys():
            yield from term_breaches(parsed["first_day"], parsed["last_day"], parsed.get("call", ""), self._programme)

    def _award(
        self, row: int, parsed: Mapping[str, Any], values: Mapping[str, object], problems: list[Problem]
    ) -> Award | None:
        try:
            return Award(**parsed)
        except ValidationError as error:  # a constraint of the model that no parser knows
            for detail in details(error, tr("correct the value")):
                field = str(detail.place[0]) if detail.place else "id"
                problems.append(self.problem(row, field, values.get(field), detail.message, detail.remedy))
            return None

    def problem(self, row: int, field: str, value: object, message: str, remedy: str) -> Problem:
        """Return a problem of one cell."""
        return Problem(
            file=self._file,
            row=row,
            column=self._columns.get(field, field),
            value=_shown(value),
            message=message,
            remedy=remedy,
        )


_REPEATED = (
    "track",
    "applied_h100",
    "provider",
    "model",
    "quantity",
    "first_day",
    "last_day",
    "status",
    "accept_by",
    "call",
)
"""Fields of which a list has few values in many rows."""


def _remembered(parse: Callable[[object], object]) -> Callable[[object], object]:
    """Return a parser that understands each value once. What it refuses is told anew for each cell."""
    known: dict[tuple[type, object], object] = {}

    def remembered(value: object) -> object:
        if not isinstance(value, str | int | float | date):
            return parse(value)
        cell = (type(value), value)  # True is 1 to a dictionary
        if cell not in known:
            known[cell] = parse(value)
        return known[cell]

    return remembered


def _shown(value: object) -> str | None:
    if value is None or value is cells.NO_RESULT or value == "":
        return None
    written = str(value)
    return written if len(written) <= _MOST_SHOWN else written[:_MOST_SHOWN] + "…"
