"""A damaged state is kept where it was: in a folder for good, and elsewhere as Pulumi keeps it."""

import json
from pathlib import Path

import pytest

from gpuprov.engine import aside, stacks
from gpuprov.engine.aside import set_aside

STATE = ".pulumi/stacks/gpuprov"


def backend(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(stacks, "whoami", lambda root: json.dumps({"user": "me", "url": url}))


@pytest.mark.parametrize("name", ["kt-cloud.json", "kt-cloud.json.gz"])
def test_in_a_folder_a_copy_stays_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = tmp_path / "my state" / STATE
    folder.mkdir(parents=True)
    backend(monkeypatch, f"file://{tmp_path}/my%20state")
    file = folder / name
    kept = set()
    for data in (b"broken", b"broken", b"broken again"):
        file.write_bytes(data)
        path = Path(set_aside(tmp_path, "gpuprov", "kt-cloud"))
        assert (path.parent, path.read_bytes()) == (folder, data)
        kept.add(path)
    assert {path.read_bytes() for path in kept} == {b"broken", b"broken again"}
    assert {path.name for path in folder.iterdir()} == {name, *(path.name for path in kept)}


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("s3://bucket?endpoint=http://127.0.0.1:1", f"s3://bucket/{STATE}/kt-cloud.json.bak"),
        ("postgres://me:s3cr/t@db:1/state?x=y", f"postgres://****@db:1/state/{STATE}/kt-cloud.json.bak"),
    ],
)
def test_elsewhere_pulumi_keeps_it_and_no_password_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, where: str
) -> None:
    backend(monkeypatch, url)
    assert set_aside(tmp_path, "gpuprov", "kt-cloud") == where


def test_a_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / STATE).mkdir(parents=True)
    (tmp_path / STATE / "kt-cloud.json").write_text("x")
    backend(monkeypatch, "file://~")
    assert Path(aside.set_aside(tmp_path, "gpuprov", "kt-cloud")).parent == tmp_path / STATE
