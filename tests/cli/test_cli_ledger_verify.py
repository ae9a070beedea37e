"""`gpuprov ledger verify` proves against git that the ledger only grew, wherever the project's settings have it."""

import json
from pathlib import Path

import pytest
from forks import run_forked
from projects import REPOSITORY, Ran
from watched_project import commit, git, make_project

MARCH = "2026-03-01T09:00:00+09:00"


def event(kind: str, award: str = "A-1", **fields: object) -> str:
    told = {"award": award, "at": MARCH, "by": "lee", "reason": "as decided", "recorded": MARCH, "event": kind}
    return json.dumps(told | fields)


FIRST, SECOND, THIRD = event("accepted"), event("reduced", quantity=4), event("forfeited")


@pytest.fixture(params=["", "office/2026-h1"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A project with two events, committed, at the top of its repository or below."""
    project = make_project(tmp_path / request.param)
    git(tmp_path, "init", "--quiet")
    write(project, FIRST, SECOND)
    commit(tmp_path, "Two events")
    return project


def write(root: Path, *lines: str, file: str = "ledger.jsonl") -> None:
    (root / file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def verify(root: Path, since: str = "HEAD", *options: str, **variables: str) -> Ran:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(root), "GPUPROV_LANG": "en", "PYTHONPATH": str(REPOSITORY)}
    return Ran(*run_forked(["ledger", "verify", "--since", since, *options], root, environment | variables))


def test_a_ledger_that_grew_passes_and_what_is_new_is_told(root: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    write(root, FIRST, SECOND, THIRD)
    ran = verify(root)
    assert (ran.code, ran.out) == (0, f"ledger.jsonl: the 2 events of {head[:12]} are there, and 1 was appended\n"), ran
    data = verify(root, "HEAD", "--json").data
    assert (data["since"], data["file"], data["kept"]) == (head, "ledger.jsonl", 2)
    assert [(event["event"], event["award"]) for event in data["appended"]] == [("forfeited", "A-1")]


def test_a_commit_that_changed_history_is_refused_with_every_line(root: Path) -> None:
    first = git(root, "rev-parse", "HEAD")
    write(root, event("accepted", "A-2"), event("reduced", quantity=2), THIRD)
    commit(root, "As if it had been so")
    assert verify(root).code == 0
    ran = verify(root, first)
    assert ran.code == 1
    for row, line in enumerate((FIRST, SECOND), start=1):
        assert f"ledger.jsonl:{row} '{line[:80]}': stands here at {first[:12]}, and was changed or removed" in ran.err
    assert "restore it from git; what happened since is a new event at the end" in ran.err


def test_a_ledger_that_was_moved_must_have_all_that_it_had(root: Path) -> None:
    pulumi = root / "Pulumi.yaml"
    pulumi.write_text(pulumi.read_text(encoding="utf-8") + "  ledger: events.jsonl\n", encoding="utf-8")
    write(root, THIRD, file="events.jsonl")
    ran = verify(root)
    assert (ran.code, ran.err.count("events.jsonl:")) == (1, 2), ran
    write(root, FIRST, SECOND, THIRD, file="events.jsonl")
    assert verify(root).code == 0


def test_a_ledger_that_is_gone_is_refused(root: Path) -> None:
    (root / "ledger.jsonl").unlink()
    assert verify(root).err.count("was changed or removed") == 2


def test_before_there_was_a_project_everything_is_new(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "README").write_text("awards\n", encoding="utf-8")
    commit(tmp_path, "Begin")
    root = make_project(tmp_path / "project")
    write(root, FIRST)
    ran = verify(root)
    assert (ran.code, "the 0 events of" in ran.out, "1 was appended" in ran.out) == (0, True, True), ran


@pytest.mark.parametrize("since", ["nowhere", "--help", "HEAD~7"])
def test_what_is_no_commit_is_told(root: Path, since: str) -> None:
    ran = verify(root, f"{since}")
    assert ran.code in (1, 2)
    assert since == "--help" or f"--since '{since}': is no commit that git knows here" in ran.err


def test_where_git_cannot_tell_its_own_words_are_told(root: Path) -> None:
    ran = verify(root, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert (ran.code, "git rev-parse: fatal: detected dubious ownership" in ran.err) == (1, True), ran


def test_a_commit_whose_project_is_invalid_is_told(root: Path) -> None:
    write(root, FIRST, "{")
    commit(root, "A mistake")
    write(root, FIRST)
    ran = verify(root)
    assert (ran.code, "--since 'HEAD': has a project that cannot be read (ledger.jsonl:2" in ran.err) == (1, True), ran


def test_outside_of_a_repository_it_says_so(tmp_path: Path) -> None:
    assert verify(make_project(tmp_path)).code == 1
