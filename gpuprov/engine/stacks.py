"""Reads Pulumi's state through Pulumi's command line, so that any backend works; `writes` writes it.

Needs no Pulumi SDK, so a command that finds nothing to do never loads it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpuprov.engine import environment
from gpuprov.errors import EngineError

PULUMI = "pulumi"
_SECONDS = 120


def read_outputs(root: Path, stack: str) -> dict[str, Any] | None:
    """Return the stack's outputs; None if the stack does not exist. Raises EngineError."""
    try:
        outputs: dict[str, Any] = json.loads(_read(root, stack, "stack", "output", "--json") or "{}")
    except NoSuchStack:
        return None
    return outputs


def cancel(root: Path, stack: str) -> None:
    """Delete the stale locks that a killed run left on a stack. Raises EngineError."""
    _read(root, stack, "cancel", "--yes")  # takes no lock


def read_deployment(root: Path, stack: str) -> dict[str, Any] | None:
    """Return the stack's state as `pulumi stack export` prints it; None if there is no stack. Raises EngineError."""
    try:
        deployment: dict[str, Any] = json.loads(_read(root, stack, "stack", "export"))
    except NoSuchStack:
        return None
    return deployment


def whoami(root: Path) -> str:
    """Return what Pulumi says of its backend, as JSON. Raises EngineError."""
    command = ["whoami", "--json"]
    with launch([*command, "--cwd", str(root), "--non-interactive"], environment.variables(reading=True)) as process:
        return answer(process, "pulumi", command, None)


def explained(text: str, stack: str) -> str:
    """Return Pulumi's error message about a stack, with a remedy where the message does not suggest one.

    Pulumi names a database that it cannot open with the password in its address: that is left out.
    """
    remedies = [remedy.format(stack=stack) for sign, remedy in _REMEDIES.items() if sign in text]
    if _DAMAGED.search(text):
        remedies.append(
            f"the state of {stack} is damaged: run `gpuprov recover`, which sets it aside and rebuilds it from the "
            "cluster"
        )
    text = without_password(text)
    lines = [line.removeprefix("error: ") for line in text.strip().splitlines() if not line.startswith(_SAYS_NOTHING)]
    return "; ".join(["\n".join(lines), *remedies])


def without_password(text: str) -> str:
    """Return a text without user and password in the address of a backend."""
    return _IN_ADDRESS.sub("****", text)


def how_ended(code: int, output: str, errors: str) -> str:
    """Return what is to be said of a process of Pulumi that failed without a diagnostic of its own."""
    if code < 0:
        return (
            f"Pulumi was ended by signal {-code}; unless somebody did that, this machine has too little memory: rerun "
            "the same command, and see `dmesg` if it happens again"
        )
    said = errors.strip() or output.strip()
    if panic := _PANIC.search(said):
        return f"Pulumi crashed, which is a bug of Pulumi's ({panic[1]}); rerun the same command"
    return "\n".join(said.splitlines()[-_LAST_LINES:]) or f"Pulumi ended with code {code} and said nothing"


_PANIC = re.compile(r"^panic: (.+)$", re.MULTILINE)
"""How a program in Go begins to tell of its own bug; the stack of every goroutine follows."""

_LAST_LINES = 20
"""How many lines of a long output are passed on: the reason is at its end."""

_SAYS_NOTHING = ("Logging in using access token", "warning: A new version of Pulumi is available")
"""Lines of Pulumi's that nobody looks for in an error."""


_IN_ADDRESS = re.compile(
    r"(?<=://)[^\s/\"?#]*:[^\s\"?#]*(?=@)"  # user and password; the password may have a slash
    r"|(?<=[?&]password=)[^&\s\"]*"
)

_UNREACHED = (
    "the backend of the state (PULUMI_BACKEND_URL) cannot be read: check its address, the network and your credentials "
    "for it, then rerun the same command"
)
_REMEDIES = {
    "incorrect passphrase": (
        "the stack was created with another passphrase, which `encryptionsalt` in Pulumi.{stack}.yaml belongs to: set "
        "PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to it, or in a new project, whose stack was never "
        "applied, remove that line"
    ),
    "PULUMI_ACCESS_TOKEN must be set": (
        "no backend that Pulumi knows is configured for the state: set PULUMI_BACKEND_URL, for example to "
        "file:///srv/pulumi or s3://bucket, or run `pulumi login`"
    ),
    "unable to open state directory": (
        "PULUMI_BACKEND_URL names the folder: correct it, or bring the folder back; make an empty one only for a "
        "project that was never applied"
    ),
    'read ".pulumi/meta.yaml"': _UNREACHED,
    "unable to open state database": _UNREACHED,
    "performing HTTP request": _UNREACHED,
    "failed to load checkpoint: blob ": _UNREACHED,
}
"""Remedies by a part of Pulumi's message, for messages that suggest a wrong one or none."""


class StackLocked(EngineError):
    """Pulumi did not start because the stack is locked; the message is Pulumi's own and names the locks.

    It names none where a lock was cut off while it was written, as on a full disk: Pulumi fails to read that. ``files``
    are such locks of a stack that does not exist, of which Pulumi's own commands do not tell.
    """

    def __init__(self, message: str, files: tuple[Path, ...] = ()) -> None:
        super().__init__(message)
        self.files = files


def says_locked(errors: str) -> bool:
    """Tell whether Pulumi says that the stack is locked, or fails to read one of its locks."""
    return "the stack is currently locked by" in errors or _CUT_OFF.search(errors) is not None


_CUT_OFF = re.compile(
    r"^error: (?:could not (?:import deployment|create stack): )?unexpected end of JSON input$", re.MULTILINE
)


class NoSuchStack(EngineError):
    """The backend has no stack of that name."""


class StateDamaged(EngineError):
    """The backend has the stack's state, and Pulumi cannot read it. ``reason`` is what Pulumi says."""

    def __init__(self, stack: str, errors: str) -> None:
        message = explained(errors, stack)
        self.reason = message.partition("; ")[0]
        super().__init__(f"{stack}: {message}")


_DAMAGED = re.compile(r"failed to load checkpoint: (?!blob )")
"""Pulumi has the bytes and cannot read them. Where it has none, the bucket's own message follows."""


def _read(root: Path, stack: str, *command: str) -> str:
    with start(root, stack, command, None) as process:
        return answer(process, stack, command, None)


def start(root: Path, stack: str, command: Sequence[str], given: str | None) -> subprocess.Popen[str]:
    """Start Pulumi on a stack; `answer` passes ``given`` to its standard input. Raises EngineError."""
    return launch(
        [*command, "--stack", stack, "--cwd", str(root), "--non-interactive"],
        environment.variables(reading=True),
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
    )


def launch(
    arguments: Sequence[str],
    variables: Mapping[str, str],
    *,
    cwd: str | None = None,
    stdin: int = subprocess.DEVNULL,
    aside: bool = False,
) -> subprocess.Popen[str]:
    """Start Pulumi with these environment variables besides our own. Raises EngineError if it is not on PATH.

    ``aside`` is for one that a terminal's Ctrl-C must not reach, because somebody interrupts it (`keeper`).
    """
    try:
        return subprocess.Popen(
            [PULUMI, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **variables},
            encoding="utf-8",
            process_group=0 if aside else None,
        )
    except FileNotFoundError as error:
        raise EngineError("pulumi is not on PATH; run `gpuprov toolchain install` or install Pulumi") from error


def answer(process: subprocess.Popen[str], stack: str, command: Sequence[str], given: str | None) -> str:
    """Wait for the process that `start` started, and return its output. Raises StackLocked and other EngineErrors."""
    try:
        output, errors = process.communicate(given, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise EngineError(
            f"{stack}: pulumi {command[0]} did not end in {_SECONDS} s; check that its backend can be reached"
        ) from error
    if process.returncode:
        if "no stack named" in errors:
            raise NoSuchStack(f"{stack}: there is no such stack")
        if says_locked(errors):
            raise StackLocked(errors)
        if _DAMAGED.search(errors):
            raise StateDamaged(stack, errors)
        raise EngineError(f"{stack}: {explained(errors, stack)}")
    return output
