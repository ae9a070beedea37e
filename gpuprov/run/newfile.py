"""A file that is to be written into a project."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file to write."""

    text: str
    executable: bool = False
