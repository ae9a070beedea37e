"""What tests that run commands share: a project, copied out of the repository, and what a command said."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).parents[1]


_LOGGED = re.compile(r'\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d [A-Z]+ |\{"time"')


@dataclass(frozen=True)
class Ran:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def told(self) -> list[str]:
        """What standard error tells people: its lines without those of the log."""
        return [line for line in self.err.splitlines() if not _LOGGED.match(line)]

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of the log, where it is written as JSON."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith('{"time"')]


def run_command(
    command: Sequence[str], root: Path, environment: Mapping[str, str], stdin: int = subprocess.DEVNULL
) -> Ran:
    """Run a command in a folder, without a terminal unless ``stdin`` is one, and in this environment alone."""
    done = subprocess.run(
        command,
        cwd=root,
        env=environment,
        stdin=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def signalled(process: subprocess.Popen[Any], number: int) -> bool:
    """Send a signal to a command in a session of its own and to all of its processes; False where it had ended."""
    with suppress(ProcessLookupError):  # another thread has waited for it since it was asked
        if process.poll() is None:
            os.killpg(process.pid, number)
            return True
    return False


def killed(process: subprocess.Popen[Any]) -> bool:
    """Kill a command and all that it has started, as a power cut does; tell whether it had not ended by itself."""
    with suppress(psutil.NoSuchProcess):
        command = psutil.Process(process.pid)
        for victim in [command, *command.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
    return process.wait() == -signal.SIGKILL


def said_besides(text: str) -> str:
    """Return what a command said besides which instant it decides for, where that is not now."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("deciding for "))


def timed(command: Sequence[str], at: str) -> list[str]:
    """Return the command as it is given when GPUPROV_AT says ``at``: one that writes an event names its instant."""
    named = any(part == "--at" or part.startswith("--at=") for part in command)
    return [*command] if named or command[0] not in ("forfeit", "reduce") else [*command, "--at", at]


OTHERS_LOCK = "lee@night-shift (process 4711, since 2026-03-01T09:00:00+09:00)"
"""The lock of `others_lock`, in words."""


def others_lock(stack: str) -> tuple[str, str]:
    """Return the path within the state, and the content, of a stack's lock by a process that nobody here knows."""
    taken = {"pid": 4711, "username": "lee", "hostname": "night-shift", "timestamp": "2026-03-01T09:00:00+09:00"}
    return f".pulumi/locks/organization/gpuprov/{stack}/0f0a0000-0000-0000-0000-000000000000.json", json.dumps(taken)


def lock_elsewhere(state: Path, stack: str) -> Path:
    """Lock a stack in a folder of state, as Pulumi on another machine does."""
    path, content = others_lock(stack)
    lock = state / path
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(content, encoding="utf-8")
    return lock


def copy_project(root: Path) -> Path:
    """Copy what makes a project out of the repository."""
    root.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "Pulumi.yaml", root)
    for folder in ("stacks", "examples", "charts", "policies"):
        ignored = shutil.ignore_patterns("*.jsonl*", "__pycache__", ".venv")
        shutil.copytree(REPOSITORY / folder, root / folder, ignore=ignored)
    return root
