"""Look for installed tools: on PATH with the pinned version, or complete in the cache."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gpuprov.toolchain.pins import EXEC_SCRIPT, PLUGIN, PULUMI, Tool, Unit, unit_of
from gpuprov.toolchain.settings import Settings

ASK_TIMEOUT = 10.0
"""Seconds that an executable has to print its version."""

MANIFEST = "installed.json"
LANGUAGE_HOST = "pulumi-language-python"

_answers: dict[tuple[Path, int, int, int], str] = {}
"""Versions by path, inode, size and modification time, cached for this process; failures are not cached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An installed tool. ``source`` says where it is: on PATH, or in the cache."""

    tool: str
    version: str
    path: Path
    source: Literal["path", "cache"]


def locate(name: str, settings: Settings) -> Found | None:
    """Return where a tool is, or None if it is missing; installs nothing. Raises KeyError for an unknown tool."""
    unit = unit_of(name)
    if name == LANGUAGE_HOST and (beside := _beside_pulumi(settings)) is not None:
        return beside
    if "path" in settings.sources and (path := on_path(unit, name, settings)) is not None:
        return Found(tool=name, version=unit.version, path=path, source="path")
    if "cache" in settings.sources and (path := cached(unit, name, settings)) is not None:
        return Found(tool=name, version=unit.version, path=path, source="cache")
    return None


def cached(unit: Unit, name: str, settings: Settings) -> Path | None:
    """Return the tool's executable if its unit is complete in the cache, else None.

    Nothing is executed: the folder was renamed into place after its tools had been checked, so its manifest and the
    files' sizes are enough.
    """
    home = settings.home(unit)
    try:
        manifest = json.loads((home / MANIFEST).read_bytes())
        intact = manifest["revision"] == unit.revision and all(
            (home / place).stat().st_size == size for place, size in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    path = home / unit.places[name]
    return path if intact and os.access(path, os.X_OK) else None


def on_path(unit: Unit, name: str, settings: Settings) -> Path | None:
    """Return the first executable on PATH that reports the pinned version, else None.

    The Kubernetes plugin cannot print its version; Pulumi keeps it in a folder named after the version, so that folder
    is checked instead. The language host is only used if it is beside a matching pulumi.
    """
    if unit is PLUGIN:
        return _pulumi_plugin(unit)
    tool = next(tool for tool in unit.tools if tool.name == name)
    if not tool.ask:
        return None
    return next((path for path in _candidates(name, settings) if version_of(tool, path) == unit.version), None)


def version_of(tool: Tool, path: Path) -> str | None:
    """Return the version that an executable prints; None if it does not print one within ASK_TIMEOUT seconds."""
    try:
        state = path.stat()
        key = (path, state.st_ino, state.st_size, state.st_mtime_ns)
        if key in _answers:
            return _answers[key]
        answer = subprocess.run(
            [path, *tool.ask],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_TIMEOUT,
            check=False,
            text=True,
            errors="replace",
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(tool.pattern, answer.stdout) if answer.returncode == 0 else None
    if match is None:
        return None
    return _answers.setdefault(key, match.group(1))


def _candidates(name: str, settings: Settings) -> list[Path]:
    """Return the executables of that name on PATH, without those in our own cache, which has its own check."""
    paths = (Path(folder) / name for folder in settings.search.split(os.pathsep) if folder)
    return [
        path.absolute()
        for path in paths
        if path.is_file() and os.access(path, os.X_OK) and not path.resolve().is_relative_to(settings.root.resolve())
    ]


def _pulumi_plugin(unit: Unit) -> Path | None:
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    path = home / "plugins" / f"resource-kubernetes-v{unit.version}" / unit.name
    # Pulumi leaves "<folder>.partial" beside a plugin that it has not finished installing.
    unfinished = path.parent.with_name(path.parent.name + ".partial").exists()
    return path if os.access(path, os.X_OK) and not unfinished else None


def _beside_pulumi(settings: Settings) -> Found | None:
    """Return the language host of Pulumi's release: the engine looks for it beside its own resolved executable."""
    pulumi = locate(PULUMI.name, settings)
    if pulumi is None:
        return None
    path = pulumi.path.resolve().with_name(LANGUAGE_HOST)
    complete = os.access(path, os.X_OK) and os.access(path.with_name(EXEC_SCRIPT), os.X_OK)
    return Found(tool=LANGUAGE_HOST, version=PULUMI.version, path=path, source=pulumi.source) if complete else None
