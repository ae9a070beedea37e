"""Build a unit from Go modules, with a recipe whose go.mod and go.sum pin every module.

The go.sum files verify the sources: builds run with ``-mod=readonly``, and the operator's GOPROXY, GOSUMDB and
GONOSUMDB are left as they are.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from gpuprov.toolchain.events import SourceFailed
from gpuprov.toolchain.pins import (
    ANALYZER,
    EXEC_SCRIPT,
    GO_VERSION,
    LANGUAGE,
    PLUGIN,
    PROVIDER_MODULE,
    PULUMI,
    SDK_MODULE,
    Recipe,
    Unit,
)

TAIL_LINES = 12
"""How many lines of go's output an error shows."""

STOP_GRACE = 5.0
"""Seconds between interrupting an abandoned build and killing it."""

BEAT_SECONDS = 1.0

Beat = Callable[[float, str], None]
"""Called about once a second with the elapsed seconds and the last line that go printed."""

_NETWORK = re.compile(
    r"dial (tcp|udp)|no such host|lookup .* on |connection refused|i/o timeout|TLS handshake timeout"
    r"|network is unreachable|proxyconnect|Client\.Timeout|server misbehaving|GOPROXY=off|unexpected EOF",
)

_PACKAGE = re.compile(r"[\w./~-]+")
"""A line of `go build -v`: the package that it compiles. It shows progress, and explains no error."""


def build(unit: Unit, workspace: Path, out: Path, beat: Beat) -> None:
    """Build ``unit`` into ``out`` (its ``places``), using ``workspace`` for the recipe. Raises SourceFailed."""
    go = shutil.which("go")
    if go is None:
        raise SourceFailed(
            f"Go is not installed: install Go {GO_VERSION} or newer (https://go.dev/dl/) and rerun the command, "
            f"or put {', '.join(unit.places)} {unit.version} on PATH"
        )
    source = copy_recipe(unit.recipe, workspace)
    if unit is PLUGIN:
        _embed(module_folder(go, source, PROVIDER_MODULE, beat), source, unit.version)
    target = out / Path(next(iter(unit.places.values()))).parent
    target.mkdir(parents=True)
    # `go build -o` takes a folder for several packages, and a file name for a single one.
    destination = f"{target}{os.sep}" if len(unit.recipe.packages) > 1 else str(target / unit.tools[0].name)
    run_go([go, "build", *_build_flags(unit.recipe), "-o", destination, *unit.recipe.packages], source, beat)
    if unit is LANGUAGE:
        _scripts(go, source, workspace, out, beat)


def copy_recipe(recipe: Recipe, workspace: Path) -> Path:
    """Copy the recipe out of the package, which may be read-only or a zip file."""
    target = workspace / recipe.folder
    target.mkdir(parents=True)
    folder = importlib.resources.files("gpuprov.toolchain") / "recipes" / recipe.folder
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def module_folder(go: str, source: Path, module: str, beat: Beat) -> Path:
    """Fetch ``module`` in the version that the recipe pins, and return its folder in Go's module cache.

    `go list -m` alone would not download it; go.sum verifies the download. Raises SourceFailed.
    """
    output = run_go([go, "mod", "download", "-json", module], source, beat)
    # "-json" prints one object on standard output; progress lines go to standard error.
    try:
        return Path(json.loads(output)["Dir"])
    except (ValueError, KeyError) as error:
        raise SourceFailed(f"go reports no folder for {module}: {output.strip()[-400:]}") from error


def run_go(command: list[str], folder: Path, beat: Beat) -> str:
    """Run go in ``folder`` and return its standard output. Raises SourceFailed with the last lines of its output.

    If this call ends early (Ctrl-C, an error in ``beat``), go is ended too.
    """
    # A go.work in a parent of the cache folder would override the recipe's pins.
    environment = {**os.environ, "GOWORK": "off"}
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise SourceFailed(f"cannot run {command[0]}: {error}") from error
    try:
        output, tail = _follow(process, beat)
    finally:
        _end(process)
    if process.returncode != 0:
        # "go mod download -json" reports errors on standard output.
        raise SourceFailed(_explain(process.returncode, tail or output.splitlines()[-TAIL_LINES:]))
    return output


def _follow(process: subprocess.Popen[str], beat: Beat) -> tuple[str, list[str]]:
    started = time.monotonic()
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    output: list[str] = []
    assert process.stdout is not None  # noqa: S101 (both are pipes)
    assert process.stderr is not None  # noqa: S101
    stdout, stderr = process.stdout, process.stderr

    def read_errors() -> None:
        for line in stderr:
            lines.put(line.rstrip())
        lines.put(None)

    readers = [
        threading.Thread(target=read_errors, daemon=True),
        threading.Thread(target=lambda: output.append(stdout.read()), daemon=True),
    ]
    for reader in readers:
        reader.start()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    latest = ""
    reported = 0.0
    while True:
        try:
            line = lines.get(timeout=BEAT_SECONDS)
        except queue.Empty:
            line = ""
        if line is None:
            break
        if line:
            latest = line
            if not _PACKAGE.fullmatch(line):
                tail.append(line)
        if (elapsed := time.monotonic() - started) - reported >= BEAT_SECONDS:
            reported = elapsed
            beat(elapsed, latest)
    process.wait()
    readers[1].join()
    return "".join(output), list(tail)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    # go stays in our process group, so that Ctrl-C or the end of a terminal reaches it too. After an interrupt it
    # starts no more compilers.
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=STOP_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _explain(code: int, tail: list[str]) -> str:
    text = "\n".join(tail) or "(it printed nothing)"
    if any("GOTOOLCHAIN=local" in line for line in tail):
        cause = f"this Go is too old: install Go {GO_VERSION} or newer, or allow GOTOOLCHAIN=auto"
    elif _NETWORK.search(text):
        cause = "Go modules cannot be downloaded: check the network, GOPROXY and HTTPS_PROXY"
    elif "no space left on device" in text:
        cause = (
            "a disk is full: make room for the temporary folder (TMPDIR) and Go's caches (`go env GOCACHE GOMODCACHE`)"
        )
    elif code < 0 or "signal: killed" in text:
        cause = "go or its compiler was killed, as where memory runs out: free some, then rerun the command"
    else:
        cause = f"go ended with exit code {code}"
    return f"{cause}; its last lines were:\n" + "\n".join(f"  {line}" for line in text.splitlines())


def _build_flags(recipe: Recipe) -> list[str]:
    variables = " ".join(f"-X {name}={value}" for name, value in recipe.variables.items())
    return ["-v", "-mod=readonly", "-trimpath", "-ldflags", f"-s -w {variables}".strip()]


def _embed(module: Path, source: Path, version: str) -> None:
    """Write the two files that the plugin embeds, as the provider's own generate.go does."""
    folder = module / "cmd" / "pulumi-resource-kubernetes"
    schema = json.loads((folder / "schema.json").read_bytes())
    schema["version"] = version
    names = json.loads((folder / "terraform-mapping.json").read_bytes())
    for name, content in (("schema-embed.json", schema), ("terraform-mapping-embed.json", names)):
        (source / name).write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def _scripts(go: str, source: Path, workspace: Path, out: Path, beat: Beat) -> None:
    """Copy the two scripts from the modules: the analyzer of the host's module, the exec script of Pulumi's release.

    The exec script must match the pulumi Python package, so it comes from the module version that pulumi itself is
    built with. The analyzer has its own folder: the CLI needs it on PATH without the language host.
    """
    host_module = module_folder(go, source, SDK_MODULE, beat)
    pulumi_module = module_folder(go, copy_recipe(PULUMI.recipe, workspace), SDK_MODULE, beat)
    for script, place in (
        (pulumi_module / "python" / "cmd" / EXEC_SCRIPT, out / "host" / EXEC_SCRIPT),
        (host_module / "python" / "dist" / ANALYZER, out / "analyzer" / ANALYZER),
    ):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(script.read_bytes())
        place.chmod(0o755)
