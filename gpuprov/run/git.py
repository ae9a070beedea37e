"""The git repository that a project's folder is in, through git's own command."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gpuprov.errors import GpuprovError
from gpuprov.i18n import tr

_SECONDS = 60


class GitError(GpuprovError):
    """What was asked of git failed, or cannot be had."""


class Repository:
    """The repository around a project's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *words: str, folder: str = "", no: bool = False) -> str:
        """Run git, without asking anybody for a password; return its output. Raises GitError.

        With ``no`` git may also answer with nothing, and code 1.
        """
        try:
            done = subprocess.run(
                [shutil.which("git") or "git", "-C", folder or str(self.root), *words],
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
                env=os.environ | {"GIT_TERMINAL_PROMPT": "0"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitError(f"git {words[0]}: {error}") from error
        if done.returncode and not (no and done.returncode == 1):
            raise GitError(f"git {words[0]}: {' '.join((done.stderr or done.stdout).split())}")
        return done.stdout.strip()

    @contextmanager
    def unpacked(self, commit: str) -> Iterator[Path]:
        """Have the project's folder as a commit has it, as long as the block lasts. Raises GitError."""
        top, prefix = self.run("rev-parse", "--show-toplevel"), self.run("rev-parse", "--show-prefix")
        with TemporaryDirectory(prefix="gpuprov-") as scratch:
            packed = Path(scratch) / "commit.tar"
            self.run("archive", "--output", str(packed), commit, folder=top)  # of a folder below it would be a part
            try:
                with tarfile.open(packed) as files:
                    files.extractall(scratch, filter="data")
            except tarfile.TarError as error:
                message = tr("commit {commit} cannot be unpacked: {reason}", commit=commit[:12], reason=str(error))
                raise GitError(message) from error
            packed.unlink()
            yield Path(scratch) / prefix
