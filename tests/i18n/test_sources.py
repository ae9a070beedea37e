"""What people are told is a message that can be translated: no text and no f-string in the source stands for one."""

from __future__ import annotations

import ast
import dataclasses
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
from gpuprov.errors import Problem

FOLDERS = ("core",)
"""The folders of gpuprov whose messages are all made with `tr`, `trn` and `joined`."""

TOLD = {
    type_.__name__: (tuple(field.name for field in dataclasses.fields(type_)), told)
    for type_, told in (
        (Problem, {"message", "remedy"}),
        (Breach, {"message", "remedy"}),
        (Inconsistency, {"message", "remedy"}),
        (Violation, {"message", "remedy"}),
        (Absence, {"reason"}),
        (Edge, {"what"}),
    )
}
"""The classes that hold what people are told: their fields in order, and which of them are messages."""

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
        return isinstance(node.value, str) and bool(node.value)
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
    """Yield where a problem, or another of `TOLD`, gets a text instead of a message, and which field it is."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and (of := TOLD.get(_name(call.func))):
            names, told = of
            given = [*zip(names, call.args, strict=False), *((word.arg or "", word.value) for word in call.keywords)]
            yield from ((value.lineno, name) for name, value in given if name in told and _is_text(value))


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
    for path in _sources(folder):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = (*plain_messages(tree), *sentences(tree))
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
    ],
)
def test_a_text_instead_of_a_message_is_found(code: str) -> None:
    assert len(list(plain_messages(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "Problem(message=tr('is wrong'), remedy=joined('; ', remedies))",
        "Problem(message=message, remedy=of.remedy, value='8 H100', file=f'{name}.csv')",
        "Inconsistency((key, 'name'), message, tr('remove the line'))",
    ],
)
def test_messages_and_names_of_them_are_none(code: str) -> None:
    assert list(plain_messages(ast.parse(code))) == []


def test_a_sentence_outside_of_a_message_is_found() -> None:
    assert [text for _, text in sentences(ast.parse("reason = f'the term ends at {end}'"))] == ["the term ends at "]
    for code in ("reason = tr('the term ends at {end}', end=end)", "'''Documents the term.'''", "kind = 'Namespace'"):
        assert list(sentences(ast.parse(code))) == []
