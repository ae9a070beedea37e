"""New stacks with the real Pulumi and a backend of files: nothing that the user has chosen changes, errors say why."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from socket import gethostname

import pytest
import yaml
from projects import OTHERS_LOCK, lock_elsewhere

from gpuprov import toolchain
from gpuprov.engine import automation, stacks
from gpuprov.engine.locks import Locks, locks_of, remove_locks
from gpuprov.engine.writes import create, locked, remove, write_deployment
from gpuprov.errors import EngineError

pytestmark = pytest.mark.sandbox


PROJECT = "gpuprov"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose user has selected a stack of her own."""
    path = toolchain.require().path_for_cli()
    monkeypatch.setenv("PATH", os.pathsep.join([path, "/usr/bin", "/bin"]))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'state'}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "first")
    (tmp_path / "state").mkdir()
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "gpuprov", "runtime": "python"}), encoding="utf-8")
    pulumi(folder, "stack", "init", "mine")
    return folder


def pulumi(root: Path, *command: str) -> str:
    asked = ["pulumi", *command, "--non-interactive"]
    done = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def up(root: Path, stack: str, *, exists: bool = False) -> None:
    """Run a program that declares nothing but an output."""

    async def program() -> None:
        from pulumi import export

        export("made", stack)

    locks = Locks(root=root, stack=stack, patience=1.0, progress=lambda _: None)
    automation._run(locks, program, exists=exists, refresh=False, target=None)


def test_a_new_stack_is_made_and_the_users_own_stays_selected(root: Path) -> None:
    before = {path: path.read_bytes() for path in (root.parent / "home" / "workspaces").iterdir()}
    assert before
    for stack in ("kt-cloud", "kt-cloud.setup"):
        up(root, stack)
        assert stacks.read_outputs(root, stack) == {"made": stack}
    assert pulumi(root, "stack", "--show-name") == "mine"
    assert {path: path.read_bytes() for path in (root.parent / "home" / "workspaces").iterdir()} == before


def test_a_stack_that_a_killed_run_made_just_now_is_used(root: Path) -> None:
    create(Locks(root=root, stack="kt-cloud", patience=1.0, progress=print))
    up(root, "kt-cloud")
    up(root, "kt-cloud")
    assert stacks.read_outputs(root, "kt-cloud") == {"made": "kt-cloud"}
    assert pulumi(root, "stack", "--show-name") == "mine"


def test_a_stack_that_lost_its_last_award_is_removed_with_its_file(root: Path) -> None:
    """The last step of taking a supplier out (docs/configuration.md)."""
    up(root, "kt-cloud")
    assert (root / "Pulumi.kt-cloud.yaml").is_file()
    pulumi(root, "stack", "rm", "kt-cloud", "--yes")
    assert not (root / "Pulumi.kt-cloud.yaml").exists()
    assert stacks.read_outputs(root, "kt-cloud") is None


def make(root: Path) -> None:
    (root / "Pulumi.other.yaml").write_bytes((root / "Pulumi.mine.yaml").read_bytes())
    up(root, "other")


def use(root: Path) -> None:
    up(root, "mine", exists=True)


@pytest.mark.parametrize(("run", "stack"), [(make, "other"), (use, "mine")], ids=["new stack", "stack that is there"])
def test_a_wrong_passphrase_is_told_with_the_stacks_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[[Path], None], stack: str
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "second")
    with pytest.raises(EngineError, match=rf"(?s)^{stack}: .*incorrect passphrase.*; .* in Pulumi\.{stack}\.yaml"):
        run(root)


@pytest.mark.parametrize("run", [make, use], ids=["new stack", "stack that is there"])
def test_a_backend_that_nobody_chose_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[[Path], None]
) -> None:
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    with pytest.raises(EngineError, match="set PULUMI_BACKEND_URL"):
        run(root)


DIES_WITH_THE_LOCK = """#!/bin/sh
mkdir -p '{folder}'
echo '{{"username":"me","hostname":"{host}","timestamp":"2026-03-01T00:00:00Z","pid":'$$'}}' > '{folder}/left.json'
kill -9 $$
"""
"""What Pulumi leaves that is killed right after it took the lock on a stack."""


def init(locks: Locks) -> None:
    create(locks)
    assert pulumi(locks.root, "stack", "export", "--stack", locks.stack)


def write(locks: Locks) -> None:
    given = stacks.read_deployment(locks.root, locks.stack)
    assert given is not None
    write_deployment(locks, given)
    assert stacks.read_deployment(locks.root, locks.stack) == given


def rm(locks: Locks) -> None:
    remove(locks)
    assert stacks.read_deployment(locks.root, locks.stack) is None


@pytest.mark.parametrize("change", [init, write, rm])
def test_the_lock_of_a_pulumi_that_was_killed_at_work_is_removed_by_the_next(
    root: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Locks], None]
) -> None:
    told: list[str] = []
    locks = Locks(root=root, stack="kt-cloud", patience=5.0, progress=told.append)
    if change is not init:
        create(locks)
    folder = root.parent / "state" / ".pulumi" / "locks" / "organization" / "gpuprov" / "kt-cloud"
    dying = root.parent / "dying"
    dying.mkdir()
    (dying / "pulumi").write_text(DIES_WITH_THE_LOCK.format(folder=folder, host=gethostname()), encoding="utf-8")
    (dying / "pulumi").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(stacks, "PULUMI", str(dying / "pulumi"))
        with pytest.raises(EngineError):
            create(locks) if change is init else write_deployment(locks, {})
    assert (folder / "left.json").is_file()
    change(locks)
    assert told == ["removing the lock that a killed run left on kt-cloud"]
    assert not list(folder.rglob("*.json"))


def test_a_lock_of_another_machine_is_named_with_its_age_and_only_removed_when_asked(root: Path) -> None:
    locks = Locks(root=root, stack="kt-cloud", patience=1.0, progress=print)
    assert locked(root, PROJECT, "kt-cloud") is None  # no such stack yet
    create(locks)
    write(locks)
    before = stacks.read_deployment(root, "kt-cloud")
    assert locked(root, PROJECT, "kt-cloud") is None
    assert stacks.read_deployment(root, "kt-cloud") == before
    lock = lock_elsewhere(root.parent / "state", "kt-cloud")
    with pytest.raises(EngineError, match=rf"{re.escape(OTHERS_LOCK)} holds the stack's lock; .*gpuprov unlock"):
        write(locks)
    complaint = locked(root, PROJECT, "kt-cloud")
    assert complaint is not None
    (found,) = locks_of(str(complaint))
    assert (found.user, found.host, found.pid) == ("lee", "night-shift", 4711)
    assert lock.is_file()
    remove_locks(root, "kt-cloud", complaint)
    assert not lock.exists()
    write(locks)


def test_a_lock_that_was_cut_off_while_a_stack_was_made_is_found_and_removed_when_asked(root: Path) -> None:
    locks = Locks(root=root, stack="kt-cloud.1", patience=1.0, progress=print)
    cut = lock_elsewhere(root.parent / "state", "kt-cloud.1")
    complete = cut.read_text(encoding="utf-8")
    assert locked(root, PROJECT, "kt-cloud.1") is None  # somebody's: it is told, with its name, when the stack is made
    cut.write_text("", encoding="utf-8")
    with pytest.raises(EngineError, match=r"cut off while it was written.*gpuprov unlock"):
        create(locks)
    complaint = locked(root, PROJECT, "kt-cloud.1")
    assert complaint is not None
    assert complaint.files == (cut,)
    cut.with_name("other.json").write_text(complete, encoding="utf-8")
    remove_locks(root, "kt-cloud.1", complaint)
    assert [file.name for file in cut.parent.iterdir()] == ["other.json"]
    cut.with_name("other.json").unlink()
    create(locks)
    assert locked(root, PROJECT, "kt-cloud.1") is None


@pytest.mark.parametrize("by_up", [False, True])
def test_a_lock_that_was_cut_off_while_it_was_written_is_told_and_only_removed_when_asked(
    root: Path, *, by_up: bool
) -> None:
    """A full disk takes half of it, and Pulumi leaves the half where it looks for locks."""
    locks = Locks(root=root, stack="kt-cloud", patience=1.0, progress=print)
    create(locks)
    cut = lock_elsewhere(root.parent / "state", "kt-cloud")
    cut = cut.rename(cut.with_name(f"{cut.name}.18ebfdd371fe9b69.tmp"))
    cut.write_text("", encoding="utf-8")
    with pytest.raises(EngineError, match=r"cut off while it was written.*gpuprov unlock"):
        up(root, "kt-cloud", exists=True) if by_up else write(locks)
    complaint = locked(root, PROJECT, "kt-cloud")
    assert complaint is not None
    assert cut.exists()
    remove_locks(root, "kt-cloud", complaint)
    assert locked(root, PROJECT, "kt-cloud") is None
