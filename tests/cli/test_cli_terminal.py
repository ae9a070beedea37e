"""Commands on terminals of 80 and 60 columns: nothing is cut, and colour is there only where it is wanted."""

import re
import sys

import pytest
from cli_world import MARCH, Api, World
from rich.cells import cell_len
from terminals import run_at

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def shown(world: World, width: int, *arguments: str, **variables: str) -> str:
    command = [sys.executable, "-m", "gpuprov", *arguments]
    environment = world.environment | {"GPUPROV_AT": MARCH} | variables
    _, written = run_at(command, world.root, environment, width)
    return written


@pytest.mark.parametrize("width", [80, 60])
def test_no_line_is_wider_than_the_terminal_and_no_id_is_cut(world: World, api: Api, width: int) -> None:
    written = shown(world, width, "plan", "--full", "--provider", "samsung-sds")
    planned = world.run("plan", "--json", "--provider", "samsung-sds").data["changes"]
    _, *lines = [ESCAPE.sub("", line) for line in written.splitlines()]  # the first says which instant it is for
    assert max(map(cell_len, lines)) <= width
    words = set(" ".join(lines).split())
    assert {change["award_id"] for change in planned} <= words


def test_a_terminal_gets_bold_headers_and_no_other_escape_sequence(world: World, api: Api) -> None:
    written = shown(world, 80, "plan", "--provider", "samsung-sds")
    assert set(ESCAPE.findall(written)) == {"\x1b[1m", "\x1b[0m"}
    assert "\x1b[1maward" in written


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_no_escape_sequence(world: World, api: Api, variables: dict[str, str]) -> None:
    assert "\x1b" not in shown(world, 80, "plan", "--provider", "samsung-sds", **variables)


def test_a_pipe_gets_tables_as_wide_as_they_are_and_no_escape_sequence(world: World, api: Api) -> None:
    ran = world.run("plan", "--full", "--provider", "samsung-sds")
    assert "\x1b" not in ran.out + ran.err
    assert "term to 2026-07-01T00:00+09:00, no namespace yet\n" in ran.out


def test_columns_says_how_wide_a_pipe_is(world: World, api: Api) -> None:
    world.environment["COLUMNS"] = "60"
    assert "\naward: HPC-2026-1-003\n" in world.run("plan", "--full", "--provider", "samsung-sds").out
