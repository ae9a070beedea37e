"""What a check found: one line for a person, one object for a machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gpuprov.i18n import joined, tr


class Result(StrEnum):
    """How a line of the preflight came out. Only `FAILED` keeps a cluster from being used."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: what was looked at, how it came out, what was seen, and what to do about it (empty where it is ok)."""

    check: str
    result: Result
    seen: str
    remedy: str = ""


def ok(check: str, seen: str) -> Finding:
    """Return a line that needs nothing."""
    return Finding(check=check, result=Result.OK, seen=seen)


def warning(check: str, seen: str, remedy: str) -> Finding:
    """Return a line that is worth a look."""
    return Finding(check=check, result=Result.WARNING, seen=seen, remedy=remedy)


def failed(check: str, seen: str, remedy: str) -> Finding:
    """Return a line that must be put right before awards are put on the cluster.

    The preflight speaks English (docs/languages.md), also where the guard's refusals translate the same phrase.
    """
    return Finding(check=check, result=Result.FAILED, seen=str(seen), remedy=remedy)


BY_SETUP = (
    "`gpuprov setup`, run as the cluster's administrator, gives this right to the identities that the chart's value "
    "`operator.subjects` names"
)
"""What to do where our own identity lacks a right that the chart gives."""

_FEW = 5


def some(names: list[str] | tuple[str, ...]) -> str:
    """Name the first of many, and say how many more there are."""
    first = joined(", ", names[:_FEW])
    more = len(names) - _FEW
    return tr("{names} and {number} more", names=first, number=more) if more > 0 else first


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 node``, ``2 nodes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
