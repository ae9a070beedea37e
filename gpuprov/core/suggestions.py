"""What somebody who mistyped a name may have meant: a pure function of the names that there are."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from gpuprov.i18n import any_of, tr

_MOST = 3


def similar(typed: str, known: Iterable[str]) -> list[str]:
    """Return the known names most like ``typed``, in order; those that begin with it where none is alike.

    Capitals do not matter: an id in the wrong case is the most frequent slip.
    """
    names: dict[str, list[str]] = {}
    for name in known:
        names.setdefault(name.casefold(), []).append(name)
    start = typed.casefold()
    alike = get_close_matches(start, names, n=_MOST)
    if not alike and start:
        alike = [name for name in sorted(names) if name.startswith(start)][:_MOST]
    return sorted(name for key in alike for name in names[key])


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """Return the end of a remedy, ``; did you mean A or B?``; an empty text where nothing is similar."""
    alike = similar(typed, known)
    return tr("; did you mean {names}?", names=any_of(alike)) if alike else ""
