"""Installing: which source is used, and what remains when it is interrupted or done twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gpuprov.errors import ToolchainError
from gpuprov.toolchain import Event, Settings, ensure, find
from gpuprov.toolchain.events import Kind
from gpuprov.toolchain.lookup import MANIFEST
from gpuprov.toolchain.pins import ETCD, KUBERNETES, Unit
from toolchain.vendor import Vendor, tarball

ETCD_URL = "/github.com/etcd-io/etcd/releases/download/v3.6.16"
ARCHIVE = f"{ETCD_URL}/etcd-v3.6.16-linux-amd64.tar.gz"
SUMS = f"{ETCD_URL}/SHA256SUMS"
ETCD_SCRIPT = b'#!/bin/sh\necho "etcd Version: 3.6.16"\n'
PACKED = tarball(
    {"etcd-v3.6.16-linux-amd64/etcd": ETCD_SCRIPT, "etcd-v3.6.16-linux-amd64/README.md": os.urandom(20_000)}
)

CHILD = """
import sys
from gpuprov.toolchain import ensure
installed = ensure(["etcd"], lambda event: print(event.kind, event.text, flush=True))
print("path", installed.binary("etcd"), flush=True)
"""


class Told(list[Event]):
    """Collects events."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def texts(self, kind: Kind) -> list[str]:
        return [event.text for event in self if event.kind == kind]


def leftovers(settings: Settings, unit: Unit = ETCD) -> list[str]:
    folder = settings.unit_folder(unit)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_download_is_verified_unpacked_and_put_in_place(settings: Settings, vendor: Vendor) -> None:
    vendor.publish(ARCHIVE, PACKED, sums=SUMS)
    told = Told()
    path = ensure(["etcd"], told, settings).binary("etcd")
    assert path == settings.home(ETCD) / "bin" / "etcd"
    assert path.read_bytes() == ETCD_SCRIPT
    manifest = json.loads((settings.home(ETCD) / MANIFEST).read_text())
    assert (manifest["source"], manifest["files"]) == ("download", {"bin/etcd": len(ETCD_SCRIPT)})
    assert leftovers(settings) == ["3.6.16", "lock"]
    assert told.texts("start") == [f"downloading https://{ARCHIVE[1:]} (1 of 1)"]
    assert told.texts("done")[0].startswith("downloaded etcd 3.6.16 in ")


def test_bare_executables_of_one_unit_are_downloaded_together(settings: Settings, vendor: Vendor) -> None:
    for name in KUBERNETES.places:
        path = f"/dl.k8s.io/release/v1.36.3/bin/linux/amd64/{name}"
        vendor.publish(path, b'#!/bin/sh\necho "Kubernetes v1.36.3"\n', sums=f"{path}.sha256")
    ensure(["kube-scheduler"], settings=settings)
    assert all(find(name, settings) for name in KUBERNETES.places)


def test_the_second_time_nothing_happens(settings: Settings, vendor: Vendor) -> None:
    vendor.publish(ARCHIVE, PACKED, sums=SUMS)
    ensure(["etcd"], settings=settings)
    vendor.log.clear()
    told = Told()
    ensure(["etcd"], told, settings)
    assert (told, vendor.log) == ([], [])


def test_a_missing_release_falls_through_to_the_build(
    settings: Settings, vendor: Vendor, fake_go: tuple[Path, Path]
) -> None:
    log, may_end = fake_go
    may_end.touch()
    told = Told()
    ensure(["etcd"], told, settings)
    assert json.loads((settings.home(ETCD) / MANIFEST).read_text())["source"] == "build"
    assert told.texts("note") == [f"etcd 3.6.16: no download: {vendor.base}{SUMS}: HTTP 404"]
    assert told.texts("start") == ["building etcd 3.6.16 from Go modules (about 1 min on 2 cores; 1 of 1)"]
    assert len(log.read_text().splitlines()) == 1


def test_the_reasons_of_all_sources_are_in_the_error(settings: Settings, vendor: Vendor) -> None:
    vendor.publish(ARCHIVE, PACKED, sums=SUMS, digest="0" * 64)
    with pytest.raises(ToolchainError) as caught:
        ensure(["etcd"], settings=settings)
    lines = str(caught.value).splitlines()
    assert lines[0] == "etcd 3.6.16 cannot be had:"
    assert lines[1] == "- path and cache: no executable of this version"
    assert "wrong checksum" in lines[2]
    assert lines[3].startswith("- build: Go is not installed: install Go 1.26 or newer")
    assert leftovers(settings) == ["lock", "partial"]
    assert list((settings.unit_folder(ETCD) / "partial").iterdir()) == []


def test_sources_that_are_not_chosen_are_named(settings: Settings, vendor: Vendor) -> None:
    with pytest.raises(ToolchainError, match="- download: not among GPUPROV_TOOLCHAIN_SOURCES\n- build: not among"):
        ensure(["etcd"], settings=replace(settings, sources=("path", "cache")))
    assert vendor.log == []


def test_a_broken_off_download_goes_on_in_the_next_run(settings: Settings, vendor: Vendor) -> None:
    vendor.publish(ARCHIVE, PACKED, sums=SUMS)
    vendor.cut = [5_000] * 3
    with pytest.raises(ToolchainError, match="broke off 3 times"):
        ensure(["etcd"], settings=settings)
    assert find("etcd", settings) is None
    ensure(["etcd"], settings=settings)
    assert vendor.asked(ARCHIVE)[-1] == "bytes=15000-"
    assert leftovers(settings) == ["3.6.16", "lock"]


def test_a_build_of_the_wrong_version_is_not_installed(
    settings: Settings, fake_go: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_go[1].touch()
    monkeypatch.setenv("ETCD_VERSION", "3.6.15")
    with pytest.raises(ToolchainError, match=r"etcd reports version 3\.6\.15, expected 3\.6\.16"):
        ensure(["etcd"], settings=replace(settings, sources=("build",)))
    assert leftovers(settings) == ["lock"]


def test_a_damaged_installation_is_replaced(settings: Settings, vendor: Vendor) -> None:
    vendor.publish(ARCHIVE, PACKED, sums=SUMS)
    path = ensure(["etcd"], settings=settings).binary("etcd")
    path.write_text("damaged")
    assert ensure(["etcd"], settings=settings).binary("etcd").read_bytes() == ETCD_SCRIPT
    assert leftovers(settings) == ["3.6.16", "lock"]


def test_an_unwritable_cache_is_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolchainError, match=r"etcd 3\.6\.16 cannot be put in .*/file/etcd"):
        ensure(["etcd"], settings=replace(settings, root=tmp_path / "file"))


def test_unknown_names_are_refused_before_anything_is_done(settings: Settings, vendor: Vendor) -> None:
    with pytest.raises(ToolchainError, match="no such tool: kubectl"):
        ensure(["etcd", "kubectl"], settings=settings)
    assert vendor.log == []


def start_child() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "GPUPROV_TOOLCHAIN_SOURCES": "cache,build"},
    )


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.02)


def test_two_processes_at_once_build_once(settings: Settings, fake_go: tuple[Path, Path]) -> None:
    log, may_end = fake_go
    first = start_child()
    wait_for(log.exists)
    second = start_child()
    assert second.stdout is not None
    waiting = second.stdout.readline()
    assert waiting == "note etcd 3.6.16: another process is installing it; waiting\n"
    may_end.touch()
    outputs = [child.communicate()[0] for child in (first, second)]
    assert [child.returncode for child in (first, second)] == [0, 0]
    assert outputs[1] == f"path {settings.home(ETCD)}/bin/etcd\n"
    assert len(log.read_text().splitlines()) == 1


def test_a_killed_installation_leaves_nothing_that_looks_complete(
    settings: Settings, fake_go: tuple[Path, Path]
) -> None:
    log, may_end = fake_go
    child = start_child()
    wait_for(log.exists)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert find("etcd", settings) is None
    assert any(name.startswith("unfinished-") for name in leftovers(settings))
    # Also lets the killed child's go come to its end.
    may_end.touch()
    again = start_child()
    output = again.communicate()[0]
    assert again.returncode == 0, output
    assert find("etcd", settings) == settings.home(ETCD) / "bin" / "etcd"
    assert leftovers(settings) == ["3.6.16", "lock"]
