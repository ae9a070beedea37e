"""Runs Pulumi on one stack through the Automation API.

The settings are those that were measured to matter (docs/performance.md): the state is saved once at the end and not
twice for each object. A run that is killed therefore leaves objects that the state does not know; names, field manager
and labels are fixed, so that the next run adopts them, and what nobody wants any more is swept by label.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pulumi import automation as auto
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from gpuprov import runs, state
from gpuprov.component import ACCESS_TYPE
from gpuprov.errors import EngineError
from gpuprov.manifests import TENANT_TYPE
from gpuprov.program import declare
from gpuprov.stackrun import StackRun

PARALLEL = 64
_LOCK_SECONDS = 0.5
TUNED = {
    "PULUMI_SKIP_CHECKPOINTS": "true",
    "PULUMI_PARALLEL_DIFF": "true",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What one run did: objects by Pulumi's operation (create, update, delete, same), and the seconds that it took."""

    operations: Mapping[str, int]
    seconds: float


def urns(stack: str, project: str, award_ids: Collection[str], *, access: bool) -> list[str]:
    """Return patterns for what a run on these awards may touch: their components, all that is in them, and the role.

    An award id has neither ``:`` nor ``*``, so a pattern never reaches another award. A pattern may match nothing,
    where an exact URN that the state does not have is an error for a refresh.
    """
    prefix = f"urn:pulumi:{stack}::{project}::"
    tenants = [f"{prefix}{TENANT_TYPE}**::{award_id}" for award_id in sorted(award_ids)]
    return [f"{prefix}{ACCESS_TYPE}**", *tenants] if access else tenants


def up(what: StackRun, progress: Callable[[str], None]) -> Applied:
    """Bring one stack to what it should be. Raises EngineError with what Pulumi said."""
    begun = time.monotonic()
    watch = _Watch(progress)

    async def program() -> None:
        only = None if what.touch is None else set(what.touch)
        await declare(what.cluster, what.tenants, what.cluster_uid, access=what.access, only=only, told=what.told)

    def run() -> None:
        stack.up(
            parallel=PARALLEL,
            refresh=what.refresh,
            target=None if what.touch is None else urns(what.stack, what.project, what.touch, access=what.access),
            on_event=watch,
            color="never",
            suppress_outputs=True,
            suppress_progress=True,
        )

    try:
        command = _Command(what.root, what.stack)
        workspace = auto.LocalWorkspace(
            work_dir=str(what.root), program=program, env_vars=TUNED, pulumi_command=command
        )
        stack = _Stack(what.stack, workspace)
        if not what.exists:
            workspace.create_stack(what.stack)
        _past_locks(run, what, begun + what.patience, progress)
    except FileNotFoundError as error:
        raise EngineError("pulumi is not on PATH; run `gpuprov toolchain install` or install Pulumi") from error
    except auto.CommandError as error:
        raise EngineError(f"{what.stack}: {watch.errors or str(error).strip()}") from error
    return Applied(operations=watch.operations, seconds=time.monotonic() - begun)


def _past_locks(run: Callable[[], None], what: StackRun, deadline: float, progress: Callable[[str], None]) -> None:
    """Run; where a killed run of ours left its lock, remove it first, and where one still ends, wait for it.

    A killed command does not take Pulumi with it: that ends by itself and saves its state. Raises EngineError where
    somebody else holds the lock.
    """
    while True:
        try:
            return run()
        except auto.ConcurrentUpdateError as error:
            holder = runs.holder(what.root, what.stack, str(error))
            if holder is runs.Holder.KILLED:
                progress(f"removing the lock that a killed run left on {what.stack}")
                state.cancel(what.root, what.stack)
            elif holder is runs.Holder.RUNNING and time.monotonic() < deadline:
                progress(f"waiting for an earlier run on {what.stack} to end")
                time.sleep(_LOCK_SECONDS)
            else:
                raise EngineError(
                    f"{what.stack}: another run holds the stack's lock; wait for it, or if it was killed, run "
                    f"`pulumi cancel --stack {what.stack}` and give the command again"
                ) from error


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
        """Run one command to its end; nobody watches its output. Raises auto.CommandError where it failed."""
        process = subprocess.Popen(
            [self.command, "--non-interactive", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            encoding="utf-8",
        )
        with process, runs.remembered(self._root, self._stack_name, process.pid):
            out, err = process.communicate()
        result = auto.CommandResult(stdout=out, stderr=err, code=process.returncode)
        if result.code:
            raise create_command_error(result)
        return result


class _Stack(auto.Stack):
    """A stack that is known to exist, without the three questions that the Automation API asks about each run.

    Selecting the stack, printing its outputs and reading its history each load the whole state once more, and nobody
    reads the answers: every command names its stack, and the events of the run have said what it did.
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


class _Watch:
    """Turns the engine's events into a line of progress now and then; keeps its errors and its summary."""

    _EVERY_SECONDS = 2.0

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._done = 0
        self._last = time.monotonic()
        self._errors: list[str] = []
        self.operations: dict[str, int] = {}

    @property
    def errors(self) -> str:
        """All errors that Pulumi reported, once each, without its prefixes."""
        return "\n".join(dict.fromkeys(self._errors))

    def __call__(self, event: auto.EngineEvent) -> None:
        if event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            text = event.diagnostic_event.message.strip()
            if text and text != "update failed":
                self._errors.append(text)
        if event.summary_event is not None:
            changes = event.summary_event.resource_changes or {}
            self.operations = {str(getattr(op, "value", op)): number for op, number in changes.items()}
        if event.res_outputs_event is not None and event.res_outputs_event.metadata.op != "same":
            self._done += 1
            if time.monotonic() - self._last >= self._EVERY_SECONDS:
                self._last = time.monotonic()
                self._progress(f"{self._done} objects")
