"""What the documents say of the code itself: how long files and functions may be, and the tree of errors."""

import ast
import inspect
import io
import re
import tokenize

from documents import REPOSITORY

from gpuprov import errors

SOURCES = sorted((REPOSITORY / "gpuprov").rglob("*.py"))
MOST_LINES = 300
MOST_FUNCTION_LINES = 40


def used_lines(source: str) -> set[int]:
    """Return the numbers of the lines of a file that are neither blank nor only a comment."""
    used: set[int] = set()
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent:
            used.update(range(token.start[0], token.end[0] + 1))
    return used


def code_lines(used: set[int], node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines from `def` to its end, without its docstring, blank lines and comments.

    ``used`` are the `used_lines` of its file.
    """
    body = node.body
    doc = range(0)
    if ast.get_docstring(node, clean=False) is not None:
        doc = range(body[0].lineno, (body[0].end_lineno or body[0].lineno) + 1)
    return len({line for line in used if node.lineno <= line <= (node.end_lineno or 0)} - set(doc))


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_code_lines_leaves_out_docstring_blank_lines_and_comments() -> None:
    source = (
        'def f(\n    a,\n):\n    """One.\n\n    Two.\n    """\n    # no\n\n    text = """x\n\n    y"""\n    return a\n'
    )
    assert code_lines(used_lines(source), functions(ast.parse(source))[0]) == 7


def test_files_are_short() -> None:
    lengths = {
        str(path.relative_to(REPOSITORY)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        used = used_lines(source)
        for node in functions(ast.parse(source)):
            if (length := code_lines(used, node)) > MOST_FUNCTION_LINES:
                long[f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}"] = length
    assert long == {}


def drawn_tree() -> dict[str, str]:
    """Read the tree in the docstring of gpuprov.errors: each class with the one above it."""
    drawn = re.findall(r"^ {4}([│ ]*(?:[├└]── )?)([A-Z]\w+)", inspect.getdoc(errors) or "", flags=re.MULTILINE)
    parents: dict[str, str] = {}
    above: list[str] = []
    for indent, name in drawn:
        depth = len(indent) // 4
        above = [*above[:depth], name]
        parents[name] = above[depth - 1] if depth else ""
    return parents


def test_the_errors_are_exactly_those_that_are_drawn() -> None:
    classes = {
        name: member
        for name, member in vars(errors).items()
        if inspect.isclass(member) and issubclass(member, Exception) and member.__module__ == errors.__name__
    }
    parents = {name: "" if error.__base__ is Exception else error.__base__.__name__ for name, error in classes.items()}
    assert drawn_tree() == parents


def test_the_public_names_of_errors_are_the_tree_and_a_problem() -> None:
    public = {
        name
        for name, member in vars(errors).items()
        if not name.startswith("_") and getattr(member, "__module__", None) == errors.__name__
    }
    assert public == drawn_tree().keys() | {"Problem"}
