"""JSON Schema of an award list. ``python -m gpuprov.load`` prints it for docs/award-list.schema.json."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from gpuprov.core.award import Award
from gpuprov.core.programme import Programme
from gpuprov.load.cells import EMAIL, LONGEST_EMAIL, LONGEST_TEXT, MOST_GPUS
from gpuprov.load.fields import NUMBERS
from gpuprov.load.programme import default_programme

SCHEMA_ID = "urn:gpuprov:award-list:1"

_DAY = r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"


def json_schema(programme: Programme | None = None) -> dict[str, Any]:
    """Return the schema (2020-12) of an award list as JSON: an array of awards.

    Without a ``programme`` it is the one that comes with the package.

    It says what a single value may be. The programme's rules and the uniqueness of ids are checked on loading.
    """
    programme = programme or default_programme()
    schema = TypeAdapter(list[Award]).json_schema()
    properties = schema["$defs"]["Award"]["properties"]
    for name, choices in (("track", programme.tracks), ("model", programme.accelerators)):
        description = properties[name]["description"]
        properties[name] = {"type": "string", "enum": [choice.name for choice in choices], "description": description}
    # A quotation mark behind a backslash is no valid pattern in ECMAScript's Unicode mode, which validators use.
    properties["id"]["pattern"] = properties["id"]["pattern"].replace('\\"', '"')
    # What cells.py checks and the model leaves open.
    for name in ("first_day", "last_day"):
        properties[name]["pattern"] = _DAY
    next(kind for kind in properties["accept_by"]["anyOf"] if kind["type"] == "string")["pattern"] = _DAY
    properties["email"] |= {"pattern": f"^$|^{EMAIL}$", "maxLength": LONGEST_EMAIL}
    properties["organization"]["pattern"] = r"\S"
    for name in ("organization_type", "contact"):
        properties[name]["maxLength"] = LONGEST_TEXT
    for name in NUMBERS:
        properties[name]["maximum"] = MOST_GPUS
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Award list",
        "description": "GPU awards as gpuprov loads them. Days are in the programme's time zone; both are in the term.",
        **schema,
        "minItems": 1,
    }


def schema_text() -> str:
    """Return the schema as the text of the file that is kept in docs."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n"
