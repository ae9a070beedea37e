"""What the tests of the command line share: a project of their own, commands in this process, and a look at files."""

from pathlib import Path

from click.testing import CliRunner, Result

from gpuprov.cli import main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
