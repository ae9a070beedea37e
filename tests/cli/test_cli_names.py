"""Names of organizations are data from outside: they neither hide, move nor begin anything in what commands print."""

import json
import re

import pytest
from cli_world import Api, World

EVIL = "누리\u202eHCRA\u2066테크\u200b\U000e0041\xad\u3164끝"
"""A name that turns the writing direction and has letters that are not seen. The loader refuses control characters, and
takes of these what a conversion leaves behind."""

KEPT = "누리HCRA테크\U000e0041\u3164끝"
SEEN = r"누리HCRA테크\U000e0041\u3164끝"
HIDING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\U000e0000-\U000e0fff]"
)
SHOW = "show HPC-2026-1-002"
COMMANDS = [
    *("validate", "plan --full", "plan --markdown", "awards", "awards --csv", SHOW, "status"),
    *("plan --json", "awards --json", f"{SHOW} --json"),
]


@pytest.fixture
def named(world: World, api: Api) -> World:
    world.edit_list("HPC-2026-1-002,누리테크,", f'HPC-2026-1-002,"{EVIL}",')
    return world


@pytest.mark.parametrize(
    ("command", "language"), [*((command, "en") for command in COMMANDS), ("plan --full", "ko"), (SHOW, "ko")]
)
def test_nothing_hides_in_what_a_command_prints(named: World, command: str, language: str) -> None:
    named.environment["GPUPROV_LANG"] = language
    ran = named.run(*command.split(), "-vv")
    said = (ran.out.removeprefix("\ufeff") + ran.err).replace("\r\n", "\n")
    assert HIDING.search(said) is None, (HIDING.search(said), said)
    if command in ("awards", "awards --csv", SHOW):
        assert SEEN in ran.out


def test_json_has_the_name_as_it_is(named: World) -> None:
    ran = named.run("awards", "--json")
    assert KEPT not in ran.out
    assert KEPT in json.dumps(ran.data, ensure_ascii=False)


def test_what_a_cluster_says_is_shown_too(named: World, api: Api) -> None:
    """A supplier's webhook answers with what it likes."""
    api.forbidden.update({"kt-cloud"})
    ran = named.run("plan", "-vv")
    assert HIDING.search(ran.out + ran.err) is None


def test_a_reason_cannot_begin_a_line_of_the_log(named: World) -> None:
    forged = "gone\n2026-03-01T09:00:00.000+09:00 INFO forfeited HPC-2026-1-003"
    ran = named.run("forfeit", "HPC-2026-1-002", "--reason", forged, "--yes", "-v")
    assert "HPC-2026-1-002" in ran.err
    assert [line for line in ran.err.splitlines() if line.startswith("2026-03-01T09:00:00.000+09:00 INFO")] == []
    logged = named.run("plan", "-vv", "--log-format", "json").err.splitlines()
    assert all(json.loads(line) for line in logged if line.startswith("{"))
