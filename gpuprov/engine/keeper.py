"""A process beside Pulumi that outlives whoever runs Pulumi, and then puts in order what is left.

Pulumi ends its plugins when it ends in order; they are in process groups of their own, so nobody else does. But where
Pulumi's reader is killed, Pulumi dies of SIGPIPE with its next word, and leaves its plugins and the stack's lock. The
keeper notices that the reader has gone, reads on in its place, and interrupts Pulumi, which then saves the state, gives
its lock back and ends. Where Pulumi itself was killed, the keeper ends what it has left.

Processes are recognised by a random mark in their environment, which only this Pulumi has and what it has started.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import psutil

from gpuprov.processes import carrying, runs

MARK_VARIABLE = "GPUPROV_PULUMI_RUN"
"""Environment variable of Pulumi and its plugins: the mark of this run of Pulumi's."""

PATIENCE_SECONDS = 30.0
"""How long an interrupted Pulumi may take to save its state and end."""

_AGAIN_SECONDS = 0.1


@contextmanager
def kept(pulumi: subprocess.Popen[str], mark: str) -> Iterator[None]:
    """Have a keeper beside Pulumi, which was started with this mark and in a process group of its own.

    Whoever leaves before Pulumi has ended interrupts it, and waits until nothing is left of it. If we are killed
    meanwhile, or interrupted again, the keeper goes on alone.
    """
    outputs = [stream.fileno() for stream in (pulumi.stdout, pulumi.stderr) if stream is not None]
    keeper = subprocess.Popen(
        [sys.executable, "-m", __name__, mark, str(pulumi.pid), *map(str, outputs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=outputs,
        start_new_session=True,  # what ends everybody in our terminal or our process group does not end it
    )
    try:
        yield
    finally:
        if pulumi.returncode == 0:
            keeper.kill()  # Pulumi has ended in order, and left nothing
        if keeper.stdin is not None:
            keeper.stdin.close()
        keeper.wait()


def put_in_order(mark: str, pulumi: int, patience: float) -> None:
    """Interrupt Pulumi, the process with that id, and wait until all processes with the mark have ended.

    Plugins are killed once Pulumi has gone, which needs them until then; Pulumi itself after ``patience`` seconds. Two
    searches in a row have to find nothing: a process may be between fork and exec.
    """
    deadline = time.monotonic() + patience
    interrupted = False
    quiet = 0
    while quiet < 2:  # noqa: PLR2004 (a first and a second search)
        found = {process.pid: process for process, _ in carrying(MARK_VARIABLE, mark) if runs(process)}
        if pulumi in found and time.monotonic() < deadline:
            if not interrupted:
                _signal(found[pulumi], signal.SIGINT)  # a second one would have it end without waiting for anything
                interrupted = True
        else:
            for process in found.values():
                _signal(process, signal.SIGKILL)
        quiet = 0 if found else quiet + 1
        time.sleep(_AGAIN_SECONDS)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _read_on(descriptor: int) -> None:
    with open(descriptor, "rb", buffering=0) as pipe:
        while pipe.read(2**16):
            pass


def main() -> None:
    """Wait until standard input ends, that is, until whoever runs Pulumi has left or was killed; then put in order."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    mark, pulumi, *outputs = sys.argv[1:]
    sys.stdin.read()
    for output in outputs:
        Thread(target=_read_on, args=(int(output),), daemon=True).start()
    put_in_order(mark, int(pulumi), PATIENCE_SECONDS)


if __name__ == "__main__":
    main()
