"""Text as people see it: two texts that look the same on screen compare equal here."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = dict.fromkeys(
    [
        0x00AD,  # soft hyphen
        *range(0x200B, 0x2010),  # zero-width space, (non-)joiner, directional marks
        *range(0x202A, 0x202F),  # directional overrides
        *range(0x2060, 0x2065),  # word joiner, invisible operators
        *range(0x2066, 0x206A),  # directional isolates
        0xFEFF,  # byte order mark inside a text
    ]
)
_ANY_INVISIBLE = re.compile(f"[{''.join(map(chr, _INVISIBLE))}]")
_FULL_WIDTH = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63], "-")


def clean(text: str) -> str:
    """Return ``text`` in NFC, without invisible characters, each run of white space as one space, none outside."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
        if _ANY_INVISIBLE.search(text):
            text = text.translate(_INVISIBLE)
    return " ".join(text.split())


def narrow(text: str) -> str:
    """Return ``text`` with full-width forms as ASCII.

    Only these: full NFKC would turn a footnote's ``8¹`` into 81.
    """
    return text if text.isascii() else text.translate(_FULL_WIDTH)


def key(text: str) -> str:
    """Return what is compared of a header: letters and digits alone, whatever their case and width."""
    folded = unicodedata.normalize("NFKC", clean(text)).casefold()
    return "".join(character for character in folded if character.isalnum())


def word(text: str) -> str:
    """Return what is compared of a fixed word such as a status: other signs than these make it another word.

    So ``선정?`` is no 선정, while ``유형 1``, ``유형-1`` and ``(유형1)`` are one word.
    """
    folded = unicodedata.normalize("NFKC", clean(text)).casefold()
    return _LOOSE.sub("", folded)


_LOOSE = re.compile(r"[\s_()\[\]]|(?<=\w)[-.](?=\w)")


def look(text: str) -> str:
    """Return what two ids share that a reader cannot tell apart: case, width and kinds of dashes do not count."""
    return unicodedata.normalize("NFKC", text).translate(_DASHES).casefold()


def without_brackets(text: str) -> tuple[str, str]:
    """Split a header such as ``신청수량(H100)`` into what stands outside brackets and what stands inside."""
    narrowed = unicodedata.normalize("NFKC", text)
    inside = " ".join(_BRACKETS.findall(narrowed))
    return _BRACKETS.sub(" ", narrowed), inside


def printable(text: str) -> str:
    """Return ``text`` with a replacement for what a terminal would obey, or could not print."""
    return _UNPRINTABLE.sub("\ufffd", text)


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BRACKETS = re.compile(r"[(\[{<][^()\[\]{}<>]*[)\]}>]")
