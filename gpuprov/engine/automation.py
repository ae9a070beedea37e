"""Runs Pulumi on one stack through the Automation API.

The settings are those that were measured to matter (docs/performance.md): the state is saved once at the end and not
twice for each object. A run that is killed therefore leaves objects that the state does not know; names, field manager
and labels are fixed, so that the next run adopts them, and what nobody wants any more is swept by label.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

from pulumi import automation as auto
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from gpuprov.core.manifests import TENANT_TYPE
from gpuprov.engine import environment, stacks
from gpuprov.engine.chart import declare_chart
from gpuprov.engine.console import Screen
from gpuprov.engine.locks import Locks, remembered
from gpuprov.engine.messages import SetUp, StackRun
from gpuprov.engine.program import declare
from gpuprov.engine.stacks import StackLocked
from gpuprov.engine.writes import create
from gpuprov.errors import EngineError

PARALLEL = 64
_SETUP_PATIENCE_SECONDS = 120.0


def urns(stack: str, project: str, award_ids: Collection[str]) -> list[str]:
    """Return patterns for what a run on these awards may touch: their components and all that is in them.

    An award id has neither ``:`` nor ``*``, so a pattern never reaches another award. A pattern may match nothing,
    where an exact URN that the state does not have is an error for a refresh.
    """
    prefix = f"urn:pulumi:{stack}::{project}::"
    return [f"{prefix}{TENANT_TYPE}**::{award_id}" for award_id in sorted(award_ids)]


def up(what: StackRun, progress: Callable[[str], None]) -> Mapping[str, int]:
    """Bring one stack to what it should be; return how many objects had which of Pulumi's operations.

    Raises EngineError with what Pulumi said.
    """

    async def program() -> None:
        only = None if what.changed is None else set(what.changed)
        await declare(what.cluster, what.tenants, what.cluster_uid, what.origin, only=only, recorded=what.recorded)

    stack = _Run(root=what.root, stack=what.stack, patience=what.patience, progress=progress)
    targets = None if what.changed is None else urns(what.stack, what.project, what.changed)
    return stack.up(program, exists=what.exists, refresh=what.refresh, target=targets)


def set_up(what: SetUp, cluster_uid: str, progress: Callable[[str], None]) -> Mapping[str, int]:
    """Bring a cluster to what the chart says, and back where somebody changed it. Raises EngineError as `up` does."""

    async def program() -> None:
        await declare_chart(what.cluster, what.chart, cluster_uid)

    run = _Run(root=what.root, stack=what.cluster.setup_stack, patience=_SETUP_PATIENCE_SECONDS, progress=progress)
    return run.up(program, exists=False, refresh=True, target=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One `pulumi up` on one stack. ``patience`` is how many seconds it waits for an earlier run of ours to end."""

    root: Path
    stack: str
    patience: float
    progress: Callable[[str], None]

    def up(
        self, program: Callable[[], Awaitable[None]], *, exists: bool, refresh: bool, target: list[str] | None
    ) -> Mapping[str, int]:
        screen = Screen(self.progress)

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

        try:
            command = _Command(self.root, self.stack)
            workspace = auto.LocalWorkspace(
                work_dir=str(self.root), program=program, env_vars=environment.variables(), pulumi_command=command
            )
            stack = _Stack(self.stack, workspace)
            locks = Locks(root=self.root, stack=self.stack, patience=self.patience, progress=self.progress)
            if not exists:
                create(locks)
            locks.run(run)
        except FileNotFoundError as error:
            raise EngineError("pulumi is not on PATH; run `gpuprov toolchain install` or install Pulumi") from error
        except auto.CommandError as error:
            message = stacks.explained(screen.errors or str(error), self.stack)
            raise EngineError(f"{self.stack}: {message}") from error
        return screen.operations


class _Command(auto.PulumiCommand):
    """Runs `pulumi`, and keeps a note of each process for whoever finds its lock.

    The toolchain has made sure of the version, so it is not asked for again.
    """

    def __init__(self, root: Path, stack_name: str) -> None:
        self.command = "pulumi"
        self.version = VersionInfo.parse(version("pulumi"))
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
        """Run one command to its end. Raises auto.CommandError where it failed; its errors are then on stderr."""
        process = subprocess.Popen(
            [self.command, "--non-interactive", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            encoding="utf-8",
        )
        lines: list[str] = []
        with process, remembered(self._root, self._stack_name, process.pid):
            errors = ThreadPoolExecutor(max_workers=1).submit(_rest_of, process.stderr)
            for line in process.stdout or ():
                lines.append(line.rstrip())
                if on_output is not None:
                    on_output(lines[-1])
            process.wait()  # the note stays as long as the process may have the lock
        result = auto.CommandResult(stdout="\n".join(lines), stderr=errors.result(), code=process.returncode)
        if result.code:
            raise create_command_error(result)
        return result


def _rest_of(stream: IO[str] | None) -> str:
    return "" if stream is None else stream.read()


class _Stack(auto.Stack):
    """A stack that is known to exist, without the three questions that the Automation API asks about each run.

    Selecting the stack, printing its outputs and reading its history each load the whole state once more, and nobody
    reads the answers: every command names its stack, and the run itself has said what it did.
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
