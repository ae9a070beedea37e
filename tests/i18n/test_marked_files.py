"""What people are told of files and by commands is marked for translation: no sentence is a bare string or f-string."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuprov import i18n

PACKAGE = Path(i18n.__file__).parent
FOLDERS = ("load", "run")

TOLD = {
    "Problem": ("message", "remedy"),
    "CellProblem": ("message", "remedy"),
    "Remark": ("row", "text"),
    "Stale": ("message",),
    "ClusterError": ("provider", "message"),
}
"""What makes messages for people, and the order in which it takes them; of these only `SENTENCES` are sentences."""

SENTENCES = frozenset({"message", "remedy", "text"})
"""Arguments, and variables, that hold a sentence for people."""


def _bare(value: ast.expr) -> bool:
    """Tell whether a value, or one that it may be, is a text that was written where it stands."""
    if isinstance(value, ast.IfExp):
        return _bare(value.body) or _bare(value.orelse)
    if isinstance(value, ast.BoolOp):
        return any(map(_bare, value.values))
    if isinstance(value, ast.BinOp):
        return True  # of messages this makes a plain string, and what it adds is none either
    if isinstance(value, ast.Constant):
        return isinstance(value.value, str)
    return isinstance(value, ast.JoinedStr)


def _sentences(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what an expression or a statement makes a sentence for people of."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TOLD:
        names = TOLD[node.func.id]
        yield from (value for name, value in zip(names, node.args, strict=False) if name in SENTENCES)
        yield from (keyword.value for keyword in node.keywords if keyword.arg in SENTENCES)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _assigned(target, node.value)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield from _assigned(node.target, node.value)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for part, its_value in zip(target.elts, value.elts, strict=True):
            yield from _assigned(part, its_value)
    elif isinstance(target, ast.Name) and target.id in SENTENCES - {"text"}:
        yield value


def bare(source: str) -> list[int]:
    """Return the lines of a module in which a sentence for people is a text and no message."""
    tree = ast.parse(source)
    return sorted(value.lineno for node in ast.walk(tree) for value in _sentences(node) if _bare(value))


@pytest.mark.parametrize("folder", FOLDERS)
def test_sentences_for_people_are_messages(folder: str) -> None:
    modules = sorted((PACKAGE / folder).rglob("*.py"))
    found = {path.name: lines for path in modules if (lines := bare(path.read_text(encoding="utf-8")))}
    assert modules
    assert found == {}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('Problem(message=tr("is empty"), remedy=remedy)', []),
        ('Problem(message="is empty", remedy=tr("fill it in"))', [1]),
        ('Problem(message=f"is {x}", remedy="fill it in")', [1, 1]),
        ('Problem(message=tr("a") if x else "b", remedy=y or "c")', [1, 1]),
        ('CellProblem(tr("is empty"), "fill it in")', [1]),
        ('CellProblem(tr("is ") + word, remedy_of(word))', [1]),
        ('message, remedy = tr("is empty"), "fill it in"', [1]),
        ('message: str = f"{x}"\ntext = "plain"', [1]),
        ('Remark(row=1, text=f"{x}")\nStale("changed")', [1, 2]),
        ('ClusterError("kt-cloud", tr("{x}", x=x))', []),
    ],
)
def test_a_bare_sentence_is_found(source: str, lines: list[int]) -> None:
    assert bare(source) == lines
