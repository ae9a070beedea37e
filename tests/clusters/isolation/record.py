"""The answers on record, from which docs/isolation.md has its tables."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isolation.answers import Outcome
from isolation.attempt import Attempt

PATH = Path(__file__).parents[3] / "docs" / "isolation.json"

Row = dict[str, Any]


def row(area: str, attempt: Attempt, outcomes: Mapping[str, Outcome]) -> Row:
    """Describe one attempt and its ends for the record."""
    entries = {
        name: {"status": outcome.status, "by": outcome.by, "answer": outcome.answer}
        for name, outcome in outcomes.items()
    }
    about = {"area": area, "name": attempt.name, "gain": attempt.gain}
    return about | ({"note": attempt.note} if attempt.note else {}) | {"outcomes": entries}


def check(part: str, rows: list[Row]) -> None:
    """Compare a part of the record with what was answered now; write it where the golden files are to be updated."""
    recorded = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    if os.environ.get("GPUPROV_UPDATE_GOLDEN") == "1":
        recorded[part] = rows
        PATH.write_text(_text(recorded), encoding="utf-8")
    assert recorded.get(part) == rows, "set GPUPROV_UPDATE_GOLDEN=1 if this is meant, and update docs/isolation.md"


def _text(recorded: Mapping[str, list[Row]]) -> str:
    """Write one attempt a line, so that a change can be read."""
    parts = [
        json.dumps(part) + ": [\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in rows) + "\n]"
        for part, rows in sorted(recorded.items())
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"
