"""Reads and mends Pulumi's state through Pulumi's own command line, whatever backend keeps it.

Needs no Pulumi SDK, so a command that finds nothing to do never loads one.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpuprov import quiet
from gpuprov.errors import EngineError

PULUMI = "pulumi"
_SECONDS = 120


def read_outputs(root: Path, stack: str) -> dict[str, Any] | None:
    """Return the stack's outputs; None for a stack that does not exist yet. Raises EngineError."""
    try:
        outputs: dict[str, Any] = json.loads(_pulumi(root, stack, "stack", "output", "--json") or "{}")
    except _NoSuchStack:
        return None
    return outputs


def cancel(root: Path, stack: str) -> None:
    """Delete the locks on a stack, which a killed run left. Raises EngineError."""
    _pulumi(root, stack, "cancel", "--yes")


def create(root: Path, stack: str) -> None:
    """Make an empty stack, where there is none. Raises EngineError."""
    try:
        _pulumi(root, "", "stack", "init", stack, "--no-select")
    except EngineError as error:
        if "already exists" not in str(error):
            raise


def remove(root: Path, stack: str) -> None:
    """Remove a stack whose state holds no object any more, and its configuration file. Raises EngineError."""
    _pulumi(root, stack, "stack", "rm", "--yes")


def read_deployment(root: Path, stack: str) -> dict[str, Any] | None:
    """Return the stack's whole state as `pulumi stack export` gives it; None without a stack. Raises EngineError."""
    try:
        deployment: dict[str, Any] = json.loads(_pulumi(root, stack, "stack", "export"))
    except _NoSuchStack:
        return None
    return deployment


def write_deployment(root: Path, stack: str, deployment: Mapping[str, Any]) -> None:
    """Replace the stack's whole state. Raises EngineError."""
    _pulumi(root, stack, "stack", "import", given=json.dumps(deployment, ensure_ascii=False))


class _NoSuchStack(EngineError):
    pass


def _pulumi(root: Path, stack: str, *command: str, given: str | None = None) -> str:
    options = [*(["--stack", stack] if stack else []), "--cwd", str(root), "--non-interactive"]
    try:
        done = subprocess.run(  # noqa: PLW1510 (the code is read below)
            [PULUMI, *command, *options],
            input=given,
            stdin=None if given is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_SECONDS,
            env=os.environ | quiet.environment(reading=True),
        )
    except FileNotFoundError as error:
        raise EngineError("pulumi is not on PATH; run `gpuprov toolchain install` or install Pulumi") from error
    except subprocess.TimeoutExpired as error:
        said = f"pulumi {command[0]} did not end in {_SECONDS} s; check that its backend can be reached"
        raise EngineError(f"{stack}: {said}" if stack else said) from error
    if done.returncode:
        if "no stack named" in done.stderr:
            raise _NoSuchStack(f"{stack}: there is no such stack")
        raise EngineError(f"{stack}: {done.stderr.strip()}" if stack else done.stderr.strip())
    return done.stdout
