"""One stack's process: reads a StackRun from standard input, runs Pulumi, answers with a StackDone."""

from __future__ import annotations

from collections.abc import Callable

from gpuprov.engine import automation
from gpuprov.engine.messages import StackRun
from gpuprov.errors import GpuprovError
from gpuprov.run.child import answer, listen, require_live_parent, tell
from gpuprov.run.job import StackDone
from gpuprov.run.slots import slot


def run(stack_run: StackRun, progress: Callable[[str], None]) -> StackDone:
    """Run Pulumi when a slot is free; its errors become part of the answer."""
    try:
        with slot():
            require_live_parent()
            operations = automation.up(stack_run, progress)
    except GpuprovError as error:
        return StackDone(stack=stack_run.stack, error=error.message_text)
    return StackDone(stack=stack_run.stack, operations=dict(operations))


def main() -> None:
    """Read the message, run Pulumi, answer."""
    stack_run = StackRun.model_validate_json(listen())
    answer(lambda: run(stack_run, tell), lambda error: StackDone(stack=stack_run.stack, error=error))


if __name__ == "__main__":
    main()
