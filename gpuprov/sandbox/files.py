"""Private files: whole or absent, and readable by nobody else.

Keys and kubeconfigs must never stand on disk half written (a killed `up` would leave them so) or readable by
others, not even for the moment between creating and narrowing them: the mode is given at creation.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from gpuprov.errors import SandboxError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
LOCK_NAME = "lock"
LOCK_POLL_SECONDS = 0.2


def private_folder(path: Path) -> Path:
    """Create ``path`` (and its parents) as a folder of ours alone; refuse one that somebody else owns."""
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    info = path.lstat()
    if info.st_uid != os.geteuid() or not path.is_dir() or path.is_symlink():
        raise SandboxError(f"{path} is not a folder of your own; choose another with --dir")
    path.chmod(FOLDER_MODE)
    return path


def write_private(path: Path, content: str | bytes) -> None:
    """Replace ``path`` in one step. Callers hold the sandbox's lock, so one scratch name is enough."""
    scratch = path.with_name(path.name + ".new")
    scratch.unlink(missing_ok=True)
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    scratch.replace(path)


def remove_tree(path: Path) -> None:
    """Delete a folder and all in it; a missing one is fine."""
    if path.exists():
        shutil.rmtree(path)


@contextlib.contextmanager
def exclusive(root: Path, timeout: float) -> Iterator[None]:
    """Hold the sandbox in ``root`` alone, waiting up to ``timeout`` seconds for another command to end.

    The lock is `flock` on a file in ``root``: the kernel drops it when the holder dies, however it dies. `down`
    deletes that file while it holds the lock, so whoever waited for it finds out by the inode and begins anew
    (the reason why this is not `filelock`, which would go on with a file that nobody else can see).
    """
    deadline = time.monotonic() + timeout
    while True:
        path = private_folder(root) / LOCK_NAME
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE)
        except FileNotFoundError:  # `down` of another command removed the folder just now
            continue
        try:
            if _locked(handle, path):
                yield
                return
        finally:
            os.close(handle)
        if time.monotonic() > deadline:
            raise SandboxError(f"another command has been working on the sandbox in {root} for {timeout:.0f} s")
        time.sleep(LOCK_POLL_SECONDS)


def _locked(handle: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
