"""The documents say what the code does: commands, options, exit codes, keys, links, and the limits of style."""

import ast
import dataclasses
import inspect
import io
import json
import re
import tokenize
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel

from bench.report import Results, markdown
from gpuprov import errors
from gpuprov.cli import main
from gpuprov.cli.common import Exit
from gpuprov.cluster import ContainerDefaults, GpuPool, PerGpu, ProviderCluster
from gpuprov.gpu import GpuModel
from gpuprov.ledger import EVENT, Accepted, Extended, Forfeited, Reduced
from gpuprov.plan import Change, Plan
from gpuprov.preflight import Finding, admission, clock, identity, names, nodes, plugin, policies, rights, role, version
from gpuprov.rules import Rule
from gpuprov.run.job import Freed, Outcome
from gpuprov.run.status import PoolStatus
from gpuprov.sandbox import ClusterStatus

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
MARKDOWN = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
SOURCES = sorted((REPOSITORY / "gpuprov").rglob("*.py"))
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
CONFIGURATION = (DOCS / "configuration.md").read_text(encoding="utf-8")

MOST_LINES = 300
MOST_FUNCTION_LINES = 40


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            yield from walk(found, (*path, name))


COMMANDS = {" ".join(path): command for path, command in walk(main, ("gpuprov",))}


def sections(text: str, level: int) -> dict[str, str]:
    """Cut a document at its headings of one level."""
    mark = "#" * level
    parts = re.split(rf"^{mark} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def section_of(command: str) -> str:
    """Return the part of cli.md that tells of a command."""
    return sections(CLI, 2)[command.split()[1]]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def spans(text: str) -> list[str]:
    """Return what stands in the text as code, without the blocks."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`]+)`", prose)


def first_json(section: str) -> Any:
    return json.loads(blocks(sections(CLI, 2)[section], "json")[0])


# ---- the command line


def test_the_walk_finds_the_commands() -> None:
    assert {"gpuprov validate", "gpuprov sandbox up", "gpuprov toolchain path"} <= COMMANDS.keys()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "gpuprov"])
def test_every_command_is_told_in_its_section(name: str) -> None:
    assert re.search(rf"`{re.escape(name)}[ `\]]", section_of(name))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "gpuprov"])
def test_every_option_is_told_in_the_commands_section(name: str) -> None:
    options = [one for one in COMMANDS[name].params if isinstance(one, click.Option)]
    missing = [
        option.opts
        for option in options
        if not any(re.search(rf"{re.escape(opt)}(?![\w-])", section_of(name)) for opt in option.opts)
    ]
    assert missing == []


def test_every_long_option_stands_in_the_document_as_code() -> None:
    longs = {opt for one in COMMANDS.values() for param in one.params for opt in param.opts if opt.startswith("--")}
    told = {opt for span in spans(CLI) for opt in re.findall(r"--[a-z-]+", span)}
    assert longs - told == set()


def test_no_option_is_told_that_does_not_exist() -> None:
    """Options of other programs stand beside those programs' names."""
    real = {opt for one in COMMANDS.values() for param in one.params for opt in param.opts} | {"--help", "--version"}
    ours = [span for span in spans(CLI) if not span.startswith(("pulumi ", "kubectl "))]
    told = {opt for span in ours for opt in re.findall(r"(?<!\w)--[a-z-]+", span)}
    assert told - real == set()


def test_the_exit_codes_are_exactly_those_of_the_code() -> None:
    told = re.findall(r"^\| (\d+) \|", sections(CLI, 2)["Exit codes"], flags=re.MULTILINE)
    assert [int(code) for code in told] == [int(code) for code in Exit]


def test_every_environment_variable_of_an_option_is_told() -> None:
    names = {param.envvar for one in COMMANDS.values() for param in one.params if param.envvar}
    told = sections(CLI, 2)["Environment variables"]
    assert names
    assert [name for name in names if f"`{name}`" not in told] == []


# ---- the JSON examples


def fields(model: type[Any]) -> set[str]:
    return {one.name for one in dataclasses.fields(model)}


def test_every_example_in_json_is_json() -> None:
    for path in MARKDOWN:
        for block in blocks(path.read_text(encoding="utf-8"), "json"):
            json.loads(block)


def test_the_example_of_plan_has_the_plans_keys() -> None:
    example = first_json("plan")
    assert example.keys() == fields(Plan) | {"failed", "refused"}
    assert [one.keys() for one in example["changes"]] == [fields(Change)]


def test_the_example_of_up_has_the_outcomes_keys() -> None:
    example = first_json("up")
    (outcome,) = example["providers"]
    assert example.keys() == {"providers", "failed"}
    assert outcome.keys() == Outcome.model_fields.keys()
    assert [one.keys() for one in outcome["freed"]] == [Freed.model_fields.keys()]


def test_the_example_of_preflight_is_a_finding() -> None:
    example = first_json("preflight")
    assert example.keys() == {"findings", "failed"}
    (finding,) = example["findings"]
    assert finding.keys() == fields(Finding) | {"provider"}
    assert finding["check"] in rows_of_checks()


def test_every_check_of_preflight_is_told() -> None:
    checks = {one.CHECK for one in (admission, clock, identity, names, nodes, plugin, policies, rights, role, version)}
    assert rows_of_checks() == checks | {nodes.CAPACITY}


def rows_of_checks() -> set[str]:
    return set(re.findall(r"^\| `([a-z ]+)` \|", section_of("gpuprov preflight"), flags=re.MULTILINE))


def test_the_example_of_status_is_what_a_pool_says() -> None:
    (pool,) = first_json("status")["pools"]
    said = {name: pool[name] for name in fields(PoolStatus)}
    status = PoolStatus(**said | {"model": GpuModel(pool["model"])})
    assert json.loads(json.dumps(status.to_json())) == pool


def test_the_example_of_the_sandbox_has_its_keys() -> None:
    (cluster,) = first_json("sandbox")["clusters"]
    assert cluster.keys() == fields(ClusterStatus)


def test_the_example_of_a_problem_has_its_fields() -> None:
    example = first_json("Output")
    (problem,) = example["problems"]
    assert problem.keys() == fields(errors.Problem)
    assert example["message"] == str(errors.InputError([errors.Problem(**problem)]))


def test_the_ledgers_lines_are_events_of_every_kind() -> None:
    (block,) = blocks(CLI, "jsonl")
    events = [EVENT.validate_json(line) for line in block.splitlines()]
    assert [type(event) for event in events] == [Accepted, Forfeited, Reduced, Extended]
    assert [EVENT.dump_json(event).decode() for event in events] == block.splitlines()
    told = sections(CLI, 2)["The ledger"]
    names = {name for event in events for name in type(event).model_fields}
    assert [name for name in names if f"`{name}`" not in told] == []


# ---- the configuration


def rows(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table under a heading by the code in their first cell."""
    section = sections(CONFIGURATION, 3)[heading].split("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:3] == "| `"
    ]
    return {row[0].strip(" `"): row[1:] for row in cells}


MODELS = {
    "`gpuprov:cluster`": ProviderCluster,
    "`pools`": GpuPool,
    "`perGpu`": PerGpu,
    "`containerDefaults`": ContainerDefaults,
}


@pytest.mark.parametrize(("heading", "model"), MODELS.items())
def test_configuration_has_exactly_the_fields_of_the_models(heading: str, model: type[BaseModel]) -> None:
    assert rows(heading).keys() == {one.alias or name for name, one in model.model_fields.items()}


@pytest.mark.parametrize(("heading", "model"), MODELS.items())
def test_configuration_tells_required_keys_and_plain_defaults(heading: str, model: type[BaseModel]) -> None:
    told = rows(heading)
    for name, field in model.model_fields.items():
        default = told[field.alias or name][1]
        if name == "provider":  # is required of the model and taken from the file's name
            assert default == "the file's name"
        elif field.is_required():
            assert default == "required", name
        elif isinstance(field.default, bool):
            assert default == f"`{str(field.default).lower()}`", name
        elif isinstance(field.default, (int, str)):
            assert default == f"`{field.default}`", name
        elif field.default is None:
            assert default == "none", name
        elif name == "device_classes":
            assert re.findall(r"`([^`]+)`", default) == list(field.default)
        else:
            assert default != "required", name


def test_the_example_of_a_stack_is_a_cluster() -> None:
    yaml = pytest.importorskip("yaml")
    texts = blocks(CONFIGURATION, "yaml")
    found = [yaml.safe_load(text)["config"].get("gpuprov:cluster") for text in texts]
    (value,) = [one for one in found if one is not None]
    assert ProviderCluster.model_validate({"provider": "kt-cloud", **value}).pools[0].capacity == 400


# ---- the policies


def test_the_policies_are_exactly_the_rules() -> None:
    text = (DOCS / "policies.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", text, flags=re.MULTILINE) == [str(rule) for rule in Rule]
    (levels,) = blocks(text, "json")
    assert json.loads(levels).keys() <= set(Rule)


# ---- links and words


def anchors(path: Path) -> set[str]:
    """Return the fragments that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, fragment = link.partition("#")
        file = (path.parent / target) if target else path
        if not file.exists() or (fragment and fragment not in anchors(file)):
            broken.append(link)
    assert broken == []


HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("registry", "npmjs"),
        ("crates", "io"),
    )
] + ["".join(("python", "hosted"))]
FOLDERS = [f"/{name}/" for name in ("root", "work", "home")]


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_no_registry_and_no_machine_is_named(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [host for host in HOSTS if host in text] == []
    assert [folder for folder in FOLDERS if re.search(rf"(?<![\w>~.-]){folder}", text)] == []


# ---- the code


def code_lines(source: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines from `def` to its end, without its docstring, blank lines and comments."""
    body = node.body
    doc = range(0)
    if ast.get_docstring(node, clean=False) is not None:
        doc = range(body[0].lineno, (body[0].end_lineno or body[0].lineno) + 1)
    used: set[int] = set()
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent:
            used.update(range(token.start[0], token.end[0] + 1))
    return len({line for line in used if node.lineno <= line <= (node.end_lineno or 0)} - set(doc))


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_code_lines_leaves_out_docstring_blank_lines_and_comments() -> None:
    source = (
        'def f(\n    a,\n):\n    """One.\n\n    Two.\n    """\n    # no\n\n    text = """x\n\n    y"""\n    return a\n'
    )
    assert code_lines(source, functions(ast.parse(source))[0]) == 7


def test_files_are_short() -> None:
    lengths = {
        str(path.relative_to(REPOSITORY)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        for node in functions(ast.parse(source)):
            if (length := code_lines(source, node)) > MOST_FUNCTION_LINES:
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
        name: one
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, Exception) and one.__module__ == errors.__name__
    }
    parents = {name: "" if one.__base__ is Exception else one.__base__.__name__ for name, one in classes.items()}
    assert drawn_tree() == parents


def test_the_public_names_of_errors_are_the_tree_and_a_problem() -> None:
    public = {
        name
        for name, one in vars(errors).items()
        if not name.startswith("_") and getattr(one, "__module__", None) == errors.__name__
    }
    assert public == drawn_tree().keys() | {"Problem"}


def test_commands_stand_in_the_order_of_their_sections() -> None:
    order = [CLI.index(f"\n## {name}\n") for name in main.list_commands(click.Context(main))]
    assert all(one < other for one, other in pairwise(order))


def test_performance_has_the_tables_of_the_figures_on_record() -> None:
    results = Results.open(DOCS / "performance.json", resume=True)
    assert markdown(results) in (DOCS / "performance.md").read_text(encoding="utf-8")
