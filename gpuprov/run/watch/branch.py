"""The branch that a project's folder follows. It only ever goes forward, and only to a commit that is valid.

So the folder has the last valid list also after a restart, and a rewritten history, in which the ledger may have lost
events, is never taken over by itself.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from gpuprov.errors import InputError
from gpuprov.load.project import open_project
from gpuprov.run.git import GitError, Repository
from gpuprov.run.loading import load

_LOG = logging.getLogger(__name__)


class BranchError(GitError):
    """The folder could not follow its branch; it stays as it is."""


class Branch:
    """The upstream of the branch that is checked out in a project's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._git = Repository(root)

    def follow(self) -> str | None:
        """Fetch, and take over what is new. Return the new commit, or None where nothing is new.

        Raises GitError where the remote cannot be reached, and BranchError where the branch is no longer ahead of the
        folder or the folder has changes in its way, and where the new commit is invalid.
        """
        git = self._git.run
        git("fetch", "--quiet", "--no-tags")
        here, there = git("rev-parse", "HEAD"), git("rev-parse", "@{upstream}")
        common = git("merge-base", "--all", here, there, no=True)
        if common == there:
            return None  # the same, or the folder has commits that are not pushed yet
        if common != here:
            raise BranchError(
                f"{there[:12]} does not follow {here[:12]}: the branch was rewritten, or both have commits; see "
                f"`git -C {self.root} log --left-right HEAD...@{{upstream}}`, and bring them together by hand"
            )
        self._try(there)
        git("merge", "--ff-only", "--quiet", there)
        _LOG.info("the folder is at commit %s now", there)
        return there

    def _try(self, commit: str) -> None:
        """Load the project as a commit has it. Raises GitError, and BranchError where it is invalid."""
        with self._git.unpacked(commit) as folder:
            try:
                load(open_project(folder))
            except InputError as error:
                problems = str(error).replace(f"{folder}{os.sep}", "")
                raise BranchError(f"commit {commit[:12]} is invalid and was not taken over: {problems}") from error
