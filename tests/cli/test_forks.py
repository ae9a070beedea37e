"""Commands that tests fork are processes like those that a shell starts."""

import json
import os
import signal
from pathlib import Path

import pytest
from forks import run_forked

TELLS = """
import json, os, signal, sys
print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), sys.path[:2], sys.stdin.read(), sys.stdout.isatty()]))
print("지원", file=sys.stderr)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of the name gpuprov, whose command line is to be written."""
    folder = tmp_path / "elsewhere" / "gpuprov"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    return folder


def test_a_command_has_its_own_folder_environment_and_gpuprov(tmp_path: Path, package: Path) -> None:
    (package / "__main__.py").write_text(TELLS, encoding="utf-8")
    environment = {"PYTHONPATH": str(package.parent), "PATH": os.defpath, "ONLY": "this"}
    code, out, err = run_forked(["plan", "--full"], tmp_path, environment)
    assert (code, err) == (0, "지원\n")
    paths = [str(tmp_path), str(package.parent)]
    assert json.loads(out) == [["plan", "--full"], str(tmp_path), environment, paths, "", False]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("raise SystemExit(4)", 4),
        ("raise ValueError('a bug')", 1),
        (f"import os; os.kill(os.getpid(), {signal.SIGKILL})", -9),
    ],
)
def test_it_ends_with_its_own_exit_code(tmp_path: Path, package: Path, source: str, code: int) -> None:
    (package / "__main__.py").write_text(source, encoding="utf-8")
    ended, out, err = run_forked([], tmp_path, {"PYTHONPATH": str(package.parent)})
    assert (ended, out) == (code, "")
    assert ("a bug" in err) == (code == 1)
