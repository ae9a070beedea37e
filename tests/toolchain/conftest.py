"""A cache of its own, a PATH with nothing on it but what a test puts there, and a vendor on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpuprov.toolchain.settings import SOURCES, Settings
from toolchain.vendor import Vendor, serving

Script = Callable[..., Path]


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving(Vendor()) as running:
        yield running


@pytest.fixture(autouse=True)
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH besides those of the shell; there is no go in it, and no Pulumi home."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("GPUPROV_TOOLCHAIN_SOURCES", "GPUPROV_TOOLCHAIN_MIRROR", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def script(bin_folder: Path) -> Script:
    """Write an executable shell script, on PATH unless another folder is given."""

    def write(name: str, body: str, folder: Path | None = None) -> Path:
        path = (folder or bin_folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def settings(tmp_path: Path, bin_folder: Path, vendor: Vendor) -> Settings:
    return Settings(
        root=tmp_path / "cache" / "gpuprov" / "toolchain",
        system="linux",
        arch="amd64",
        sources=SOURCES,
        mirror=vendor.base,
        search=str(bin_folder),
    )


FAKE_GO = r"""
echo "$@" >> "$GO_LOG"
while [ $# -gt 0 ] && [ "$1" != -o ]; do shift; done
out=$2
printf 'half' > "$out"
while [ ! -e "$GO_MAY_END" ]; do sleep 0.05; done
printf '#!/bin/sh\necho "etcd Version: %s"\n' "${ETCD_VERSION:-3.6.16}" > "$out"
chmod 755 "$out"
"""


@pytest.fixture
def fake_go(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A go that "builds" an etcd: it leaves half a file and waits until the second path exists.

    Returns the log of its calls and that second path.
    """
    script("go", FAKE_GO)
    log, may_end = tmp_path / "go.log", tmp_path / "may-end"
    monkeypatch.setenv("GO_LOG", str(log))
    monkeypatch.setenv("GO_MAY_END", str(may_end))
    return log, may_end
