"""YAML files that hold settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.files import system_reason


def read_mapping(path: Path, shape: str) -> Mapping[str, Any]:
    """Return what a file holds. Raises InputError where it cannot be read, or is no mapping: ``shape`` is the remedy.

    The problem has the row from which YAML cannot be read on.
    """

    def wrong(message: str, remedy: str, row: int | None = None) -> InputError:
        return InputError([Problem(file=str(path), row=row, message=message, remedy=remedy)])

    try:
        data = yaml.safe_load(path.read_bytes().decode("utf-8"))
    except OSError as error:
        message = tr("cannot be read ({reason})", reason=system_reason(error))
        raise wrong(message, tr("check the path and its permissions")) from error
    except yaml.MarkedYAMLError as error:
        row = None if error.problem_mark is None else error.problem_mark.line + 1
        remedy = tr("correct that line or the one before it; put texts with signs such as : or # in quotes")
        raise wrong(tr("is not valid YAML"), remedy, row) from error
    except yaml.YAMLError as error:
        raise wrong(tr("is not valid YAML: it has control characters"), tr("remove them")) from error
    except UnicodeDecodeError as error:
        raise wrong(tr("is not valid YAML: it is not UTF-8"), tr("save it as UTF-8")) from error
    except ValueError as error:
        message = tr("is not valid YAML: it has a date that the calendar does not have")
        raise wrong(message, tr("correct the date")) from error
    except RecursionError as error:
        raise wrong(tr("is nested far too deep for settings"), shape) from error
    if not isinstance(data, dict):
        raise wrong(tr("is not a mapping"), shape)
    if _values(data, {}) > MOST_VALUES:
        raise wrong(tr("has aliases that stand for far too much"), tr("write out what they stand for"))
    return data


MOST_VALUES = 100_000
"""How many values a file of settings may have once its aliases are written out: nine lines can have a billion."""


def _values(value: object, known: dict[int, int]) -> int:
    """Return how many values one has in it, with those that aliases stand for; an alias within itself has too many."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES + 1  # where it is met again before it is counted
        inside = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_values(each, known) for each in inside)
    return known[id(value)]
