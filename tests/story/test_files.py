"""Files that are written whole or not at all."""

import os
from contextlib import nullcontext

import pytest

from gpuprov.errors import InputError
from gpuprov.run.files import check_new, write_whole


def test_a_file_is_written_and_nothing_besides(tmp_path):
    write_whole(tmp_path / "a.xlsx", b"new", force=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.xlsx": b"new"}


def test_what_is_there_is_replaced_only_by_force(tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"old")
    for refused in (check_new, lambda path, force: write_whole(path, b"new", force=force)):
        with pytest.raises(InputError, match="already exists; pass --force, or name another file"):
            refused(path, force=False)
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {"a.xlsx": b"old"}
    check_new(path, force=True)
    write_whole(path, b"new", force=True)
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {"a.xlsx": b"new"}


def test_a_link_that_leads_nowhere_is_there(tmp_path):
    (tmp_path / "a.xlsx").symlink_to("nowhere")
    with pytest.raises(InputError, match="already exists"):
        check_new(tmp_path / "a.xlsx", force=False)


def test_a_folder_that_is_missing_is_told(tmp_path):
    with pytest.raises(InputError, match="is not a folder; make it, or name another"):
        check_new(tmp_path / "none" / "a.xlsx", force=False)
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "none" / "a.xlsx", b"new", force=False)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "file" / "a.xlsx", b"new", force=True)


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot be written \\(No space left on device\\)"):
        write_whole(path, b"new", force=True)
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {"a.xlsx": b"old"}


def test_without_hard_links_a_file_is_written_too_and_none_is_replaced(tmp_path, monkeypatch):
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    for written, refuses in ((b"first", False), (b"second", True)):
        with pytest.raises(InputError, match="already exists") if refuses else nullcontext():
            write_whole(tmp_path / "a.xlsx", written, force=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.xlsx": b"first"}
