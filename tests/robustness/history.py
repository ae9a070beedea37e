"""What happened in a round, as JSON Lines: operations, the fault, every change on the cluster, and what was found.

An entry is a plain object with a `type`, so that a history that was written can be checked again by a newer model.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class History:
    """The entries of one round. Operations, the fault and the observer write at the same time."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._writing = threading.Lock()

    def add(self, kind: str, /, **fields: Any) -> Entry:
        """Add an entry with the time at which it was added, and return it."""
        entry = {"type": kind, "time": round(time.time(), 3), **fields}
        with self._writing:
            self.entries.append(entry)
        return entry

    def save(self, path: Path) -> None:
        """Write the history to a file of its own."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(entry, ensure_ascii=False) for entry in self.entries]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read(path: Path) -> list[Entry]:
    """Read JSON Lines; a line that was cut off while it was written is left out, as nothing depends on it yet."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries
