"""Whether a ledger only grew: everything that it had is there as it was, and what is new stands at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import takewhile

from gpuprov.errors import Problem
from gpuprov.i18n import tr

_LONGEST = 80


def not_grown(file: str, before: bytes, after: bytes, since: str) -> list[Problem]:
    """Return a problem for each line that was changed, removed, or put before others; nothing where the file only grew.

    ``since`` names the commit that has ``before``. Its rows are those of that commit for what is missing, and of the
    file for what was put in.
    """
    old, new = _lines(before), _lines(after)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    if same == len(old):
        return []
    return list(_problems(file, old, new, same, since))


def _lines(content: bytes) -> list[str]:
    """Return the lines, without their ends: one that was appended to a line that had none changes nothing of it."""
    return content.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n") if content else []


def _problems(file: str, old: Sequence[str], new: Sequence[str], same: int, since: str) -> Iterator[Problem]:
    missing = tr("stands here at {since}, and was changed or removed", since=since)
    restore = tr("restore it from git; what happened since is a new event at the end")
    put_in = tr("was put before lines that {since} has", since=since)
    move = tr("move it to the end: events are only appended")
    matcher = SequenceMatcher(None, old[same:], new[same:], autojunk=False)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag in {"delete", "replace"}:
            yield from _named(file, old, range(old_from + same, old_to + same), missing, restore)
        elif tag == "insert" and old_to + same < len(old):
            yield from _named(file, new, range(new_from + same, new_to + same), put_in, move)


def _named(file: str, lines: Sequence[str], rows: range, message: str, remedy: str) -> Iterator[Problem]:
    """Yield the same problem for each of these lines."""
    for row in rows:
        yield Problem(file=file, row=row + 1, value=lines[row][:_LONGEST], message=message, remedy=remedy)
