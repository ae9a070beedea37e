"""One stack's process: takes a StackRun on standard input, runs Pulumi, answers with a StackDone."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from gpuprov import engine
from gpuprov.errors import GpuprovError
from gpuprov.run.child import insist_on_parent, listen, say, tell
from gpuprov.run.job import StackDone
from gpuprov.run.slots import slot
from gpuprov.stackrun import StackRun


def run(what: StackRun, progress: Callable[[str], None]) -> StackDone:
    """Run Pulumi when a slot is free; an error of its is in the answer."""
    try:
        with slot():
            insist_on_parent()
            operations = engine.up(what, progress)
    except GpuprovError as error:
        return StackDone(stack=what.stack, error=str(error))
    return StackDone(stack=what.stack, operations=dict(operations))


def main() -> None:
    """Read the run, do it, answer. The exit code says nothing: the answer does."""
    what = StackRun.model_validate_json(listen())
    try:
        done = run(what, tell)
    except KeyboardInterrupt:
        done = StackDone(stack=what.stack, error="interrupted; give the same command again")
    except Exception:  # noqa: BLE001 (a bug on one stack must not hide what the others did)
        done = StackDone(stack=what.stack, error=f"a bug in gpuprov:\n{traceback.format_exc()}")
    say("outcome", done.model_dump(mode="json"))


if __name__ == "__main__":
    main()
