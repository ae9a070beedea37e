"""Lays rows out under their headers as text of a given width: a table where it fits, else a block for each row.

Widths are columns of a terminal, of which Korean letters take two. A word is never cut: ids, names and UIDs are there
to be copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

GAP = 2
"""Columns between two columns of a table; one where it fits only so."""

NARROW = 24
"""A cell up to this width stays on one line; only longer ones, which are sentences, are broken at their blanks."""

Paint = Callable[[str], str]
"""Adds colour to a text, which takes no columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paints:
    """How headers and cells are painted; by default not at all."""

    header: Paint = str
    cell: Paint = str


_PLAIN = Paints()


def layout(headers: Sequence[str], rows: Sequence[Sequence[object]], width: int, paints: Paints = _PLAIN) -> str:
    """Return the rows as text to print; an empty line follows each block.

    Columns that only have numbers are right-aligned; blocks leave out empty cells. No line is wider than ``width``,
    except for a word that alone is wider.
    """
    cells = [[_words(str(cell)) for cell in row] for row in rows]
    numeric = [bool(rows) and all(isinstance(row[index], int) for row in rows) for index in range(len(headers))]
    for gap in (GAP, 1):
        if (widths := _widths(headers, cells, width, gap)) is not None:
            grid = _Grid(widths=widths, numeric=numeric, gap=gap)
            lines = grid.lines(headers, paints.header)
            for row in cells:
                lines += grid.lines([" ".join(words) for words in row], paints.cell)
            return "\n".join(lines)
    return "\n".join(f"{_block(headers, row, width, paints)}\n" for row in cells)


def wrap(text: str, width: int, indent: int = 0) -> list[str]:
    """Break a text at its blanks into lines of at most ``width``; all but the first are indented where that fits."""
    return _filled(_words(text), width, indent)


def folded(text: str, width: int) -> str:
    """Return a text with each line that is too wide broken at blanks, indented further; blanks within a line stay."""
    lines: list[str] = []
    for line in text.split("\n"):
        if cell_len(line) <= width:
            lines.append(line)
            continue
        bare = line.lstrip(" ")
        margin = len(line) - len(bare)
        lines += [" " * margin + part for part in _filled(bare.split(" "), width - margin, GAP)]
    return "\n".join(lines)


def _filled(words: Sequence[str], width: int, indent: int) -> list[str]:
    lines: list[str] = []
    line, used = "", 0
    for word in words:
        size = cell_len(word)
        if line and used + 1 + size <= width:
            line, used = f"{line} {word}", used + 1 + size
            continue
        if line:
            lines.append(line)
        margin = min(indent, max(0, width - size)) if lines else 0
        line, used = " " * margin + word, margin + size
    return [*lines, line]


def _words(text: str) -> list[str]:
    return text.split()


def _widths(headers: Sequence[str], cells: Sequence[Sequence[Sequence[str]]], width: int, gap: int) -> list[int] | None:
    """Return the width of each column; None where the table does not fit without cutting a word or a short cell."""
    whole, least = [], []
    for index, header in enumerate(headers):
        texts = [header, *(" ".join(row[index]) for row in cells)]
        whole.append(max(cell_len(text) for text in texts))
        longest_word = max(
            cell_len(word) for words in (_words(header), *(row[index] for row in cells)) for word in words
        )
        least.append(max([longest_word, *(min(cell_len(text), NARROW) for text in texts[1:])]))
    room = width - gap * (len(headers) - 1)
    while sum(whole) > room:
        widest = max(range(len(whole)), key=lambda index: whole[index] - least[index])
        spare = whole[widest] - least[widest]
        if spare == 0:
            return None
        # The widest column gives first, and no more than makes it as wide as the next one or as is needed.
        next_spare = max((whole[i] - least[i] for i in range(len(whole)) if i != widest), default=0)
        whole[widest] -= min(sum(whole) - room, max(1, spare - next_spare))
    return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """The columns of a table: their widths, which have numbers, and what is between two of them."""

    widths: Sequence[int]
    numeric: Sequence[bool]
    gap: int

    def lines(self, cells: Sequence[str], paint: Paint) -> list[str]:
        """Return the lines of one row, as many as its longest cell needs."""
        broken = [wrap(cell, width) for cell, width in zip(cells, self.widths, strict=True)]
        return [
            (" " * self.gap)
            .join(self._parts([dict(enumerate(cell)).get(number, "") for cell in broken], paint))
            .rstrip()
            for number in range(max(map(len, broken)))
        ]

    def _parts(self, texts: Sequence[str], paint: Paint) -> Iterator[str]:
        for text, width, is_number in zip(texts, self.widths, self.numeric, strict=True):
            padding, painted = " " * (width - cell_len(text)), paint(text) if text else ""
            yield padding + painted if is_number else painted + padding


def _block(headers: Sequence[str], row: Sequence[Sequence[str]], width: int, paints: Paints) -> str:
    """Return a row as lines ``header: value``; what is longer than a line goes on below, indented."""
    lines = []
    for header, words in zip(headers, row, strict=True):
        value, title = " ".join(words), paints.header(header)
        if not value:
            continue
        if cell_len(f"{header}: {value}") <= width:
            lines.append(f"{title}: {paints.cell(value)}")
        elif cell_len(value) <= min(NARROW, width - GAP):
            lines += [*wrap(f"{header}:", width), " " * GAP + paints.cell(value)]
        else:
            first, *more = wrap(f"{header}: {value}", width, GAP)
            lines += [first.replace(header, title, 1), *more]
    return "\n".join(lines)
