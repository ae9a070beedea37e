"""Award lists as JSON: an array of objects by docs/award-list.schema.json."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gpuprov.errors import InputError, Problem
from gpuprov.load.fields import NAMES
from gpuprov.load.text import printable

_BY_SCHEMA = "write an array of objects by docs/award-list.schema.json"


class _Twice(ValueError):
    """A key that one object has twice."""


def read_json(file: str, text: str) -> tuple[list[tuple[int, dict[str, object]]], list[Problem]]:
    """Return the objects with their position in the array, counted from 1, and the problems of their keys.

    Raises InputError where ``text`` is no JSON array.
    """
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            [Problem(file=file, row=error.lineno, message="is not valid JSON", remedy=error.msg)]
        ) from error
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _Twice) else "it cannot be read"
        raise InputError([Problem(file=file, message=f"is not an award list: {reason}", remedy=_BY_SCHEMA)]) from error
    if not isinstance(document, list):
        raise InputError([Problem(file=file, message="is not an array", remedy=_BY_SCHEMA)])
    objects: list[tuple[int, dict[str, object]]] = []
    problems = []
    for position, item in enumerate(document, start=1):
        if not isinstance(item, dict):
            problems.append(Problem(file=file, row=position, message="is not an object", remedy=_BY_SCHEMA))
            continue
        objects.append((position, {name: value for name, value in item.items() if name in NAMES}))
        problems.extend(
            Problem(
                file=file,
                row=position,
                column=printable(name),
                message="is not a field of an award",
                remedy=f"the fields are {', '.join(NAMES)}",
            )
            for name in item
            if name not in NAMES
        )
    return objects, problems


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(f"an object has {next(name for name in names if names.count(name) > 1)!r} twice")
    return members


def _no_constant(name: str) -> object:
    raise _Twice(f"{name} is no JSON value")
