"""Digests of the files that a decision is based on; they are compared after every wait, before acting."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path


def digests(files: Collection[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by path; an empty text for a file that cannot be read."""
    hashes = {}
    for path in files:
        try:
            hashes[str(path)] = sha256(path.read_bytes()).hexdigest()
        except OSError:
            hashes[str(path)] = ""
    return hashes
