"""Parses what `pulumi up` prints: its progress, its operations and its errors.

The engine's JSON events say the same, but with all properties of every resource in the stack, including those that a
run does not touch: on a large stack they take a tenth of the engine's time, and most of ours.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from gpuprov.i18n import trn

_DONE = re.compile(r"^ ?(?:\+|~|-|\+-|\+\+|--)\s+\S+ .* (?:created|updated|deleted|replaced)(?: [(\[].*)?$")
_COUNT = re.compile(r"^\s+(?:[^\s\d]{1,2} ?)?(?P<number>\d+) (?P<what>created|updated|deleted|replaced|unchanged)\s*$")
_OPERATIONS = {
    "created": "create",
    "updated": "update",
    "deleted": "delete",
    "replaced": "replace",
    "unchanged": "same",
}
_ENTRY = re.compile(r"^    (?P<severity>error|warning|info|debug): (?P<text>.*)$")
_SAYS_NOTHING = {"update failed"}


class Screen:
    """Receives the lines one by one. Once the run has ended, ``operations`` counts objects by Pulumi operation."""

    _EVERY_SECONDS = 2.0

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.operations: dict[str, int] = {}
        self._progress = progress
        self._done = 0
        self._last = time.monotonic()
        self._part = ""
        self._errors: list[list[str]] = []
        self._in_error = False

    @property
    def errors(self) -> str:
        """All errors that Pulumi reported, without duplicates and without lines that only say that it failed."""
        texts = ["\n".join(lines).strip() for lines in self._errors]
        return "\n".join(text for text in dict.fromkeys(texts) if text and text not in _SAYS_NOTHING)

    def __call__(self, line: str) -> None:
        """Take the next line."""
        if line in ("Diagnostics:", "Resources:", "Outputs:"):
            self._part, self._in_error = line, False
        elif self._part == "Diagnostics:":
            self._diagnostic(line)
        elif self._part == "Resources:":
            if count := _COUNT.match(line):
                self.operations[_OPERATIONS[count["what"]]] = int(count["number"])
        elif _DONE.match(line):
            self._done += 1
            if time.monotonic() - self._last >= self._EVERY_SECONDS:
                self._last = time.monotonic()
                self._progress(trn("{number} object", "{number} objects", self._done))

    def _diagnostic(self, line: str) -> None:
        """An entry continues over indented lines until the next entry or resource."""
        if entry := _ENTRY.match(line):
            self._in_error = entry["severity"] == "error"
            if self._in_error:
                self._errors.append([entry["text"]])
        elif line.strip() and not line.startswith("    "):
            self._in_error = False
        elif self._in_error:
            self._errors[-1].append(line.removeprefix("    "))
