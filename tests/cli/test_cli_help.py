"""The help of every command, and what help and version do not import."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_project import run
from projects import REPOSITORY

from gpuprov.cli import main


def every_command(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    below = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [path, *(words for name, found in below if found for words in every_command(found, (*path, name)))]


@pytest.mark.parametrize("path", every_command(main), ids=lambda path: " ".join(path) or "gpuprov")
def test_help_of_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)  # help needs no project
    result = run(*path, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: ")


def test_the_short_option_for_help_is_the_same() -> None:
    for path in ((), ("plan",), ("sandbox", "up")):
        assert run(*path, "-h").stdout == run(*path, "--help").stdout


def imported_by(*arguments: str) -> set[str]:
    """Return which of the slow packages a command imports, in a process of its own."""
    script = (
        "import sys\n"
        "from gpuprov.cli import main\n"
        "try:\n"
        f"    main({list(arguments)!r})\n"
        "finally:\n"
        "    slow = [name for name in ('pulumi', 'kubernetes', 'jinja2', 'pydantic', 'yaml') if name in sys.modules]\n"
        "    print('slow:', *slow, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.rpartition("slow:")[2].split())


def test_the_version_imports_neither_pulumi_nor_kubernetes() -> None:
    assert imported_by("--version") == set()


def test_help_imports_neither_pulumi_nor_kubernetes() -> None:
    assert imported_by("--help") == set()


LEAVES = [path for path in every_command(main) if path and path[0] not in ("sandbox", "toolchain")]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_a_commands_help_imports_nothing_that_only_its_work_needs(path: tuple[str, ...]) -> None:
    assert imported_by(*path, "--help") == set()


def test_the_module_is_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpuprov", "--version"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.startswith("gpuprov, version ")
