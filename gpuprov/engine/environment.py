"""The environment in which gpuprov runs Pulumi: the caller's, tuned, and without Pulumi's log of everything.

Pulumi writes every property of every resource, several times, into an encrypted log below its home: as measured, that
takes more time than all the rest of its engine (docs/performance.md). There is no switch for it. But where its folder
``logs`` cannot be made, Pulumi goes on without; so it is given a home that has links to all that is in the real one,
and a file in the place of that folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from platformdirs import user_state_path

LOGS_VARIABLE = "GPUPROV_PULUMI_LOGS"
"""Environment variable: where it is set, Pulumi keeps its own logs, for looking into a fault of Pulumi's."""

_TUNED = {
    "PULUMI_SKIP_CHECKPOINTS": "true",
    "PULUMI_PARALLEL_DIFF": "true",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
}
_GARBAGE = {"GOGC": "200"}
"""Go's collector looks through the whole state again and again while it grows; half as often costs memory instead."""
_GARBAGE_OF_READING = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""A process that reads one state and ends needs no collector, unless the state is huge."""

_KEPT = ("plugins", "workspaces")
"""Folders of Pulumi's home that it makes when it needs them: made in the real one, so that nothing is kept apart."""


def variables(*, reading: bool = False) -> dict[str, str]:
    """Return the variables to set for a Pulumi process. What the caller has set already wins.

    ``reading`` is for a command that works on a state alone, and no `up`.
    """
    garbage = _GARBAGE_OF_READING if reading else _GARBAGE
    changed = {**_TUNED, **{name: value for name, value in garbage.items() if name not in os.environ}}
    if not os.environ.get(LOGS_VARIABLE):
        changed["PULUMI_HOME"] = str(_home_without_logs(os.environ))
    return changed


def _home_without_logs(variables: Mapping[str, str]) -> Path:
    """Return a home like the real one but for its logs. Safe to call in several processes at once."""
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
