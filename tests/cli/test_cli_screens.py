"""The screens in docs/screens.md are what the commands print."""

import os
import pty
import re
import shlex
import sys

import pytest
from cli_world import MARCH, Api, World
from projects import REPOSITORY, run_command
from test_cli_show import with_pods

SCREENS = (REPOSITORY / "docs" / "screens.md").read_text(encoding="utf-8")
CONSOLE = re.compile(r"^```console\n\$ COLUMNS=(\d+) gpuprov ([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
(BAD_LIST,) = re.findall(r"^```csv\n(.*?)^```$", SCREENS, flags=re.MULTILINE | re.DOTALL)


def screen(world: World, width: str, typed: str) -> str:
    """Return what a command prints on a terminal of this width; a question is answered with no."""
    (world.root / "bad.csv").write_text(BAD_LIST, encoding="utf-8")
    main, side = pty.openpty()
    try:
        os.write(main, b"n\n")
        environment = world.environment | {"COLUMNS": width, "GPUPROV_AT": MARCH}
        command = [sys.executable, "-m", "gpuprov", *shlex.split(typed)]
        ran = run_command(command, world.root, environment, stdin=side)
    finally:
        os.close(main)
        os.close(side)
    asked = "[y/N]:" in ran.err
    told = re.sub(r"^deciding for .*\n( .*\n)?", "", "".join(f"{line}\n" for line in ran.told))
    told = told.replace("[y/N]: ", "[y/N]: n\n")
    return told if asked or not ran.out else ran.out


@pytest.mark.parametrize(("width", "typed", "printed"), CONSOLE.findall(SCREENS))
def test_a_screen_is_what_is_printed(world: World, full: Api, width: str, typed: str, printed: str) -> None:
    with_pods(full)
    lines = screen(world, width, typed).splitlines()
    assert [line.rstrip() for line in lines] == printed.splitlines()


def test_each_command_has_a_screen_at_80_and_at_60_columns() -> None:
    shown = {(width, typed.split()[0]) for width, typed, _ in CONSOLE.findall(SCREENS)}
    commands = ("validate", "status", "awards", "show", "forfeit")
    assert {(width, command) for width in ("80", "60") for command in commands} - shown == {("80", "show")}


def test_the_page_of_an_award_is_the_same_at_80_columns(world: World, full: Api) -> None:
    with_pods(full)
    ((typed, printed),) = [(typed, printed) for _, typed, printed in CONSOLE.findall(SCREENS) if "show" in typed]
    assert screen(world, "80", typed) == printed
