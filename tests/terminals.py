"""Commands on a real terminal of a given width: a pseudo-terminal, whose output is read as it is written."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_at(command: Sequence[str], root: Path, environment: Mapping[str, str], width: int) -> tuple[int, str]:
    """Run a command on a terminal that is ``width`` columns wide; return its exit code and all that it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    variables = {"TERM": "xterm-256color"} | dict(environment)
    process = subprocess.Popen(command, cwd=root, env=variables, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return process.wait(), written.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so where the last process has closed the terminal
        return b""
