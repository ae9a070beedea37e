"""The last valid list holds, and what is invalid is reported once."""

import logging

import pytest
from watched_project import INVALID, MORE, VALID, make_project, write_list

from gpuprov.errors import InputError
from gpuprov.run.files import digests
from gpuprov.run.watch import source as module
from gpuprov.run.watch.source import Source


@pytest.fixture
def root(tmp_path):
    return make_project(tmp_path / "project")


def ids(loaded):
    return [history.award.id for history in loaded.histories]


def test_a_changed_list_is_loaded_and_an_unchanged_one_is_not_loaded_again(root, monkeypatch):
    loads = []
    monkeypatch.setattr(module, "load", lambda project: loads.append(project) or real(project))
    source = Source(root)
    first = source.load()
    assert source.load() is first
    write_list(root, VALID, MORE)
    assert ids(source.load()) == ["A-1", "A-2"]
    assert (len(loads), source.error) == (2, None)


real = module.load


def test_the_last_valid_list_holds_and_its_files_are_those_of_now(root):
    source = Source(root)
    before = source.load()
    write_list(root, VALID, INVALID)
    after = source.load()
    assert (ids(after), after.events, after.project) == (ids(before), before.events, before.project)
    assert after.files == digests(after.project.files) != before.files
    assert "list.csv:3" in str(source.error)


@pytest.mark.parametrize(
    ("file", "text"), [("Pulumi.yaml", "name: ["), ("Pulumi.samsung-sds.yaml", "config: {gpuprov:cluster: 3}")]
)
def test_settings_that_are_invalid_are_no_other_than_lists(root, file, text):
    source = Source(root)
    valid = source.load()
    whole = (root / file).read_text(encoding="utf-8")
    (root / file).write_text(text, encoding="utf-8")
    assert ids(source.load()) == ids(valid)
    assert file in str(source.error)
    (root / file).write_text(whole, encoding="utf-8")
    assert source.load() is valid
    assert source.error is None


def test_it_is_reported_once_and_again_when_it_differs(root, caplog):
    caplog.set_level(logging.ERROR)
    source = Source(root)
    source.load()
    write_list(root, INVALID)
    for _ in range(5):
        source.load()
    write_list(root, VALID, INVALID)
    source.load()
    lines = [record.getMessage() for record in caplog.records]
    assert ["list.csv:2" in line or "list.csv:3" in line for line in lines] == [True, True]
    assert all("the last valid list holds" in line for line in lines)


def test_where_nothing_was_valid_nothing_is_known(root, caplog):
    write_list(root, INVALID)
    source = Source(root)
    for _ in range(2):
        with pytest.raises(InputError, match=r"list.csv:2"):
            source.load()
    assert "nothing is done until it is valid" in caplog.text
    write_list(root, VALID)
    assert ids(source.load()) == ["A-1"]
