"""The branch that a project's folder follows. It only ever goes forward, and only to a commit that is valid.

So the folder has the last valid list also after a restart, and a rewritten history, in which the ledger may have lost
events, is never taken over by itself.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from gpuprov.errors import GpuprovError, InputError
from gpuprov.load.project import open_project
from gpuprov.run.loading import load

_LOG = logging.getLogger(__name__)
_SECONDS = 60


class BranchError(GpuprovError):
    """The folder could not follow its branch; it stays as it is."""


class Branch:
    """The upstream of the branch that is checked out in a project's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def follow(self) -> str | None:
        """Fetch, and take over what is new. Return the new commit, or None where nothing is new.

        Raises BranchError where the remote cannot be reached, where the branch is no longer ahead of the folder or the
        folder has changes in its way, and where the new commit is invalid.
        """
        self._git("fetch", "--quiet", "--no-tags")
        here, there = self._git("rev-parse", "HEAD"), self._git("rev-parse", "@{upstream}")
        common = self._git("merge-base", "--all", here, there, no=True)
        if common == there:
            return None  # the same, or the folder has commits that are not pushed yet
        if common != here:
            raise BranchError(
                f"{there[:12]} does not follow {here[:12]}: the branch was rewritten, or both have commits; see "
                f"`git -C {self.root} log --left-right HEAD...@{{upstream}}`, and bring them together by hand"
            )
        self._try(there)
        self._git("merge", "--ff-only", "--quiet", there)
        _LOG.info("the folder is at commit %s now", there)
        return there

    def _try(self, commit: str) -> None:
        """Load the project as a commit has it. Raises BranchError."""
        top, prefix = self._git("rev-parse", "--show-toplevel"), self._git("rev-parse", "--show-prefix")
        with TemporaryDirectory(prefix="gpuprov-") as scratch:
            packed = Path(scratch) / "commit.tar"
            self._git("archive", "--output", str(packed), commit, folder=top)  # of a folder below it would be a part
            try:
                with tarfile.open(packed) as files:
                    files.extractall(scratch, filter="data")
                load(open_project(Path(scratch) / prefix))
            except tarfile.TarError as error:
                raise BranchError(f"commit {commit[:12]} cannot be unpacked: {error}") from error
            except InputError as error:
                problems = str(error).replace(f"{Path(scratch) / prefix}{os.sep}", "")
                raise BranchError(f"commit {commit[:12]} is invalid and was not taken over: {problems}") from error

    def _git(self, *words: str, folder: str = "", no: bool = False) -> str:
        """Run git, without asking anybody for a password; return its output. Raises BranchError.

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
            raise BranchError(f"git {words[0]}: {error}") from error
        if done.returncode and not (no and done.returncode == 1):
            raise BranchError(f"git {words[0]}: {' '.join((done.stderr or done.stdout).split())}")
        return done.stdout.strip()
