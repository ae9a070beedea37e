"""The environment in which gpuprov runs Pulumi: the caller's, tuned, and without Pulumi's own logs.

Pulumi writes every property of every resource, several times, to an encrypted log in its home directory. As measured,
that takes more time than the rest of its engine together (docs/performance.md), and no setting turns it off. But where
the folder ``logs`` cannot be created, Pulumi goes on without it. So Pulumi gets a home directory with links to
everything in the real one, and with a plain file named ``logs``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from platformdirs import user_state_path

LOGS_VARIABLE = "GPUPROV_PULUMI_LOGS"
"""Environment variable: if set, Pulumi writes its own logs, for debugging Pulumi."""

_TUNED = {
    "PULUMI_SKIP_CHECKPOINTS": "true",
    "PULUMI_PARALLEL_DIFF": "true",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
}
_GARBAGE = {"GOGC": "200"}
"""Go's garbage collector scans the whole state again and again while it grows; half as often costs memory instead."""
_GARBAGE_OF_READING = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""A process that reads one state and ends needs no garbage collection, unless the state is huge."""

_KEPT = ("plugins", "workspaces")
"""Folders that Pulumi creates in its home when it needs them: created in the real home, so that they are shared."""


def variables(*, reading: bool = False) -> dict[str, str]:
    """Return the variables to set for a Pulumi process; a garbage collector setting of the caller's wins.

    ``reading`` is for commands that only work on the state, that is, not for `up`.
    """
    garbage = _GARBAGE_OF_READING if reading else _GARBAGE
    changed = {**_TUNED, **{name: value for name, value in garbage.items() if name not in os.environ}}
    if not os.environ.get(LOGS_VARIABLE):
        changed["PULUMI_HOME"] = str(_home_without_logs(os.environ))
    return changed


def _home_without_logs(variables: Mapping[str, str]) -> Path:
    """Return a home directory like the real one except for its logs. Several processes may call this at once."""
    real = Path(variables.get("PULUMI_HOME") or Path.home() / ".pulumi").resolve()
    home = user_state_path("gpuprov") / "pulumi" / sha256(str(real).encode()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    for name in _KEPT:
        (real / name).mkdir(parents=True, exist_ok=True)
    for entry in real.iterdir():
        link = home / entry.name
        if entry.name != "logs" and not link.is_symlink():
            with suppress(FileExistsError):
                link.symlink_to(entry)
    (home / "logs").touch()
    return home
