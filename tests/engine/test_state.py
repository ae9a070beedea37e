"""Pulumi's command line as `gpuprov.engine.stacks` uses it: what it is asked, and what its errors are made into.

Pulumi is a script here; tests/engine/test_engine_stacks.py asks the real one.
"""

from pathlib import Path

import pytest

from gpuprov.engine import stacks, writes
from gpuprov.engine.locks import Locks
from gpuprov.errors import EngineError

NO_BACKEND = "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions"
WRONG_PASSPHRASE = "error: getting stack configuration: get stack secrets manager: incorrect passphrase"


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a script in Pulumi's place, which keeps its arguments and fails with a text."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "bin").mkdir()
    asked = tmp_path / "asked"

    def fails(text: str, code: int = 1) -> Path:
        script = tmp_path / "bin" / "pulumi"
        script.write_text(f'#!/bin/sh\necho "$*" > {asked}\necho "{text}" >&2\nexit {code}\n')
        script.chmod(0o755)
        return asked

    return fails


def calls(root: Path):
    locks = Locks(root=root, stack="kt-cloud", patience=0.0, progress=print)
    return {
        "outputs": lambda: stacks.read_outputs(root, "kt-cloud"),
        "export": lambda: stacks.read_deployment(root, "kt-cloud"),
        "import": lambda: writes.write_deployment(locks, {}),
        "init": lambda: writes.create(locks),
        "rm": lambda: writes.remove(locks),
        "cancel": lambda: stacks.cancel(root, "kt-cloud"),
    }


@pytest.mark.parametrize("call", calls(Path()))
def test_a_wrong_passphrase_is_told_with_the_file_and_the_way_out(pulumi, tmp_path, call):
    pulumi(WRONG_PASSPHRASE)
    with pytest.raises(EngineError) as caught:
        calls(tmp_path)[call]()
    text = str(caught.value)
    assert text.startswith(f"kt-cloud: {WRONG_PASSPHRASE.removeprefix('error: ')}; ")
    for part in ("`encryptionsalt` in Pulumi.kt-cloud.yaml", "PULUMI_CONFIG_PASSPHRASE_FILE", "remove that line"):
        assert part in text


@pytest.mark.parametrize("call", calls(Path()))
def test_a_backend_that_nobody_chose_is_told_with_the_way_out(pulumi, tmp_path, call):
    pulumi(NO_BACKEND, 3)
    with pytest.raises(EngineError) as caught:
        calls(tmp_path)[call]()
    text = str(caught.value)
    assert text.startswith(f"kt-cloud: {NO_BACKEND.removeprefix('error: ')}; ")
    for part in ("PULUMI_BACKEND_URL", "file:///", "s3://", "`pulumi login`"):
        assert part in text


def test_any_other_error_stays_as_pulumi_wrote_it(pulumi, tmp_path):
    pulumi("error: the disk is full")
    with pytest.raises(EngineError) as caught:
        stacks.read_outputs(tmp_path, "kt-cloud")
    assert str(caught.value) == "kt-cloud: the disk is full"
    assert stacks.explained("error: the disk is full", "kt-cloud") == "the disk is full"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            'error: unable to open state directory "file:///srv/x": stat /srv/x: no such file or directory',
            'unable to open state directory "file:///srv/x": stat /srv/x: no such file or directory; PULUMI_',
        ),
        (
            "Logging in using access token from PULUMI_ACCESS_TOKEN\nerror: performing HTTP request: refused",
            "performing HTTP request: refused; the backend of the state (PULUMI_BACKEND_URL) cannot be read: check its",
        ),
        (
            "error: failed to load checkpoint: place 1: invalid character",
            "failed to load checkpoint: place 1: invalid character; the state of kt-cloud is damaged: run `gpuprov",
        ),
    ],
)
def test_of_what_pulumi_says_about_its_backend_the_remedy_is_told(said, told):
    assert stacks.explained(said, "kt-cloud").startswith(told)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (
            "postgres://gpuprov:s3cr/t@127.0.0.1:5432/state?sslmode=disable",
            "postgres://****@127.0.0.1:5432/state?sslmode",
        ),
        (
            "postgres://127.0.0.1/state?user=gpuprov&password=s3cr/t&sslmode=x",
            "state?user=gpuprov&password=****&sslmode=x",
        ),
        ("postgres://127.0.0.1/state?password=s3cr/t", 'state?password=****": failed'),
        ("file:///srv/pulumi@home:2", "file:///srv/pulumi@home:2"),
        ("s3://bucket?endpoint=http://127.0.0.1:9000", "s3://bucket?endpoint=http://127.0.0.1:9000"),
    ],
)
def test_a_password_in_the_backends_address_is_not_told(address, told):
    """Pulumi masks it where it names a lock, and not where it cannot open the database."""
    text = stacks.explained(f'error: unable to open state database "{address}": failed to ping', "kt-cloud")
    assert (told in text, "s3cr/t" in text) == (True, False), text
    assert "(PULUMI_BACKEND_URL) cannot be read" in text


def test_how_pulumi_ended_is_told_from_what_it_said_last():
    assert "Pulumi was ended by signal 9; unless" in stacks.how_ended(-9, "", "a word")
    assert stacks.how_ended(255, "out", " error: full\n") == "error: full"
    assert stacks.how_ended(255, "\n".join(map(str, range(90))), "").splitlines() == [*map(str, range(70, 90))]
    panic = "panic: runtime error: invalid memory address\n[signal SIGSEGV]\n\ngoroutine 1 [running]:\n" + "at\n" * 99
    assert stacks.how_ended(2, "out", f"warning\n{panic}") == (
        "Pulumi crashed, which is a bug of Pulumi's (runtime error: invalid memory address); rerun the same command"
    )
    assert stacks.how_ended(3, "", "") == "Pulumi ended with code 3 and said nothing"


def test_an_error_that_names_both_has_both_remedies():
    text = stacks.explained(f"{NO_BACKEND}\n{WRONG_PASSPHRASE}", "kt-cloud")
    assert ("PULUMI_BACKEND_URL" in text, "`encryptionsalt`" in text) == (True, True)


def test_a_stack_that_is_there_already_is_made_without_being_selected(pulumi, tmp_path):
    asked = pulumi("error: stack 'organization/gpuprov/kt-cloud' already exists")
    calls(tmp_path)["init"]()
    words = asked.read_text().split()
    assert words[:2] == ["stack", "init"]
    assert {"--no-select", "kt-cloud"} <= set(words)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "error: failed to load checkpoint: place 1: unexpected EOF",
            "failed to load checkpoint: place 1: unexpected EOF",
        ),
        ('error: failed to load checkpoint: blob (key "x") (code=Unknown): timeout', None),
        ("error: the disk is full", None),
    ],
)
def test_a_state_is_damaged_where_pulumi_has_it_and_cannot_read_it(pulumi, tmp_path, said, reason):
    pulumi(said)
    with pytest.raises(EngineError) as caught:
        stacks.read_deployment(tmp_path, "kt-cloud")
    assert getattr(caught.value, "reason", None) == reason
