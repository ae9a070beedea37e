"""docs/project.md, run from its first command to its last, on API servers that answer from a table."""

import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from cli_world import Api, World, answering, make_world, script
from documents import DOCS, blocks
from loopback import serving
from projects import run_command

from gpuprov.cli import main
from gpuprov.load.project import open_project
from gpuprov.run.loading import load

PAGE = (DOCS / "project.md").read_text(encoding="utf-8")
PRODUCT = "nvidia.com/gpu.product"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty folder, with `gpuprov` and `python` on PATH."""
    made = make_world(tmp_path)
    script(tmp_path / "bin" / "gpuprov", f'#!/bin/sh\nexec {sys.executable} -m gpuprov "$@"\n')
    script(tmp_path / "bin" / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "here").mkdir()
    return replace(made, root=tmp_path / "here")


def test_the_page_runs_from_its_first_command_to_its_last(world: World) -> None:
    played = Api()
    ready = [{"type": "Ready", "status": "True"}]
    status = {"allocatable": {"nvidia.com/gpu": "400"}, "conditions": ready}
    played.objects["kt-cloud", "Node"] = [
        {"metadata": {"name": "k1", "labels": {PRODUCT: "NVIDIA-H200"}}, "status": status}
    ]
    text = "".join(f"{block}printf '=====\\n'\n" for block in blocks(PAGE, "sh"))
    with serving(answering(played)) as url:
        servers = {name: f"{url}/{name}" for name in ("kt-cloud", "samsung-sds")}
        world.contexts(servers | {f"{name}-admin": server for name, server in servers.items()})
        ran = run_command(["bash", "-euc", text], world.root, world.environment)
    assert ran.code == 0, ran
    assert played.writes == []
    outputs = ran.out.split("=====\n")
    planned = [re.findall(r"HPC-2026-1-\d+", output) for output in outputs if "to create" in output]
    ids = [f"HPC-2026-1-00{number}" for number in range(1, 5)]
    assert planned == [ids[:2], ids[2:3], ids[2:], ids[:2]]
    project = open_project(world.root / "programme")
    assert (project.retired, list(project.by_provider)) == (frozenset({"samsung-sds"}), ["kt-cloud"])
    assert [history.award.id for history in load(project).histories] == ids[:2]
    assert (project.root / ".venv" / "bin").is_dir()
    assert open_project(world.root / "rehearsal").clusters[0].pools[0].capacity == 400


def commands() -> list[list[str]]:
    return [shlex.split(line) for block in blocks(PAGE, "console") for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in commands() if line[0] == "gpuprov"], ids=" ".join)
def test_the_commands_that_are_not_run_exist(line: list[str]) -> None:
    command = main.get_command(click.Context(main), line[1])
    assert command is not None
    command.make_context(line[1], line[2:])


def test_whatever_is_not_run_needs_the_backend_or_changes_clusters() -> None:
    started = [[word for word in line if "=" not in word and "$" not in word][:2] for line in commands()]
    assert {tuple(words) for words in started} == {
        ("gpuprov", "setup"),
        ("gpuprov", "preflight"),
        ("gpuprov", "up"),
        ("gpuprov", "status"),
        ("pulumi", "preview"),
        ("pulumi", "destroy"),
        ("pulumi", "stack"),
    }
