"""Award lists as JSON: an array of objects by docs/award-list.schema.json."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import joined, tr
from gpuprov.load.fields import NAMES
from gpuprov.load.text import printable

_BY_SCHEMA = tr("write an array of objects by docs/award-list.schema.json")


class _Twice(ValueError):
    """A key that one object has twice."""


def read_json(file: str, text: str) -> tuple[list[tuple[int, dict[str, object]]], list[Problem]]:
    """Return the objects with their position in the array, counted from 1, and the problems of their keys.

    Raises InputError where ``text`` is no JSON array.
    """
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        remedy = joined(
            "; ", [tr("look at character {character} of that line, and before it", character=error.colno), _BY_SCHEMA]
        )
        problem = Problem(file=file, row=error.lineno, message=tr("is not valid JSON"), remedy=remedy)
        raise InputError([problem]) from error
    except (ValueError, RecursionError) as error:
        reason = error.args[0] if isinstance(error, _Twice) else tr("it cannot be read")
        message = tr("is not an award list: {reason}", reason=reason)
        raise InputError([Problem(file=file, message=message, remedy=_BY_SCHEMA)]) from error
    if not isinstance(document, list):
        raise InputError([Problem(file=file, message=tr("is not an array"), remedy=_BY_SCHEMA)])
    objects: list[tuple[int, dict[str, object]]] = []
    problems = []
    for position, item in enumerate(document, start=1):
        if not isinstance(item, dict):
            problems.append(Problem(file=file, row=position, message=tr("is not an object"), remedy=_BY_SCHEMA))
            continue
        objects.append((position, {name: value for name, value in item.items() if name in NAMES}))
        problems.extend(
            Problem(
                file=file,
                row=position,
                column=printable(name),
                message=tr("is not a field of an award"),
                remedy=tr("the fields are {fields}", fields=", ".join(NAMES)),
            )
            for name in item
            if name not in NAMES
        )
    return objects, problems


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Twice(tr("an object has {name!r} twice", name=twice))
    return members


def _no_constant(name: str) -> object:
    raise _Twice(tr("{name} is no JSON value", name=name))
