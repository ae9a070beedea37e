"""Where the toolchain searches and installs: environment, platform and cache folder."""

from __future__ import annotations

import os
import platform as host
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from gpuprov.errors import ToolchainError
from gpuprov.toolchain.pins import Unit

SOURCES_VARIABLE = "GPUPROV_TOOLCHAIN_SOURCES"
MIRROR_VARIABLE = "GPUPROV_TOOLCHAIN_MIRROR"
SOURCES = ("path", "cache", "download", "build")
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one command. ``system`` and ``arch`` are Go's names; ``search`` is the PATH to search."""

    root: Path
    system: str
    arch: str
    sources: tuple[str, ...] = SOURCES
    mirror: str = ""
    search: str = ""

    @property
    def platform(self) -> str:
        """The platform's name in the cache, such as "linux-amd64"."""
        return f"{self.system}-{self.arch}"

    def unit_folder(self, unit: Unit) -> Path:
        """Return the folder of the unit's lock, its versions and its unfinished downloads and builds."""
        return self.root / unit.name

    def home(self, unit: Unit) -> Path:
        """Return the folder of the unit's pinned version; it exists only once it is complete."""
        return self.unit_folder(unit) / unit.version / self.platform

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment. Raises ToolchainError for an unknown source or an unsupported platform."""
        environ = os.environ if environ is None else environ
        system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
        arch = _ARCHITECTURES.get(host.machine().lower())
        if system is None or arch is None:
            raise ToolchainError(
                f"no toolchain for {sys.platform} on {host.machine()}: use Linux or macOS on amd64 or arm64"
            )
        return cls(
            root=platformdirs.user_cache_path("gpuprov") / "toolchain",
            system=system,
            arch=arch,
            sources=_sources(environ.get(SOURCES_VARIABLE, "")),
            mirror=environ.get(MIRROR_VARIABLE, "").strip().rstrip("/"),
            search=environ.get("PATH", os.defpath),
        )


def _sources(text: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [part for part in chosen if part not in SOURCES]
    if unknown:
        raise ToolchainError(f"{SOURCES_VARIABLE}: {', '.join(unknown)} unknown; choose from {','.join(SOURCES)}")
    # Always tried in the documented order, whatever the order in the variable.
    return tuple(source for source in SOURCES if source in chosen) or SOURCES
