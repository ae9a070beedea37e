"""One stack's process: takes a StackRun on standard input, runs Pulumi, answers with a StackDone."""

from __future__ import annotations

from collections.abc import Callable

from gpuprov.engine import automation
from gpuprov.engine.messages import StackRun
from gpuprov.errors import GpuprovError
from gpuprov.run.child import answer, listen, require_live_parent, tell
from gpuprov.run.job import StackDone
from gpuprov.run.slots import slot


def run(what: StackRun, progress: Callable[[str], None]) -> StackDone:
    """Run Pulumi when a slot is free; an error of its is in the answer."""
    try:
        with slot():
            require_live_parent()
            operations = automation.up(what, progress)
    except GpuprovError as error:
        return StackDone(stack=what.stack, error=str(error))
    return StackDone(stack=what.stack, operations=dict(operations))


def main() -> None:
    """Read the run, do it, answer."""
    what = StackRun.model_validate_json(listen())
    answer(lambda: run(what, tell), lambda error: StackDone(stack=what.stack, error=error))


if __name__ == "__main__":
    main()
