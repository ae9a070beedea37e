"""Runs Pulumi on one stack through the Automation API. The only module that knows it.

The settings are those that were measured to matter (docs/architecture.md): the state is saved once at the end and not
twice for each object. A run that is killed therefore leaves objects that the state does not know; names, field manager
and labels are fixed, so that the next run adopts them, and what nobody wants any more is swept by label.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi import automation as auto

from gpuprov.cluster import ProviderCluster
from gpuprov.component import TENANT_TYPE
from gpuprov.errors import EngineError
from gpuprov.program import CONTEXT_OUTPUT, TENANTS_OUTPUT, UID_OUTPUT, declare
from gpuprov.tenant import Tenant

PARALLEL = 64
TUNED = {
    "PULUMI_SKIP_CHECKPOINTS": "true",
    "PULUMI_PARALLEL_DIFF": "true",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
}
_OUTPUT_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOutputs:
    """What the stack said after its last run: which cluster it was and through which context, None before the first."""

    cluster_uid: str | None = None
    context: str | None = None
    tenants: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What one run did: objects by Pulumi's operation (create, update, delete, same), and the seconds that it took."""

    operations: Mapping[str, int]
    seconds: float


def read_outputs(root: Path, stack: str) -> StackOutputs:
    """Return the stack's outputs; empty ones for a stack that does not exist yet. Raises EngineError."""
    command = ["pulumi", "stack", "output", "--json", "--stack", stack, "--cwd", str(root), "--non-interactive"]
    try:
        done = subprocess.run(  # noqa: PLW1510 (the code is read below)
            command,
            capture_output=True,
            text=True,
            timeout=_OUTPUT_SECONDS,
            env=os.environ | TUNED,
        )
    except FileNotFoundError as error:
        raise EngineError("pulumi is not on PATH; run `gpuprov toolchain install` or install Pulumi") from error
    except subprocess.TimeoutExpired as error:
        message = f"{stack}: pulumi gave no outputs in {_OUTPUT_SECONDS} s; check that its backend can be reached"
        raise EngineError(message) from error
    if done.returncode:
        if "no stack named" in done.stderr:
            return StackOutputs()
        raise EngineError(f"{stack}: {done.stderr.strip()}")
    outputs = json.loads(done.stdout or "{}")
    return StackOutputs(
        cluster_uid=outputs.get(UID_OUTPUT),
        context=outputs.get(CONTEXT_OUTPUT),
        tenants=outputs.get(TENANTS_OUTPUT) or {},
    )


def urns(stack: str, project: str, award_ids: Collection[str], *, role: bool) -> list[str]:
    """Return patterns for what a run on these awards may touch: their components, all that is in them, and the role.

    An award id has neither ``:`` nor ``*``, so a pattern never reaches another award. A pattern may match nothing,
    where an exact URN that the state does not have is an error for a refresh.
    """
    prefix = f"urn:pulumi:{stack}::{project}::"
    tenants = [f"{prefix}{TENANT_TYPE}**::{award_id}" for award_id in sorted(award_ids)]
    return [f"{prefix}gpuprov:index:ClusterAccess**", *tenants] if role else tenants


def up(
    root: Path,
    project: str,
    cluster: ProviderCluster,
    tenants: Sequence[Tenant],
    cluster_uid: str,
    *,
    touch: Collection[str] | None,
    told: Mapping[str, Any] | None,
    refresh: bool,
    progress: Callable[[str], None],
) -> Applied:
    """Bring the stack to ``tenants``. Raises EngineError with what Pulumi said.

    ``touch`` names the awards that differ, the others' objects are neither declared nor looked at; None is all of
    them. ``told`` is what the stack's outputs then say of its tenants. ``refresh`` reads the touched objects from the
    cluster first, for what changed behind the state's back.
    """
    begun = time.monotonic()
    watch = _Watch(progress)
    try:
        stack = auto.create_or_select_stack(
            stack_name=cluster.provider,
            project_name=project,
            program=lambda: declare(cluster, tenants, cluster_uid, only=touch, told=told),
            opts=auto.LocalWorkspaceOptions(work_dir=str(root), env_vars=TUNED),
        )
        result = stack.up(
            parallel=PARALLEL,
            refresh=refresh,
            target=None if touch is None else urns(cluster.provider, project, touch, role=bool(tenants)),
            on_event=watch,
            color="never",
            suppress_outputs=True,
            suppress_progress=True,
        )
    except auto.ConcurrentUpdateError as error:
        raise EngineError(
            f"{cluster.provider}: another run holds the stack's lock; wait for it, or if it was killed, run "
            f"`pulumi cancel --stack {cluster.provider}` and give the command again"
        ) from error
    except auto.CommandError as error:
        raise EngineError(f"{cluster.provider}: {watch.errors or str(error).strip()}") from error
    operations = {str(getattr(op, "value", op)): n for op, n in (result.summary.resource_changes or {}).items()}
    return Applied(operations=operations, seconds=time.monotonic() - begun)


class _Watch:
    """Turns the engine's events into a line of progress now and then, and keeps its errors."""

    _EVERY_SECONDS = 2.0

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._done = 0
        self._last = time.monotonic()
        self._errors: list[str] = []

    @property
    def errors(self) -> str:
        """All errors that Pulumi reported, once each, without its prefixes."""
        return "\n".join(dict.fromkeys(self._errors))

    def __call__(self, event: auto.EngineEvent) -> None:
        if event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            text = event.diagnostic_event.message.strip()
            if text and text != "update failed":
                self._errors.append(text)
        if event.res_outputs_event is not None and event.res_outputs_event.metadata.op != "same":
            self._done += 1
            if time.monotonic() - self._last >= self._EVERY_SECONDS:
                self._last = time.monotonic()
                self._progress(f"{self._done} objects")
