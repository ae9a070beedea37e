"""Rows under a header that are no awards and no mistakes: totals, and notes below the list."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from gpuprov.i18n import tr
from gpuprov.load.header import Header, Row
from gpuprov.load.table import Remark, excerpt, is_blank
from gpuprov.load.text import clean, key

_TOTALS = frozenset({"합계", "총계", "소계", "계", "total"})
_NOTE = re.compile(r"[※*]|주(?: ?[0-9]+)?[ ):]|주$|(?:비고|notes?) ?[:)]")
"""How a note begins. 주 alone is a word of its own here: 주식회사 begins with it too."""


def set_aside(rows: Iterable[Row], header: Header) -> tuple[list[Row], tuple[Remark, ...]]:
    """Return the rows that should be awards, and a remark for each note that was left out. Totals need none."""
    awards: list[Row] = []
    notes: list[Remark] = []
    for number, cells in rows:
        note = note_in(cells)
        if note is not None:
            notes.append(Remark(row=number, text=tr("{note} is a note and left out", note=excerpt(note))))
        elif not _is_totals(cells, header):
            awards.append((number, cells))
    return awards, tuple(notes)


def note_in(cells: Sequence[object]) -> str | None:
    """Return the note that a row consists of, or None. A row with more than one filled cell is never a note.

    Such a row could not be an award in any case, so that no award is lost; and whoever loads the list is told of it.
    """
    filled = (cell for cell in cells if not is_blank(cell))
    first, second = next(filled, None), next(filled, None)
    if not isinstance(first, str) or second is not None:
        return None
    text = clean(first)
    return text if _NOTE.match(unicodedata.normalize("NFKC", text).casefold()) else None


def _is_totals(cells: Sequence[object], header: Header) -> bool:
    """Tell whether a row adds up others: its first filled cell says so, and it has no days."""
    first = next((cell for cell in cells if not is_blank(cell)), None)
    if not isinstance(first, str) or key(first) not in _TOTALS:
        return False
    days = [header.columns[field] for field in ("first_day", "last_day")]
    return all(at >= len(cells) or is_blank(cells[at]) for at in days)
