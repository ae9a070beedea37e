"""What the tests of the command line share: a project of their own, commands in this process, and a look at files."""

import shutil
from pathlib import Path

from click.testing import CliRunner, Result

from gpuprov.cli import main

REPOSITORY = Path(__file__).parents[2]


def make_project(root: Path) -> Path:
    """Copy what makes a project out of the repository."""
    root.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "Pulumi.yaml", root)
    for folder in ("stacks", "examples", "charts", "policies"):
        ignored = shutil.ignore_patterns("*.jsonl*", "__pycache__", ".venv")
        shutil.copytree(REPOSITORY / folder, root / folder, ignore=ignored)
    return root


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
