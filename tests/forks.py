"""Commands in processes of their own that need not import the libraries again.

One process imports the libraries that gpuprov uses, and the modules of this repository's gpuprov. Commands are forked
from it, which spares most of a command's start. Like any process a command has its own environment, folder, open files
and exit code; one with another gpuprov on its path imports that one. Pulumi's SDK and Babel are left to the commands:
the one must not be forked, the other reads the locale while it is imported.
"""

import atexit
import functools
import importlib
import importlib.machinery
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]
_PACKAGES = ("core", "load", "kube", "preflight", "engine", "run", "cli")
_NOT_FORKED = {"load.__main__", "run.byhand", "run.stack"} | {
    f"engine.{name}" for name in ("automation", "chart", "component", "program", "rebuild", "registry")
}
"""Modules with Pulumi's SDK, and one that is a program."""

_MOST_BYTES = 1 << 20
_FILES = 4


def run_forked(arguments: Sequence[str], root: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run ``python -m gpuprov`` in a folder and in this environment alone; return exit code, output and errors."""
    request = json.dumps({"arguments": list(arguments), "root": str(root), "environment": dict(environment)}).encode()
    ended, reports = os.pipe()
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        Path(os.devnull).open("rb") as nothing,
        os.fdopen(ended, "rb") as answer,
    ):
        try:
            socket.send_fds(_origin(), [request], [nothing.fileno(), out.fileno(), err.fileno(), reports])
        finally:
            os.close(reports)
        code = int(answer.read())
        return code, _text_of(out), _text_of(err)


def _text_of(file) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


@functools.cache
def _origin() -> socket.socket:
    """Start the process that commands are forked from; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {"PATH": os.defpath, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, __file__, str(theirs.fileno())]
    nothing = subprocess.DEVNULL
    origin = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], stdin=nothing, stdout=nothing)
    theirs.close()

    def end() -> None:
        ours.close()
        origin.wait()

    atexit.register(end)
    return ours


def _import_libraries() -> None:
    import concurrent.futures.thread
    import difflib
    import email.parser
    import gc
    import getpass
    import http.client
    import logging
    import ssl
    import tarfile
    import uuid
    import zoneinfo

    import click.shell_completion
    import filelock
    import kubernetes.client
    import platformdirs
    import psutil
    import pydantic.functional_serializers
    import pydantic.functional_validators
    import rich.cells
    import urllib3
    import yaml
    from pydantic import BaseModel, TypeAdapter

    _ = (concurrent, difflib, email, getpass, http, logging, ssl, tarfile, uuid, zoneinfo)
    _ = (click, filelock, kubernetes, platformdirs, psutil, pydantic, rich, urllib3, yaml, BaseModel, TypeAdapter)
    _import_own()
    gc.freeze()  # commands need not look through all these objects again


def _import_own() -> None:
    """Import what does not need Pulumi's SDK; no module of ours looks at the environment while it is imported."""
    sys.path.insert(0, str(_REPOSITORY))
    for name in _own_modules():
        importlib.import_module(name)
    del sys.path[0]
    assert not {"pulumi", "babel"} & sys.modules.keys()


def _own_modules() -> list[str]:
    files = [file for package in _PACKAGES for file in (_REPOSITORY / "gpuprov" / package).rglob("*.py")]
    names = [".".join(file.relative_to(_REPOSITORY).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return [name for name in names if name.removeprefix("gpuprov.") not in _NOT_FORKED]


def _serve(requests: socket.socket) -> tuple[dict[str, object], list[int]] | None:
    """Return in each command's process with what it shall do, and with None where no more are wanted."""
    running: dict[int, tuple[int, int]] = {}  # by a descriptor that can be read once the process has ended
    wanted = True
    while wanted or running:
        ready, _, _ = select.select([*running, *([requests] if wanted else [])], [], [])
        for ended in running.keys() & set(ready):
            _report(ended, *running.pop(ended))
        if requests not in ready:
            continue
        request, files, _, _ = socket.recv_fds(requests, _MOST_BYTES, _FILES)
        wanted = bool(request)
        if not wanted:
            continue
        command = os.fork()
        if command == 0:
            requests.close()
            for other, (_, report) in running.items():
                os.close(other)
                os.close(report)
            return json.loads(request), files
        running[os.pidfd_open(command)] = command, files.pop()
        for file in files:
            os.close(file)
    return None


def _report(ended: int, command: int, report: int) -> None:
    """Tell whoever waits for a command how it ended."""
    _, status = os.waitpid(command, 0)
    with suppress(BrokenPipeError):  # nobody waits any more
        os.write(report, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(report)
    os.close(ended)


def _become(command: dict, files: list[int]) -> None:
    """Do what a shell and Python's start do."""
    for number in range(3):
        os.dup2(files[number], number)
    for file in files:
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(command["root"])
    os.environ.clear()
    os.environ.update(command["environment"])
    sys.argv = ["gpuprov", *command["arguments"]]
    variable = command["environment"].get("PYTHONPATH", "")
    sys.path[:0] = [command["root"], *filter(None, variable.split(os.pathsep))]
    found = importlib.machinery.PathFinder.find_spec("gpuprov", sys.path)
    if found is None or found.origin != str(_REPOSITORY / "gpuprov" / "__init__.py"):
        for name in [name for name in sys.modules if name.partition(".")[0] == "gpuprov"]:
            del sys.modules[name]
    runpy.run_module("gpuprov", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the commands and the tests are told, and this ends with the tests
    del sys.path[0]  # this file's folder
    _import_libraries()
    given = _serve(socket.socket(fileno=int(sys.argv[1])))
    if given is not None:
        _become(*given)
