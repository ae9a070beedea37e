"""Runs Pulumi on one stack through the Automation API.

The settings are the ones that measurably matter (docs/performance.md): the state is saved once, at the end, and not
twice for each object. A killed run therefore leaves objects that are missing from the state. Names, labels and the
field manager are fixed, so the next run adopts these objects, and orphans are found by label and reclaimed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO
from uuid import uuid4

from pulumi import automation as auto
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from gpuprov.core.manifests import TENANT_TYPE
from gpuprov.engine import environment, stacks
from gpuprov.engine.chart import declare_chart
from gpuprov.engine.console import Screen
from gpuprov.engine.keeper import MARK_VARIABLE, kept
from gpuprov.engine.locks import Locks, remembered
from gpuprov.engine.messages import SetUp, StackRun
from gpuprov.engine.program import declare
from gpuprov.engine.stacks import StackLocked
from gpuprov.engine.writes import create
from gpuprov.errors import EngineError

PARALLEL = 64
_SETUP_PATIENCE_SECONDS = 120.0


def urns(stack: str, project: str, award_ids: Collection[str]) -> list[str]:
    """Return URN patterns for what a run on these awards may touch: their components and everything in them.

    An award id contains neither ``:`` nor ``*``, so a pattern never matches another award. A pattern may match nothing,
    whereas a refresh fails on an exact URN that is not in the state.
    """
    prefix = f"urn:pulumi:{stack}::{project}::"
    return [f"{prefix}{TENANT_TYPE}**::{award_id}" for award_id in sorted(award_ids)]


def up(run: StackRun, progress: Callable[[str], None]) -> Mapping[str, int]:
    """Bring one stack to its desired state; return the number of objects by Pulumi operation.

    Raises EngineError with Pulumi's errors.
    """

    async def program() -> None:
        only = None if run.changed is None else set(run.changed)
        await declare(run.cluster, run.tenants, run.cluster_uid, run.origin, only=only, recorded=run.recorded)

    locks = Locks(root=run.root, stack=run.stack, patience=run.patience, progress=progress)
    targets = None if run.changed is None else urns(run.stack, run.project, run.changed)
    return _run(locks, program, exists=run.exists, refresh=run.refresh, target=targets)


def set_up(setup: SetUp, cluster_uid: str, progress: Callable[[str], None]) -> Mapping[str, int]:
    """Bring a cluster to what the chart declares, and revert manual changes. Raises EngineError as `up` does."""

    async def program() -> None:
        await declare_chart(setup.cluster, setup.chart, cluster_uid)

    stack = setup.cluster.setup_stack
    locks = Locks(root=setup.root, stack=stack, patience=_SETUP_PATIENCE_SECONDS, progress=progress)
    return _run(locks, program, exists=False, refresh=True, target=None)


def _run(
    locks: Locks,
    program: Callable[[], Awaitable[None]],
    *,
    exists: bool,
    refresh: bool,
    target: list[str] | None,
) -> Mapping[str, int]:
    """Run `pulumi up` on the stack of ``locks``, past its locks. Raises EngineError."""
    screen = Screen(locks.progress)

    def run() -> None:
        try:
            stack.up(
                parallel=PARALLEL,
                refresh=refresh,
                target=target,
                on_output=screen,
                color="never",
                suppress_outputs=True,
                suppress_progress=True,
            )
        except auto.ConcurrentUpdateError as error:
            raise StackLocked(str(error)) from error
        except auto.CommandError as error:
            if stacks.says_locked(command.how_ended):
                raise StackLocked(command.how_ended) from error
            raise

    command = _Command(locks.root, locks.stack)
    try:
        workspace = auto.LocalWorkspace(
            work_dir=str(locks.root), program=program, env_vars=environment.variables(), pulumi_command=command
        )
        stack = _Stack(locks.stack, workspace)
        if not exists:
            create(locks)
        locks.run(run)
    except auto.CommandError as error:
        message = stacks.explained(screen.errors or command.how_ended, locks.stack)
        raise EngineError(f"{locks.stack}: {message}") from error
    return screen.operations


class _Command(auto.PulumiCommand):
    """Runs `pulumi`, and records each process, so that its lock is recognised as stale if it is killed.

    A keeper beside each sees that it ends in order also where we do not. The toolchain has already checked Pulumi's
    version, so it is not checked again.
    """

    def __init__(self, root: Path, stack_name: str) -> None:
        self.command = stacks.PULUMI
        self.version = VersionInfo.parse(version("pulumi"))
        self.how_ended = "Pulumi ended without a word; rerun the same command"
        self._root = root
        self._stack_name = stack_name

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: auto.OnOutput | None = None,
        on_error: auto.OnOutput | None = None,
    ) -> auto.CommandResult:
        """Run one command to its end. Raises auto.CommandError with its stderr, or EngineError without Pulumi."""
        mark = uuid4().hex
        variables = {**additional_env, "PULUMI_AUTOMATION_API": "true", MARK_VARIABLE: mark}
        process = stacks.launch(["--non-interactive", *args], variables, cwd=cwd, aside=True)
        lines: list[str] = []
        with process, kept(process, mark), remembered(self._root, self._stack_name, process.pid):
            errors = ThreadPoolExecutor(max_workers=1).submit(_rest_of, process.stderr)
            for line in process.stdout or ():
                lines.append(line.rstrip())
                if on_output is not None:
                    on_output(lines[-1])
            process.wait()  # keep the record as long as the process may hold the lock
            result = auto.CommandResult(stdout="\n".join(lines), stderr=errors.result(), code=process.returncode)
            if result.code < 0:
                raise self._failed(result)  # it was killed: the record stays, as its lock may
        if result.code:
            raise self._failed(result)
        return result

    def _failed(self, result: auto.CommandResult) -> auto.CommandError:
        self.how_ended = stacks.how_ended(result.code, result.stdout, result.stderr)
        return create_command_error(result)


def _rest_of(stream: IO[str] | None) -> str:
    return "" if stream is None else stream.read()


class _Stack(auto.Stack):
    """A stack that is known to exist, without the three extra commands that the Automation API runs each time.

    Selecting the stack, printing its outputs and reading its history each load the whole state again, and nothing uses
    their results: every command names its stack, and the run has already printed what it did.
    """

    def __init__(self, name: str, workspace: auto.Workspace) -> None:
        self.name = name
        self.workspace = workspace

    def outputs(self) -> auto.OutputMap:
        """Return nothing."""
        return {}

    def info(self, show_secrets: bool | None = None) -> auto.UpdateSummary:
        """Return an empty summary."""
        return auto.UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")
