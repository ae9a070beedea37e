"""Small files that stand for very much, or go very deep, are refused like any other, and soon."""

import pytest
import yaml
from mutants import make_project

from gpuprov.errors import InputError
from gpuprov.load import yamlfile
from gpuprov.load.project import open_project
from gpuprov.load.yamlfile import read_mapping
from gpuprov.run.loading import load

DEEP = "[" * 20_000 + "]" * 20_000


def laughs(indent=""):
    """Nine lines, each of which has the one before nine times."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 10)]
    return "".join(f"{indent}{line}\n" for line in lines)


@pytest.fixture
def root(tmp_path):
    return make_project(tmp_path / "project")


@pytest.mark.parametrize("file", ["Pulumi.yaml", "programme.yaml", "stacks/Pulumi.kt-cloud.yaml"])
@pytest.mark.parametrize(
    ("text", "message"),
    [(laughs(), "far too much"), ("x: &x [*x]\n", "far too much"), (f"x: {DEEP}\n", "nested far too deep")],
    ids=["aliases", "an alias in itself", "deep"],
)
def test_settings(root, file, text, message):
    path = root / file
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as refused:
        load(open_project(root))
    assert {problem.file for problem in refused.value.problems} == {str(path)}


def test_aliases_in_the_settings_of_a_cluster(root):
    path = root / "stacks" / "Pulumi.kt-cloud.yaml"
    text = path.read_text(encoding="utf-8").replace("    context:", f"{laughs('    ')}    context:", 1)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="far too much"):
        open_project(root)


def test_aliases_that_stand_for_little_are_read(tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {b: [1, 2]}\nc: *a\nd: [*a, *a]\n", encoding="utf-8")
    assert read_mapping(path, "")["d"] == [{"b": [1, 2]}] * 2
    monkeypatch.setattr(yamlfile, "MOST_VALUES", 18)
    read_mapping(path, "")
    monkeypatch.setattr(yamlfile, "MOST_VALUES", 17)
    with pytest.raises(InputError, match="far too much"):
        read_mapping(path, "")


def test_a_column_mapping(root):
    (root / "columns.yaml").write_text(f"columns: {DEEP}\n", encoding="utf-8")
    path = root / "Pulumi.yaml"
    text = path.read_text(encoding="utf-8").replace("  programme:", "  columns: {default: columns.yaml}\n  programme:")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"columns.yaml.* is not valid YAML"):
        load(open_project(root))


@pytest.mark.parametrize("line", ["[" * 100_000, '{"event":' + DEEP + "}"])
def test_a_line_of_the_ledger(root, line):
    path = root / "ledger.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"ledger.jsonl:5 is not valid JSON"):
        load(open_project(root))


@pytest.mark.parametrize("name", ["x" * 5000, "\0", "a/" * 3000], ids=["long", "NUL", "deep"])
@pytest.mark.parametrize("setting", ["stackConfigDir", "awards", "ledger", "columns", "programme"])
def test_a_name_that_no_file_can_have(root, setting, name):
    path = root / "Pulumi.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if setting == "stackConfigDir":
        document[setting] = name
    else:
        document["config"][setting] = {"default": [name] if setting == "awards" else name}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(InputError):
        load(open_project(root))
