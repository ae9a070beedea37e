"""How long an awardee's token may live, and what is in its kubeconfig."""

import base64
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import HOURS, JULY, MARCH, award, cluster, desired, events, forfeited, history, reduced, tenant

from gpuprov.errors import InputError
from gpuprov.kube.tokens import SHORTEST_SECONDS, Token
from gpuprov.run import credentials
from gpuprov.run.credentials import Life

EARLIER = datetime(2026, 2, 1, tzinfo=UTC)
LATER = datetime(2026, 5, 1, tzinfo=UTC)
AFTERWARDS = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_token_lives_to_the_end_of_the_term_or_as_long_as_was_asked_for():
    award_history = history(award("A"), [])
    assert credentials.lifetime(award_history, MARCH, None, AFTERWARDS).seconds == int((JULY - MARCH).total_seconds())
    assert credentials.lifetime(award_history, MARCH, 12, AFTERWARDS).seconds == 12 * 3600
    assert credentials.lifetime(award_history, JULY - timedelta(hours=3), 12, AFTERWARDS).seconds == 3 * 3600


def test_a_forfeiture_that_is_known_already_ends_the_token():
    award_history = history(award("A", 8), [reduced("A", EARLIER, 4), forfeited("A", LATER)])
    assert credentials.lifetime(award_history, None, None, MARCH) == Life(
        seconds=int((LATER - MARCH).total_seconds()), until=LATER
    )


def test_a_term_that_is_nearly_over_gets_no_token():
    award_history = history(award("A"), [])
    last = JULY - timedelta(seconds=SHORTEST_SECONDS)
    for at, clock in ((last, AFTERWARDS), (None, last)):
        assert credentials.lifetime(award_history, at, None, clock).seconds == SHORTEST_SECONDS
    second = timedelta(seconds=1)
    for at, clock in ((last + second, AFTERWARDS), (None, last + second), (None, AFTERWARDS)):
        with pytest.raises(InputError, match="no token can live less than 600 s"):
            credentials.lifetime(award_history, at, None, clock)


def test_no_instant_of_the_past_makes_a_token_outlive_a_term_that_runs():
    award_history = history(award("A"), [])
    clock = JULY - timedelta(hours=2)
    assert credentials.lifetime(award_history, MARCH, None, clock) == Life(seconds=2 * 3600, until=JULY)
    assert credentials.lifetime(award_history, JULY - timedelta(hours=1), None, clock) == Life(seconds=3600, until=JULY)


def test_only_an_instant_that_was_asked_for_makes_a_rehearsal():
    award_history = history(award("A"), [])
    assert credentials.lifetime(award_history, MARCH, None, AFTERWARDS).until is None
    assert credentials.lifetime(award_history, MARCH, None, MARCH).until == JULY
    assert credentials.lifetime(award_history, None, None, MARCH).until == JULY


@given(events(), st.none() | HOURS, st.none() | st.integers(1, 10_000), HOURS)
def test_no_token_outlives_what_the_award_holds(some, at, hours, clock):
    award_history = history(award("HPC-1"), some)
    assume(award_history.at(at or clock) is not None)
    try:
        life = credentials.lifetime(award_history, at, hours, clock)
    except InputError:
        begins = [instant for instant in (at, clock) if instant is not None]
        assert any(award_history.at(instant + timedelta(seconds=SHORTEST_SECONDS)) is None for instant in begins)
        return
    end = max(part.end for part in award_history.allocations)
    spent = timedelta(seconds=life.seconds)
    assert life.seconds >= SHORTEST_SECONDS
    assert at is None or at + spent <= end
    assert life.until == (None if clock >= end else end)
    assert clock >= end or clock + spent <= end
    assert hours is None or life.seconds <= hours * 3600


def test_an_award_without_gpus_gets_none_and_hears_why():
    state = desired([award("A")], [cluster()], MARCH, [forfeited("A", EARLIER)])
    with pytest.raises(InputError, match=r"'A': has no GPUs \(forfeited at 2026-02-01T09:00\+09:00 by"):
        credentials.tenant_of(state, "A")


def test_the_kubeconfig_leads_to_the_namespace_and_checks_the_server(tmp_path):
    token = Token(server="https://10.1.2.3:6443", authority=b"PEM", token="t", issued=EARLIER, expires=LATER)
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    credentials.write_private(path, credentials.kubeconfig(tenant("HPC-1"), token))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["kubeconfig"]
    made = yaml.safe_load(path.read_text(encoding="utf-8"))
    (where,) = made["clusters"]
    assert where["cluster"] == {
        "server": "https://10.1.2.3:6443",
        "certificate-authority-data": base64.b64encode(b"PEM").decode(),
    }
    assert made["contexts"][0]["context"] == {"cluster": "samsung-sds", "user": "gpu-hpc-1", "namespace": "gpu-hpc-1"}
    assert (made["current-context"], made["users"][0]["user"]) == ("gpu-hpc-1", {"token": "t"})


def test_a_file_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        credentials.write_private(tmp_path / "folder", "text")
    with pytest.raises(InputError, match="cannot be written"):
        credentials.write_private(tmp_path / "nowhere" / "file", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def repository(folder, *ignored):
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / ".gitignore").write_text("".join(f"{line}\n" for line in ignored))
    return folder


def test_a_credential_is_not_written_where_git_would_add_it(tmp_path):
    project = repository(tmp_path / "project", "*.kubeconfig", "private/")
    for name in ("examples", "private"):
        (project / name).mkdir()
    for name in ("studio", "examples/studio"):
        with pytest.raises(InputError, match=rf"{name} is in a git work tree that does not ignore it.*--force"):
            credentials.check_path(project / name, force=False)
        credentials.check_path(project / name, force=True)
    for path in (project / "a.kubeconfig", project / "private" / "studio", project / ".git" / "x", tmp_path / "studio"):
        credentials.check_path(path, force=False)


def test_a_file_that_git_has_already_is_not_ignored_by_it(tmp_path):
    project = repository(tmp_path / "project")
    (project / "a.kubeconfig").touch()
    subprocess.run(["git", "-C", str(project), "add", "a.kubeconfig"], check=True)
    (project / ".gitignore").write_text("*.kubeconfig\n")
    with pytest.raises(InputError) as caught:
        credentials.check_path(project / "a.kubeconfig", force=False)
    assert [problem.message.split(":")[0] for problem in caught.value.problems] == [
        "already exists",
        "is in a git work tree that does not ignore it",
    ]


def test_a_link_into_a_work_tree_is_seen_through(tmp_path):
    (tmp_path / "link").symlink_to(repository(tmp_path / "project"))
    with pytest.raises(InputError, match="git work tree"):
        credentials.check_path(tmp_path / "link" / "studio", force=False)


def test_the_work_tree_of_a_hook_is_not_taken_for_that_of_the_file(tmp_path, monkeypatch):
    project = repository(tmp_path / "project")
    monkeypatch.setenv("GIT_DIR", str(project / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(project))
    credentials.check_path(tmp_path / "studio", force=False)


def test_without_git_nothing_is_asked(tmp_path, monkeypatch):
    project = repository(tmp_path / "project")
    monkeypatch.setenv("PATH", "")
    credentials.check_path(project / "studio", force=False)


def test_a_folder_that_is_not_there_is_told_before_a_token_is_made(tmp_path):
    with pytest.raises(InputError, match="nowhere is not a folder"):
        credentials.check_path(tmp_path / "nowhere" / "studio", force=False)


def test_the_folder_of_credentials_is_its_owners_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = credentials.default_path("gpu-hpc-1")
    assert path == tmp_path / ".kube" / "gpuprov" / "gpu-hpc-1.kubeconfig"
    path.parent.mkdir(parents=True, mode=0o755)
    credentials.make_folder(path.parent)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        credentials.make_folder(tmp_path / "file" / "gpuprov")
