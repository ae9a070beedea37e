"""One cell to one value. Every parser raises CellProblem for what it does not accept, and nothing else."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Final

from pydantic import TypeAdapter, ValidationError

from gpuprov.core.award import AwardId
from gpuprov.i18n import tr
from gpuprov.load.text import clean, narrow

FIRST_YEAR = 2000
LAST_YEAR = 2099
"""Years of the programme's days; any other is a slip of the pen such as 2206."""

MOST_GPUS = 9_999_999
"""Far beyond the national plan of 260,000 GPUs."""

LONGEST_TEXT = 300
LONGEST_EMAIL = 254
"""Longest address that mail can be sent to (RFC 5321, 4.5.3.1.3)."""

EMAIL = r'[^@\s<>,;"]+@[^@\s<>,;"]+\.[^@\s<>,;"]+'
"""The shape of one mail address; whether it is the right one only an answer tells."""

NO_RESULT: Final = object()
"""A formula's cell whose result was never saved."""


class CellProblem(Exception):
    """What is wrong with a cell, and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


_EXCEL_ERRORS = frozenset(
    [
        "#N/A",
        "#REF!",
        "#VALUE!",
        "#DIV/0!",
        "#NAME?",
        "#NUM!",
        "#NULL!",
        "#SPILL!",
        "#CALC!",
        "#FIELD!",
        "#BLOCKED!",
        "#GETTING_DATA",
    ]
)
_LOST = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_SHORTENED = re.compile(r"[0-9](\.[0-9]+)?E\+[0-9]+", re.IGNORECASE)
_COUNT = re.compile(r"([0-9]{1,7}|[0-9]{1,3}(?:,[0-9]{3}){1,2}) ?(?:장|개|GPUs?)?", re.IGNORECASE)
_MACHINES = re.compile(r"[0-9,]+ ?(대|서버|노드|servers?|nodes?)", re.IGNORECASE)
_MIDNIGHT = re.compile(r"[ T]00:00(:00(\.0+)?)?$")
_TIMED = re.compile(r"[0-9][ T][0-9]{1,2}:[0-9]{2}")
_DAYS = (
    re.compile(r"(?P<y>[0-9]{4}) ?(?P<s>[-./]) ?(?P<m>[0-9]{1,2}) ?(?P=s) ?(?P<d>[0-9]{1,2}) ?\.?"),
    re.compile(r"(?P<y>[0-9]{4}) ?년 ?(?P<m>[0-9]{1,2}) ?월 ?(?P<d>[0-9]{1,2}) ?일"),
    re.compile(r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"),
)
_SERIAL = re.compile(r"[0-9]{5}(\.[0-9]+)?")
_EXCEL_DAY_0 = date(1899, 12, 30)
_EMAIL = re.compile(EMAIL)
_AWARD_ID: TypeAdapter[str] = TypeAdapter(AwardId)


def text(value: object) -> str:
    """Return any cell as clean text: NFC, one line, no invisible characters; an empty cell is the empty text."""
    if isinstance(value, str):
        cleaned = clean(value)
        if _LOST.search(cleaned):
            raise CellProblem(tr("holds a control character or one that a conversion lost"), tr("type it anew"))
        if cleaned in _EXCEL_ERRORS:
            raise CellProblem(tr("is an error of the spreadsheet"), tr("correct the formula, or type the value"))
        return cleaned
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise _no_text(value)


def short_text(value: object) -> str:
    """Return a text that may be empty, of at most 300 characters."""
    cell_text = text(value)
    if len(cell_text) > LONGEST_TEXT:
        raise CellProblem(tr("is longer than {most} characters", most=LONGEST_TEXT), tr("shorten it"))
    return cell_text


def required_text(value: object) -> str:
    """Return a text of 1 to 300 characters."""
    return _filled(short_text(value))


def award_id(value: object) -> str:
    """Return an award id as it is written, in NFC."""
    cell_text = _filled(text(value))
    if _SHORTENED.fullmatch(cell_text):
        remedy = tr("format the column as text and write the ids anew")
        raise CellProblem(tr("is a number that Excel shortened"), remedy)
    try:
        return _AWARD_ID.validate_python(cell_text)
    except ValidationError as error:
        remedy = tr("use at most 100 characters, no spaces and none of {signs}", signs=": * , \" ' \\")
        raise CellProblem(tr("cannot be an award id"), remedy) from error


def email(value: object) -> str:
    """Return a mail address, or the empty text. Only its shape is looked at."""
    cell_text = narrow(text(value))
    if cell_text and (len(cell_text) > LONGEST_EMAIL or not _EMAIL.fullmatch(cell_text)):
        remedy = tr("write one address such as name@example.org, or nothing")
        raise CellProblem(tr("is not an email address"), remedy)
    return cell_text


def count(value: object) -> int:
    """Return a number of GPUs, 1 or more: digits, with thousands separators or 장, 개, GPU behind them."""
    if isinstance(value, float) and not value.is_integer():
        raise CellProblem(tr("is not a whole number"), tr("write the number of GPUs, such as 8"))
    cell_text = narrow(_filled(text(value)))
    if _MACHINES.fullmatch(cell_text):
        raise CellProblem(tr("may count servers or GPUs"), tr("write the number of GPUs alone, such as 8"))
    match = _COUNT.fullmatch(cell_text)
    if match is None:
        raise CellProblem(tr("is not a whole number of GPUs"), tr("write digits alone, such as 8"))
    number = int(match[1].replace(",", ""))
    if not 1 <= number <= MOST_GPUS:
        raise CellProblem(tr("is not between 1 and {most:,}", most=MOST_GPUS), tr("write the number of GPUs"))
    return number


def day(value: object) -> date:
    """Return a day: a date cell of a spreadsheet, or year, month and day as text in this order.

    A date cell with a time of day is refused: the programme's terms are whole days in its time zone.
    """
    if isinstance(value, datetime):
        if value.time() != time.min or value.tzinfo is not None:
            raise CellProblem(tr("has a time of day"), tr("write the day alone; terms are whole days"))
        return _in_range(value.date())
    if isinstance(value, date):
        return _in_range(value)
    if isinstance(value, time | timedelta):
        raise CellProblem(tr("is a time without a day"), tr("write the day, such as 2026-01-31"))
    if isinstance(value, float) and not value.is_integer():
        raise _no_day(str(value))
    cell_text = narrow(_filled(text(value)))
    cell_text = _MIDNIGHT.sub("", cell_text)
    for shape in _DAYS:
        if match := shape.fullmatch(cell_text):
            try:
                return _in_range(date(int(match["y"]), int(match["m"]), int(match["d"])))
            except ValueError as error:
                message = tr("is not a day of the calendar")
                raise CellProblem(message, tr("correct the month or the day")) from error
    raise _no_day(cell_text)


def day_or_none(value: object) -> date | None:
    """Return a day, or None for an empty cell."""
    return None if isinstance(value, str | None) and not text(value) else day(value)


def _no_text(value: object) -> CellProblem:
    if value is NO_RESULT:
        remedy = tr("open and save it in Excel, or paste the column as values")
        return CellProblem(tr("is a formula without a saved result"), remedy)
    if isinstance(value, bool):
        return CellProblem(tr("is a logical value"), tr("write the text or the number"))
    if isinstance(value, float):
        return CellProblem(tr("is a number with decimals"), tr("write the text or a whole number"))
    if isinstance(value, date | time | timedelta):
        return CellProblem(tr("is a date or a time"), tr("format the cell as text and write the value"))
    return CellProblem(tr("is not a single value"), tr("write one text or one number"))


def _no_day(cell_text: str) -> CellProblem:
    if _SERIAL.fullmatch(cell_text):
        # Not converted: the same number is another day in workbooks that count from 1904.
        perhaps = _EXCEL_DAY_0 + timedelta(days=int(cell_text[:5]))
        message = tr("is a spreadsheet's serial number, perhaps of {day}", day=perhaps)
        return CellProblem(message, tr("format the column as dates and save it again"))
    if _TIMED.search(cell_text):
        return CellProblem(tr("has a time of day"), tr("write the day alone; terms are whole days"))
    return CellProblem(tr("is not a day"), tr("write year, month and day, such as 2026-01-31"))


def _in_range(term_day: date) -> date:
    if not FIRST_YEAR <= term_day.year <= LAST_YEAR:
        message = tr("is not between {first_year} and {last_year}", first_year=FIRST_YEAR, last_year=LAST_YEAR)
        raise CellProblem(message, tr("correct the year"))
    return term_day


def _filled(cell_text: str) -> str:
    if not cell_text:
        raise CellProblem(tr("is empty"), tr("fill it in"))
    return cell_text
