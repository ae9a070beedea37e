from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_fixtures import programs, while_up
from story import Story, World, make_environment, make_project

from gpuprov.sandbox import Sandbox


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    sandbox = Sandbox(tmp_path_factory.mktemp("world") / "sandbox", programs())
    with while_up(sandbox):
        made = World(sandbox, make_environment(sandbox))
        root = tmp_path_factory.mktemp("setup")
        make_project(root)
        Story(made, root).ok("setup", "--yes")
        yield made


@pytest.fixture(scope="module")
def story(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root: Path = tmp_path_factory.mktemp("project")
    make_project(root)
    try:
        yield Story(world, root)
    finally:
        world.clean()
