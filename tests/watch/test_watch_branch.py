"""A folder follows its branch: forward only, and only to what is valid."""

import pytest
from watched_project import INVALID, MORE, VALID, commit, git, make_project, write_list

from gpuprov.load.project import open_project
from gpuprov.run.git import GitError
from gpuprov.run.loading import load
from gpuprov.run.watch.branch import Branch, BranchError


@pytest.fixture(params=["", "office/2026-h1"])
def repositories(tmp_path, request):
    """The officers' repository, the folder that follows it, and the project's place in both."""
    theirs = tmp_path / "theirs"
    make_project(theirs / request.param)
    git(theirs, "init", "--quiet")
    commit(theirs, "The list")
    git(tmp_path, "clone", "--quiet", "theirs", "ours")
    return theirs / request.param, tmp_path / "ours" / request.param


def ids(root):
    return [history.award.id for history in load(open_project(root)).histories]


def test_it_goes_forward(repositories):
    theirs, ours = repositories
    branch = Branch(ours)
    assert branch.follow() is None
    write_list(theirs, VALID, MORE)
    new = commit(theirs, "One more")
    assert branch.follow() == new == git(ours, "rev-parse", "HEAD")
    assert ids(ours) == ["A-1", "A-2"]
    assert branch.follow() is None


def test_a_commit_that_is_invalid_is_not_taken_over_and_the_next_valid_one_is(repositories):
    theirs, ours = repositories
    before = git(ours, "rev-parse", "HEAD")
    write_list(theirs, VALID, INVALID)
    commit(theirs, "A mistake")
    with pytest.raises(BranchError, match=r"is invalid and was not taken over: list.csv:3"):
        Branch(ours).follow()
    assert (git(ours, "rev-parse", "HEAD"), ids(ours), git(ours, "status", "--short")) == (before, ["A-1"], "")
    write_list(theirs, VALID, MORE)
    new = commit(theirs, "Mended")
    assert Branch(ours).follow() == new


def test_a_rewritten_branch_is_refused(repositories):
    theirs, ours = repositories
    before = git(ours, "rev-parse", "HEAD")
    write_list(theirs, MORE)
    git(theirs, "add", "-A")
    git(theirs, "commit", "--quiet", "--amend", "-m", "As if it had always been so")
    with pytest.raises(BranchError, match=r"the branch was rewritten"):
        Branch(ours).follow()
    assert (git(ours, "rev-parse", "HEAD"), ids(ours)) == (before, ["A-1"])


def test_commits_that_are_not_pushed_yet_are_kept(repositories):
    _, ours = repositories
    write_list(ours, VALID, MORE)
    own = commit(ours, "A forfeiture that an operator recorded here")
    assert Branch(ours).follow() is None
    assert git(ours, "rev-parse", "HEAD") == own


def test_changes_in_its_way_are_kept_and_told(repositories):
    theirs, ours = repositories
    write_list(ours, MORE)
    write_list(theirs, VALID, MORE)
    commit(theirs, "One more")
    with pytest.raises(GitError, match=r"git merge: .*list.csv"):
        Branch(ours).follow()
    assert ids(ours) == ["A-2"]


def test_a_remote_that_is_gone_is_told(repositories):
    theirs, ours = repositories
    top = git(theirs, "rev-parse", "--show-toplevel")
    git(ours, "remote", "set-url", "origin", f"{top}-gone")
    with pytest.raises(GitError, match=r"git fetch: "):
        Branch(ours).follow()


def test_a_folder_without_an_upstream_is_told(tmp_path):
    root = make_project(tmp_path)
    git(root, "init", "--quiet")
    commit(root, "The list")
    with pytest.raises(GitError, match=r"git (fetch|rev-parse): "):
        Branch(root).follow()
