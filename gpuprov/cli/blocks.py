"""Short blocks of ``name: value`` lines, which fit a narrow terminal and can be read aloud or pasted into a mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpuprov.cli.layout import wrap
from gpuprov.i18n import shown

WIDTH = 60
"""Columns that a line takes at most, unless one word alone needs more: no id, name or path is ever split."""

_STEP = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A value with its name, and lines below it that belong to it."""

    name: str
    value: object
    below: Sequence[Line] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines under a title."""

    title: str
    lines: Sequence[Line]


def text_of(blocks: Sequence[Block]) -> str:
    """Return the blocks in the language in use, with an empty line between."""
    return "\n\n".join("\n".join([on_one_line(block.title), *_lines(block.lines, _STEP)]) for block in blocks)


def _lines(lines: Sequence[Line], indent: str) -> Iterator[str]:
    for line in lines:
        yield from _wrapped(f"{shown(line.name)}: {on_one_line(line.value)}", indent)
        yield from _lines(line.below, indent + _STEP)


def _wrapped(text: str, indent: str) -> list[str]:
    """Break a text between words; what goes on is indented further."""
    return [indent + line for line in wrap(text, WIDTH - len(indent), 2 * len(_STEP))]


def on_one_line(text: object) -> str:
    """Return a text in the language in use, in which no name from outside begins another line."""
    return shown(text).replace("\n", " ").replace("\t", " ")
