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
    """Make an empty stack, where there is none; the one that the user has selected stays. Raises EngineError."""
    try:
        _pulumi(root, stack, "stack", "init", "--no-select")
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


def explained(text: str, stack: str) -> str:
    """Return what Pulumi said about a stack, with what to do where that does not follow from it."""
    remedies = [remedy.format(stack=stack) for sign, remedy in _REMEDIES.items() if sign in text]
    return "; ".join([text.strip(), *remedies])


_REMEDIES = {
    "incorrect passphrase": (
        "the stack was made with another passphrase, which `encryptionsalt` in Pulumi.{stack}.yaml belongs to: set "
        "PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to that one, or in a new project, whose stack was "
        "never applied, remove that line"
    ),
    "PULUMI_ACCESS_TOKEN must be set": (
        "no backend is chosen that keeps the state: set PULUMI_BACKEND_URL, as file:///srv/pulumi or s3://bucket, or "
        "give `pulumi login`"
    ),
}
"""What to do, by what Pulumi says where it asks for the wrong thing or for nothing."""


class _NoSuchStack(EngineError):
    pass


def _pulumi(root: Path, stack: str, *command: str, given: str | None = None) -> str:
    options = ["--stack", stack, "--cwd", str(root), "--non-interactive"]
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
        raise EngineError(
            f"{stack}: pulumi {command[0]} did not end in {_SECONDS} s; check that its backend can be reached"
        ) from error
    if done.returncode:
        if "no stack named" in done.stderr:
            raise _NoSuchStack(f"{stack}: there is no such stack")
        raise EngineError(f"{stack}: {explained(done.stderr, stack)}")
    return done.stdout
