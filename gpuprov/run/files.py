"""Digests of the files that a decision rests on: whoever has waited compares them before acting."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path


def digests(files: Collection[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file; empty for one that cannot be read."""
    found = {}
    for path in files:
        try:
            found[str(path)] = sha256(path.read_bytes()).hexdigest()
        except OSError:
            found[str(path)] = ""
    return found
