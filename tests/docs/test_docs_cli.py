"""docs/cli.md tells every command, option, exit code and environment variable, and none that is not there."""

import re
from collections.abc import Iterator
from itertools import pairwise

import click
import pytest
from documents import CLI, section_of, sections

from gpuprov.cli import main
from gpuprov.cli.errors import Exit


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            yield from walk(found, (*path, name))


COMMANDS = {" ".join(path): command for path, command in walk(main, ("gpuprov",))}


def spans(text: str) -> list[str]:
    """Return what stands in the text as code, without the blocks."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`]+)`", prose)


def test_the_walk_finds_the_commands() -> None:
    assert {"gpuprov validate", "gpuprov sandbox up", "gpuprov toolchain path"} <= COMMANDS.keys()


def options_of(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option)]


LEAVES = [command for command in COMMANDS.values() if not isinstance(command, click.Group)]
EVERYWHERE = [
    option.opts
    for option in options_of(LEAVES[0])
    if all(option.opts in [other.opts for other in options_of(command)] for command in LEAVES)
]


def names_one(text: str, opts: list[str]) -> bool:
    return any(re.search(rf"{re.escape(opt)}(?![\w-])", text) for opt in opts)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "gpuprov"])
def test_every_command_is_told_in_its_section(name: str) -> None:
    assert re.search(rf"`{re.escape(name)}[ `\]]", section_of(name))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "gpuprov"])
def test_every_option_is_told_in_the_commands_section(name: str) -> None:
    options = [option.opts for option in options_of(COMMANDS[name]) if option.opts not in EVERYWHERE]
    assert [opts for opts in options if not names_one(section_of(name), opts)] == []


def test_options_of_every_command_are_told_once() -> None:
    assert EVERYWHERE == [["--lang"], ["-v", "--verbose"], ["--log-format"]]
    assert all(names_one(sections(CLI, 2)["Common options"], opts) for opts in EVERYWHERE)


def test_every_long_option_stands_in_the_document_as_code() -> None:
    longs = {
        opt for command in COMMANDS.values() for param in command.params for opt in param.opts if opt.startswith("--")
    }
    told = {opt for span in spans(CLI) for opt in re.findall(r"--[a-z-]+", span)}
    assert longs - told == set()


def test_no_option_is_told_that_does_not_exist() -> None:
    """Options of other programs stand beside those programs' names."""
    real = {opt for command in COMMANDS.values() for param in command.params for opt in param.opts} | {
        "--help",
        "--version",
    }
    ours = [span for span in spans(CLI) if not span.startswith(("pulumi ", "kubectl "))]
    told = {opt for span in ours for opt in re.findall(r"(?<!\w)--[a-z-]+", span)}
    assert told - real == set()


def test_the_exit_codes_are_exactly_those_of_the_code() -> None:
    told = re.findall(r"^\| (\d+) \|", sections(CLI, 2)["Exit codes"], flags=re.MULTILINE)
    assert [int(code) for code in told] == [int(code) for code in Exit]


def test_every_environment_variable_of_an_option_is_told() -> None:
    names = {param.envvar for command in COMMANDS.values() for param in command.params if param.envvar}
    told = sections(CLI, 2)["Environment variables"]
    assert names
    assert [name for name in names if f"`{name}`" not in told] == []


def test_commands_stand_in_the_order_of_their_sections() -> None:
    order = [CLI.index(f"\n## {name}\n") for name in main.list_commands(click.Context(main))]
    assert all(earlier < other for earlier, other in pairwise(order))
