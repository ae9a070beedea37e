"""Kubernetes quantities of whole things, read and written exactly as the API server prints them."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

_FORM = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,3})|(m|k|M|G|T|P|E|[KMGTPE]i)?)", re.ASCII
)
_SHORT = 20
_SUFFIXES = {"m": Decimal("0.001")} | {
    f"{letter}{suffix}": Decimal(base) ** power
    for base, suffix in ((1000, ""), (1024, "i"))
    for power, letter in enumerate("kMGTPE" if base == 1000 else "KMGTPE", start=1)  # noqa: PLR2004
}


def whole(text: str) -> int:
    """Return a quantity as a whole number, rounded up: ``8``, ``2k``, ``1Ki`` and ``1e3`` are all legal. Else 0."""
    return parse(text) or 0


def parse(text: str) -> int | None:
    """Return a quantity as a whole number, rounded up, and None where the text is no quantity."""
    if len(text) < _SHORT and text.isascii() and text.isdecimal():  # nearly all, and much faster
        return int(text)
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    value = Decimal(number) * (Decimal(10) ** int(exponent or 0)) * _SUFFIXES.get(suffix or "", Decimal(1))
    return int(value.to_integral_value(rounding=ROUND_CEILING))


def count(number: int) -> str:
    """Write a count of things, cores or GPUs: 999 is ``999``, 1000 is ``1k``, 1500 is ``1500``."""
    return _shortened(number, 1000, ("", "k", "M", "G", "T", "P"))


def gib(number: int) -> str:
    """Write a number of GiB: 1 is ``1Gi``, 2048 is ``2Ti``, 0 is ``0``."""
    return "0" if number == 0 else _shortened(number, 1024, ("Gi", "Ti", "Pi", "Ei"))


def _shortened(number: int, base: int, suffixes: tuple[str, ...]) -> str:
    for suffix in suffixes[:-1]:
        if number == 0 or number % base:
            return f"{number}{suffix}"
        number //= base
    return f"{number}{suffixes[-1]}"
