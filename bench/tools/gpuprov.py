"""gpuprov as its users run it."""

from __future__ import annotations

import os
import sys
import time
from threading import Timer

from bench.measure import Cost
from bench.world import AFTER, AT, FORFEITED, TooLong, World, WrongState, end


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
        command = [sys.executable, "-m", "gpuprov", "forfeit", award, "--reason", "bench", "--yes", "--timeout", "600"]
        command += ["--at", AT]  # an event never takes its instant from GPUPROV_AT
        process = self._world.start(*command, cwd=None, environment={"GPUPROV_AT": AT, **self.environment()})
        limit = Timer(max(1.0, self._world.deadline - begun), end, [process])
        limit.start()
        said = []
        try:
            for line in process.stderr or ():
                said.append(line)
                if "proven free" in line and "free_seconds" not in cost.extra:  # the log says it again at the end
                    cost.extra["free_seconds"] = round(time.monotonic() - begun, 2)
            code = process.wait()
        finally:
            limit.cancel()
            end(process)
        if time.monotonic() >= self._world.deadline:
            raise TooLong
        if code:
            raise WrongState("".join(said))
        if "free_seconds" not in cost.extra:
            raise WrongState("gpuprov did not say when the GPUs were proven free")

    def teardown(self, cost: Cost) -> None:
        """Do what the end of the term asks for."""
        self._gpuprov("expire", "--yes", "--timeout", "3600", at=AFTER)

    def _gpuprov(self, *command: str, at: str = AT) -> None:
        self._world.run(sys.executable, "-m", "gpuprov", *command, at=at, cwd=None, **self.environment())

    def environment(self) -> dict[str, str]:
        """Return the variables that the commands need besides."""
        return {}


class Before(Gpuprov):
    """Another version of gpuprov: the checkout that GPUPROV_BEFORE names, with the present environment."""

    name = "before"

    def environment(self) -> dict[str, str]:
        """Return the path that leads Python to the other checkout."""
        return {"PYTHONPATH": os.environ["GPUPROV_BEFORE"]}
