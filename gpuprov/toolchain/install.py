"""Provide tools: find them, else download or build them, and install them atomically."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from gpuprov.errors import ToolchainError
from gpuprov.toolchain.archive import extract
from gpuprov.toolchain.events import Event, Kind, Progress, SourceFailed, silent
from gpuprov.toolchain.gobuild import build
from gpuprov.toolchain.installed import Installed
from gpuprov.toolchain.lookup import MANIFEST, Found, cached, locate, version_of
from gpuprov.toolchain.outlook import Place, outlook
from gpuprov.toolchain.pins import CLI_TOOLS, KNOWN_NAMES, ON_REQUEST, TOOL_NAMES, UNITS, Download, Unit
from gpuprov.toolchain.settings import SOURCES_VARIABLE, Settings

if TYPE_CHECKING:
    from gpuprov.toolchain.download import Downloader

SCRATCH = "unfinished-"
"""Prefix of scratch folders. The holder of the unit's lock may delete them: their processes have ended."""


def ensure(
    names: Iterable[str] | None = None, progress: Progress = silent, settings: Settings | None = None
) -> Installed:
    """Make sure that the named tools (None: all that gpuprov starts) are installed, and return where they are.

    Looks on PATH and in the cache, then downloads, then builds, as GPUPROV_TOOLCHAIN_SOURCES allows. Several
    processes may call it at once: they wait for each other, unit by unit. Raises ToolchainError if a tool cannot be
    provided, with the reason of every source that was tried, or if its name is unknown.
    """
    settings = settings or Settings.load()
    wanted = list(TOOL_NAMES if names is None else dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in KNOWN_NAMES]:
        raise ToolchainError(f"no such tool: {', '.join(unknown)}; choose from {', '.join(TOOL_NAMES)}")
    located_tools = {name: tool for name in wanted if (tool := locate(name, settings)) is not None}
    if len(located_tools) < len(wanted):
        _provide(wanted, located_tools, progress, settings)
    return Installed(located_tools[name] for name in wanted)


def _provide(wanted: Collection[str], located_tools: dict[str, Found], progress: Progress, settings: Settings) -> None:
    """Install the units of the wanted tools that are not located, and add these tools. Raises ToolchainError."""
    from gpuprov.toolchain.download import Downloader  # loads an HTTP client, which commands that find all do not need

    missing = [
        unit
        for unit in (*UNITS, *ON_REQUEST)
        if any(name in unit.places and name not in located_tools for name in wanted)
    ]
    downloader = Downloader(settings.mirror)
    if len(missing) > 1:
        progress(Event(kind="start", unit=missing[0].name, text=outlook(missing, building="build" in settings.sources)))
    for number, unit in enumerate(missing, start=1):
        tools = [name for name in unit.places if name in wanted and name not in located_tools]
        # Pulumi's release contains the language host, so an earlier unit may already have provided it.
        provided = {name: tool for name in tools if (tool := locate(name, settings)) is not None}
        if len(provided) < len(tools):
            later = sum(unit.recipe.minutes for unit in missing[number:])
            place = Place(number=number, of=len(missing), minutes_later=later)
            _Installation(unit, settings, downloader, progress, place).run()
            provided = {name: _installed(unit, name, settings) for name in tools}
        located_tools.update(provided)


def find(name: str, settings: Settings | None = None) -> Path | None:
    """Return a tool's executable from PATH or the cache, or None; installs nothing.

    Raises ToolchainError for an unknown name.
    """
    if name not in KNOWN_NAMES:
        raise ToolchainError(f"no such tool: {name}; choose from {', '.join(TOOL_NAMES)}")
    tool = locate(name, settings or Settings.load())
    return tool.path if tool else None


def require(names: Iterable[str] = CLI_TOOLS) -> Installed:
    """Return where the tools are, from PATH or the cache; installs nothing, since that can take many minutes.

    Raises ToolchainError with the tools that are missing.
    """
    settings = Settings.load()
    located = {name: locate(name, settings) for name in names}
    if missing := [name for name, tool in located.items() if tool is None]:
        raise ToolchainError(f"{', '.join(missing)} missing; run `gpuprov toolchain install`")
    return Installed(tool for tool in located.values() if tool is not None)


def _installed(unit: Unit, name: str, settings: Settings) -> Found:
    path = cached(unit, name, settings)
    if path is None:
        raise ToolchainError(
            f"{unit.name} vanished from {settings.home(unit)} right after it was installed; rerun the command"
        )
    return Found(tool=name, version=unit.version, path=path, source="cache")


class _Installation:
    """The installation of one unit into the cache."""

    def __init__(
        self, unit: Unit, settings: Settings, downloader: Downloader, progress: Progress, place: Place
    ) -> None:
        self._unit = unit
        self._settings = settings
        self._downloader = downloader
        self._progress = progress
        self._place = place
        self._folder = settings.unit_folder(unit)
        self._label = f"{unit.name} {unit.version}"

    def run(self) -> None:
        """Install the unit, unless another process just did. Raises ToolchainError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._lock():
                if "cache" in self._settings.sources and self._complete():
                    return
                self._install()
        except OSError as error:
            raise ToolchainError(
                f"{self._label} cannot be put in {self._folder}: {error}; correct that, or name another folder with "
                "XDG_CACHE_HOME"
            ) from error

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        lock = filelock.FileLock(self._folder / "lock")
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            self._tell("note", f"{self._label}: another process is installing it; waiting")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _complete(self) -> bool:
        return all(cached(self._unit, name, self._settings) is not None for name in self._unit.places)

    def _install(self) -> None:
        for leftover in self._folder.glob(f"{SCRATCH}*"):
            shutil.rmtree(leftover)
        started = time.monotonic()
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self._folder))
        try:
            out = scratch / "out"
            out.mkdir()
            source = self._obtain(scratch, out)
            size = _seal(self._unit, out, source)
            _put_in_place(out, self._settings.home(self._unit), scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(self._folder / "partial", ignore_errors=True)
        seconds = time.monotonic() - started
        verb = {"download": "downloaded", "build": "built"}[source]
        self._tell("done", f"{verb} {self._label} in {seconds:.0f} s, {size / 1e6:.0f} MB", seconds)

    def _obtain(self, scratch: Path, out: Path) -> str:
        """Fill ``out`` from the first source that works, and return its name."""
        reasons = [_looked(self._settings)]
        for source, obtain in (("download", self._download), ("build", self._build)):
            if source not in self._settings.sources:
                reasons.append(f"{source}: not among {SOURCES_VARIABLE}")
                continue
            try:
                obtain(scratch, out)
                _check(self._unit, out)
            except SourceFailed as error:
                reasons.append(f"{source}: {error}")
                if source == "download" and "build" in self._settings.sources:
                    self._tell("note", f"{self._label}: no download: {error}")
                shutil.rmtree(out)
                out.mkdir()
            else:
                return source
        raise ToolchainError(f"{self._label} cannot be had:\n" + "\n".join(f"- {reason}" for reason in reasons))

    def _download(self, scratch: Path, out: Path) -> None:
        if not self._unit.downloads:
            raise SourceFailed("it is not published as a separate file")
        for download in self._unit.downloads:
            self._fetch(download, out)

    def _fetch(self, download: Download, out: Path) -> None:
        platform = self._settings.platform
        if self._settings.system not in download.systems:
            raise SourceFailed(f"the vendor publishes none for {platform}")
        arch = download.arch_names.get(self._settings.arch, self._settings.arch)

        def fill(template: str) -> str:
            return template.format(version=self._unit.version, os=self._settings.system, arch=arch)

        url = fill(download.url)
        digest = download.sha256.get(platform) or self._downloader.published_digest(
            fill(download.sums), url.rpartition("/")[2]
        )
        self._tell("start", f"downloading {url} ({self._place})")
        beat = partial(self._beat, "downloading", "")
        file = self._downloader.fetch(url, digest, self._folder / "partial", beat)
        if download.members:
            extract(file, {fill(name): place for name, place in download.members.items()}, out)
            return
        target = out / download.place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        target.chmod(0o755)

    def _build(self, scratch: Path, out: Path) -> None:
        minutes = self._unit.recipe.minutes
        duration = f"about {minutes:.0f} min" if minutes >= 1 else f"about {minutes * 60:.0f} s"
        self._tell("start", f"building {self._label} from Go modules ({duration} on 2 cores; {self._place})")

        def beat(seconds: float, line: str) -> None:
            self._beat("building", self._place.left(minutes, seconds), seconds, line)

        build(self._unit, scratch / "source", out, beat)

    def _beat(self, verb: str, left: str, seconds: float, line: str) -> None:
        self._tell("beat", f"{verb} {self._label}: {seconds:.0f} s{left}{f'; {line}' if line else ''}", seconds)

    def _tell(self, kind: Kind, text: str, seconds: float = 0.0) -> None:
        self._progress(Event(kind=kind, unit=self._unit.name, text=text, seconds=seconds))


def _looked(settings: Settings) -> str:
    searched = [source for source in ("path", "cache") if source in settings.sources]
    return f"{' and '.join(searched)}: no executable of this version" if searched else "path and cache: not looked in"


def _check(unit: Unit, out: Path) -> None:
    """Run every tool that can print its version: one that does not start, or has another version, is refused."""
    for tool in unit.tools:
        path = out / unit.places[tool.name]
        if not path.is_file():
            raise SourceFailed(f"{unit.places[tool.name]} was not created")
        if tool.ask and (version := version_of(tool, path)) != unit.version:
            raise SourceFailed(f"{tool.name} reports version {version or 'nothing'}, expected {unit.version}")


def _seal(unit: Unit, out: Path, source: str) -> int:
    """Write the manifest and sync everything to disk; return the size in bytes.

    Everything is on disk before the rename: after a power failure there is a complete folder or none.
    """
    files = {path.relative_to(out).as_posix(): path for path in sorted(out.rglob("*")) if path.is_file()}
    sizes = {place: path.stat().st_size for place, path in files.items()}
    manifest = {
        "unit": unit.name,
        "version": unit.version,
        "revision": unit.revision,
        "source": source,
        "files": sizes,
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for path in (out, *out.rglob("*")):
        _sync(path)
    return sum(sizes.values())


def _put_in_place(out: Path, home: Path, scratch: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    if home.exists():
        # It is damaged, built with an older recipe, or the cache is not an allowed source. A folder cannot be replaced
        # in one rename; a process that looks in between finds nothing, and waits for the lock.
        home.rename(scratch / "old")
    out.rename(home)
    _sync(home.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
