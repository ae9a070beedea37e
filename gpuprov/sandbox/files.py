"""Private files: written atomically, and readable by nobody else.

Keys and kubeconfigs must never be on disk half written, not even after a killed `up`, nor readable by others, not even
for a moment: the mode is set when the file is created.
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
    """Create ``path`` (and its parents), accessible to its owner only. Raises `SandboxError` if it is not our own."""
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    info = path.lstat()
    if info.st_uid != os.geteuid() or not path.is_dir() or path.is_symlink():
        raise SandboxError(f"{path} is not a folder of your own; choose another with --dir")
    path.chmod(FOLDER_MODE)
    return path


def write_private(path: Path, content: str | bytes) -> None:
    """Write ``path`` atomically. Callers must hold the sandbox's lock, so one scratch name is enough."""
    scratch = path.with_name(path.name + ".new")
    scratch.unlink(missing_ok=True)
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    scratch.replace(path)


def remove_tree(path: Path) -> None:
    """Delete a folder and everything in it; it may be missing."""
    if path.exists():
        shutil.rmtree(path)


@contextlib.contextmanager
def exclusive(root: Path, timeout: float) -> Iterator[None]:
    """Lock the sandbox in ``root``, waiting up to ``timeout`` seconds for another command to end.

    The lock is `flock` on a file in ``root``: the kernel releases it when the holder dies. `down` deletes that file
    while it holds the lock, so a waiting command compares the inode and starts again. (`filelock` does not, and would
    hold a lock on a deleted file.) Raises `SandboxError` after the timeout.
    """
    deadline = time.monotonic() + timeout
    while True:
        path = private_folder(root) / LOCK_NAME
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE)
        except FileNotFoundError:  # another command's `down` has just removed the folder
            continue
        try:
            if _locked(handle, path):
                yield
                return
        finally:
            os.close(handle)
        if time.monotonic() > deadline:
            raise SandboxError(
                f"another command has been working on the sandbox in {root} for {timeout:.0f} s; wait for it"
            )
        time.sleep(LOCK_POLL_SECONDS)


def _locked(handle: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
