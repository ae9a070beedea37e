"""Reads a programme file (YAML), and publishes its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ValidationError

from gpuprov.core.accelerator import Accelerator
from gpuprov.core.programme import Programme
from gpuprov.core.tracks import Call, Inconsistency, Parts, StatusWords, Track, inconsistencies
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.details import details
from gpuprov.load.packaged import DEFAULT_PROGRAMME, programmes
from gpuprov.load.yamlfile import read_mapping

SCHEMA_ID = "urn:gpuprov:programme:1"

_DOCUMENT = tr("see {document}", document="docs/programme.md")
_Part = TypeVar("_Part", bound=BaseModel)


@lru_cache(maxsize=1)
def default_programme() -> Programme:
    """Return the programme that holds where a project names none: the first half of 2026. It comes with the package."""
    return Programme.model_validate(yaml.safe_load(programmes()[DEFAULT_PROGRAMME].read_text(encoding="utf-8")))


def read_programme(path: Path) -> Programme:
    """Read a programme file. Raises InputError with every problem of the file."""
    file = str(path)
    data = read_mapping(path, _DOCUMENT)
    try:
        return Programme.model_validate(data)
    except ValidationError as error:
        raise InputError(_problems(file, data, error)) from error


def json_schema() -> dict[str, Any]:
    """Return the schema (2020-12) of a programme file. What keys say of each other is checked on loading."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **Programme.model_json_schema(by_alias=True),
        "title": "Programme",
        "description": "A programme that lends accelerators, as gpuprov goes by it.",
    }


def schema_text() -> str:
    """Return the schema as the text of the file that is kept in docs."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n"


def _problems(file: str, data: Mapping[str, Any], error: ValidationError) -> list[Problem]:
    """Return what is wrong with the values, and with what they say of each other as far as they are valid."""
    problems = []
    consistency = False
    for detail in details(error, _DOCUMENT):
        consistency |= detail.kind == "programme"
        problems.append(_problem(file, data, Inconsistency(detail.place, detail.message, detail.remedy)))
    if not consistency:  # it was not looked at, because of the values that are not valid
        problems += [_problem(file, data, inconsistency) for inconsistency in inconsistencies(_valid_parts(data))]
    return problems


def _problem(file: str, data: Mapping[str, Any], wrong: Inconsistency) -> Problem:
    return Problem(
        file=file,
        column=".".join(map(str, wrong.path)) or None,
        value=_shown(data, wrong.path),
        message=wrong.message,
        remedy=wrong.remedy,
    )


def _shown(data: object, path: tuple[str | int, ...]) -> str | None:
    """Return the value at a path as a person wrote it; None where there is none, or where it is no single value."""
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return None if data is None or isinstance(data, (dict, list)) else str(data)


def _valid_parts(data: Mapping[str, Any]) -> Parts:
    accelerators = _each(Accelerator, data.get("accelerators"))
    reference = data.get("reference")
    statuses = _each(StatusWords, [data.get("statuses")])
    return Parts(
        reference=reference if isinstance(reference, str) else None,
        end=_end(data),
        accelerators=accelerators,
        tracks=_each(Track, data.get("tracks")),
        calls=_each(Call, data.get("calls")),
        statuses=statuses.get(0),
        complete=isinstance(data.get("accelerators"), list) and len(accelerators) == len(data["accelerators"]),
    )


def _each(model: type[_Part], values: object) -> dict[int, _Part]:
    parts = {}
    for at, value in enumerate(values if isinstance(values, list) else ()):
        try:
            parts[at] = model.model_validate(value)
        except ValidationError:
            continue  # what is wrong with it is told already
    return parts


def _end(data: Mapping[str, Any]) -> datetime | None:
    try:
        end = datetime.fromisoformat(str(data.get("end")))
        return end.astimezone(ZoneInfo(str(data.get("timeZone")))) if end.tzinfo else None
    except (KeyError, ValueError, OSError):
        return None
