"""Pulumi as its documentation teaches it: a typed program, run by `pulumi up` with all defaults."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.measure import Cost
from bench.world import FORFEITED, World, namespace

PROGRAM = Path(__file__).parent.parent / "plain"


class Plain:
    """`pulumi up` and `pulumi destroy`, state in a folder."""

    name = "plain"

    def __init__(self, world: World) -> None:
        self._world = world
        self._folder = world.folder / "plain"
        self._gone: str | None = None

    def prepare(self) -> None:
        """Make the stack."""
        shutil.copytree(PROGRAM, self._folder)
        self._world.run("pulumi", "stack", "init", "plain", cwd=self._folder)

    def provision(self, cost: Cost) -> None:
        """Apply the list."""
        self._up()

    def nothing(self, cost: Cost) -> None:
        """Apply it again."""
        self._up()

    def change(self, cost: Cost) -> None:
        """Apply the changed list."""
        self._up()

    def forfeit(self, cost: Cost) -> None:
        """Apply the list without one."""
        self._gone = namespace(FORFEITED)
        self._up()

    def teardown(self, cost: Cost) -> None:
        """Destroy everything."""
        self._world.run("pulumi", "destroy", "--yes", "--stack", "plain", cwd=self._folder)

    def _up(self) -> None:
        tenants = {name: objects for name, objects in self._world.manifests().items() if name != self._gone}
        (self._folder / "tenants.json").write_text(json.dumps(tenants), encoding="utf-8")
        self._world.run("pulumi", "up", "--yes", "--stack", "plain", cwd=self._folder)
