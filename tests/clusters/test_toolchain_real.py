"""The real tools: each one starts and is the pinned version. Installs what is missing, which can take half an hour."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import pytest
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from gpuprov.toolchain import TOOL_NAMES, Installed, ensure
from gpuprov.toolchain.lookup import version_of
from gpuprov.toolchain.pins import ANALYZER, EXEC_SCRIPT, PLUGIN_VERSION, unit_of

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(5400)]

# Both plugins only dial the engine when they have something to log.
NO_ENGINE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def installed() -> Installed:
    return ensure()


@contextmanager
def serving(binary: Path) -> Iterator[str]:
    """Start a Pulumi plugin and give the port that it prints."""
    process = subprocess.Popen([binary, NO_ENGINE], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", TOOL_NAMES)
def test_every_tool_is_the_pinned_version(installed: Installed, name: str) -> None:
    unit = unit_of(name)
    path = installed.binary(name)
    assert os.access(path, os.X_OK)
    tool = next(tool for tool in unit.tools if tool.name == name)
    if tool.ask:
        assert version_of(tool, path) == unit.version


def test_the_plugin_tells_its_version_to_the_engine(installed: Installed) -> None:
    with serving(installed.binary("pulumi-resource-kubernetes")) as port:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        assert ResourceProviderStub(channel).GetPluginInfo(Empty(), timeout=60).version == PLUGIN_VERSION


def test_the_language_host_starts_with_its_exec_script(installed: Installed) -> None:
    host = installed.binary("pulumi-language-python")
    assert os.access(host.with_name(EXEC_SCRIPT), os.X_OK)
    # It ends with an error instead when the exec script is not beside it.
    with serving(host) as port:
        assert port.isdigit()


def test_the_two_paths_differ_by_our_language_host(installed: Installed) -> None:
    cli, hand = installed.path_for_cli(), installed.path_for_hand()
    for name in ("pulumi", "pulumi-resource-kubernetes"):
        assert shutil.which(name, path=cli) == str(installed.binary(name))
    assert shutil.which("pulumi-language-python", path=hand) == str(installed.binary("pulumi-language-python"))
    # Either our own host, kept away from the CLI, or the one of Pulumi's release, which needs no analyzer script.
    assert (shutil.which("pulumi-language-python", path=cli) is None) == (shutil.which(ANALYZER, path=cli) is not None)


def test_the_second_time_nothing_is_installed(installed: Installed) -> None:
    events: list[object] = []
    ensure(progress=events.append)
    assert events == []
