"""What people are told is a message that can be translated: no text and no f-string in the source stands for one."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpuprov
from gpuprov.core.award import Breach
from gpuprov.core.lifecycle import Edge
from gpuprov.core.rules import Violation
from gpuprov.core.tenant import Absence
from gpuprov.core.tracks import Inconsistency
from gpuprov.errors import ClusterError, Problem, Stale
from gpuprov.load.cells import CellProblem
from gpuprov.load.table import Remark

FOLDERS = ("core", "load", "run")
"""The folders of gpuprov whose messages are all made with `tr`, `trn` and `joined`."""

WITHOUT_SENTENCES = ("core",)
"""Those of them in which every text of words is a message: no log is written there, no command started."""

TOLD = {
    type_.__name__: (tuple(inspect.signature(type_).parameters), told)
    for type_, told in (
        (Problem, {"message", "remedy"}),
        (Breach, {"message", "remedy"}),
        (Inconsistency, {"message", "remedy"}),
        (Violation, {"message", "remedy"}),
        (Absence, {"reason"}),
        (Edge, {"what"}),
        (CellProblem, {"message", "remedy"}),
        (Remark, {"text"}),
        (ClusterError, {"message"}),
    )
} | {Stale.__name__: (("message",), {"message"})}
"""What holds what people are told: its arguments in order, and which of them are messages."""

VARIABLES = {"message", "remedy"}
"""Names under which a message is kept until it is told."""

BILINGUAL = {"welcome.py"}
"""Files that have a text in every language themselves: what is written to a cluster, which knows no reader."""

WORDS_OF_FILES = {"not convertible"}
"""What a person writes into a file, whatever the language."""

_MESSAGES = {"tr", "trn"}
_PLAIN = {"format", "join", "str"}
_SENTENCE = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")


def _is_text(node: ast.expr) -> bool:
    """Tell whether an expression is, or may be, a plain text that somebody wrote into the source."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.JoinedStr | ast.BinOp):
        return True
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) or _is_text(node.orelse)
    if isinstance(node, ast.BoolOp):
        return any(map(_is_text, node.values))
    return isinstance(node, ast.Call) and _name(node.func) in _PLAIN


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def plain_messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield where one of `TOLD`, or of `VARIABLES`, gets a text instead of a message, and which argument it is."""
    for node in ast.walk(tree):
        yield from ((value.lineno, name) for name, value in (*_told(node), *_assigned(node)) if _is_text(value))


def _told(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Call) and (of := TOLD.get(_name(node.func))):
        names, told = of
        given = [*zip(names, node.args, strict=False), *((word.arg or "", word.value) for word in node.keywords)]
        yield from ((name, value) for name, value in given if name in told)


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    pairs: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        pairs = [(node.target, node.value)]
    elif isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    for target, value in pairs:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs += zip(target.elts, value.elts, strict=True)
        elif isinstance(target, ast.Name) and target.id in VARIABLES:
            yield target.id, value


def sentences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield texts of two or more words that are neither in a message, nor documentation, nor an error of ours alone."""
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str) and _SENTENCE.search(tree.value):
        yield tree.lineno, tree.value
    for child in () if _may_have_sentences(tree) else ast.iter_child_nodes(tree):
        yield from sentences(child)


def _may_have_sentences(tree: ast.AST) -> bool:
    """Tell whether texts within are no matter: of a message, of documentation, of a bug, or compared and parsed."""
    match tree:
        case ast.Call(func=function):
            return _name(function) in _MESSAGES
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.keyword(arg=name):
            return name in {"description", "pattern"}
        case ast.Raise(exc=ast.Call(func=function)):
            return _name(function) == "ValueError"
        case ast.ClassDef(bases=bases):
            return any(_name(base) == "StrEnum" for base in bases)
    return False


def nested(tree: ast.AST) -> list[int]:
    """Return the lines of messages that are written among the arguments of another, where no extractor sees them."""
    messages = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) in _MESSAGES]
    inner = [child for message in messages for child in ast.walk(message) if child is not message]
    return [node.lineno for node in inner if node in messages and isinstance(node, ast.Call)]


def _sources(folder: str) -> list[Path]:
    return sorted(path for path in (Path(gpuprov.__file__).parent / folder).rglob("*.py") if path.name not in BILINGUAL)


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_people_are_told_is_made_of_messages(folder: str) -> None:
    found = {}
    assert _sources(folder)
    for path in _sources(folder):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = (*plain_messages(tree), *(sentences(tree) if folder in WITHOUT_SENTENCES else ()))
        found |= {f"{path.name}:{line}": text for line, text in told if text not in WORDS_OF_FILES}
    assert found == {}


def test_no_message_is_hidden_in_another() -> None:
    lines = {path.name: nested(ast.parse(path.read_text(encoding="utf-8"))) for path in _sources("")}
    assert {name: found for name, found in lines.items() if found} == {}
    assert nested(ast.parse("tr('{a}', a=next(reasons, tr('b')))\ntr('c')")) == [1]


@pytest.mark.parametrize(
    "code",
    [
        "Problem(message='is wrong', remedy=remedy)",
        "Problem(message=message, remedy=f'write {name}')",
        "errors.Problem(message=tr('is wrong') + more, remedy=remedy)",
        "Problem(message='; '.join(reasons), remedy=remedy)",
        "Problem(message=known or 'unknown', remedy=remedy)",
        "Inconsistency(path, tr('is wrong'), 'remove the line')",
        "Edge(at=at, what=end if ends else 'nothing')",
        "CellProblem(tr('is empty'), 'fill it in')",
        "Remark(row=1, text=f'{x}')",
        "ClusterError('kt-cloud', f'{x}')",
        "Stale('changed')",
        "message, remedy = tr('is empty'), 'fill it in'",
        "message: str = f'{x}'",
    ],
)
def test_a_text_instead_of_a_message_is_found(code: str) -> None:
    assert len(list(plain_messages(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "Problem(message=tr('is wrong'), remedy=joined('; ', remedies))",
        "Problem(message=message, remedy=of.remedy, value='8 H100', file=f'{name}.csv')",
        "ClusterError('kt-cloud', tr('{x}', x=x))",
        "text = 'plain'",
        "Inconsistency((key, 'name'), message, tr('remove the line'))",
    ],
)
def test_messages_and_names_of_them_are_none(code: str) -> None:
    assert list(plain_messages(ast.parse(code))) == []


def test_a_sentence_outside_of_a_message_is_found() -> None:
    assert [text for _, text in sentences(ast.parse("reason = f'the term ends at {end}'"))] == ["the term ends at "]
    for code in ("reason = tr('the term ends at {end}', end=end)", "'''Documents the term.'''", "kind = 'Namespace'"):
        assert list(sentences(ast.parse(code))) == []
