"""gpuprov as its users run it."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.measure import Cost
from bench.world import AFTER, AT, FORFEITED, World, WrongState


class Gpuprov:
    """`gpuprov up`, `forfeit` and `expire`."""

    name = "gpuprov"

    def __init__(self, world: World) -> None:
        self._world = world

    def prepare(self) -> None:
        """Nothing: the first `up` makes the stacks."""

    def provision(self, cost: Cost) -> None:
        """Apply the list."""
        self._gpuprov("up", "--yes")

    def nothing(self, cost: Cost) -> None:
        """Apply it again: read all, compare field by field, and find nothing."""
        self._gpuprov("up", "--yes")

    def change(self, cost: Cost) -> None:
        """Apply the changed list."""
        self._gpuprov("up", "--yes")

    def forfeit(self, cost: Cost) -> None:
        """Forfeit one, and note from its progress when its GPUs were proven free."""
        begun = time.monotonic()
        award = f"HPC-2026-9-{FORFEITED:05d}"
        process = subprocess.Popen(
            [sys.executable, "-m", "gpuprov", "forfeit", award, "--reason", "bench", "--yes", "--timeout", "600"],
            cwd=self._world.folder,
            env=self._world.environment | {"GPUPROV_AT": AT},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = []
        for line in process.stderr or ():
            said.append(line)
            if "proven free" in line:
                cost.extra["free_seconds"] = round(time.monotonic() - begun, 2)
        if process.wait():
            raise WrongState("".join(said))

    def teardown(self, cost: Cost) -> None:
        """Do what the end of the term asks for."""
        self._gpuprov("expire", "--yes", "--timeout", "3600", at=AFTER)

    def _gpuprov(self, *command: str, at: str = AT) -> None:
        self._world.run(sys.executable, "-m", "gpuprov", *command, at=at)
